"""What a sentence means here, for this person: one thing, several, or nothing that could be answered.

Two doors: an exact sentence (`bot.language.parse`) has one reading, whose names are looked up; everything else is
understood with the names that this person may see (`bot.language.understand`), list by list, as far as it is needed.
What changes Celonis is only ever opened by an exact sentence or by the template of `bot.language.gate`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeAlias, TypeVar, assert_never
from zoneinfo import ZoneInfo

from cachetools import LRUCache

from bot.catalog import Alternative, label_of
from bot.commands.again import AGAIN, Recall
from bot.commands.command import AnyCommand, Command, Context
from bot.commands.counts import ShowValues
from bot.commands.find import Find
from bot.commands.help import Help
from bot.commands.jobs import CancelJob, Jobs, ShowJob
from bot.commands.kpis import ShowKpi
from bot.commands.models import ShowModel
from bot.commands.records import Data
from bot.commands.spelling import spelt
from bot.conversation import Last
from bot.language.dates import period
from bot.language.declare import CelonisIntent, Sentence, clauses, map_names, names
from bot.language.edges import Cost
from bot.language.frames import Frames, Scope
from bot.language.gate import Order, orders
from bot.language.lexicon import Lexicon
from bot.language.parse import Exact, NotExact
from bot.language.say import say
from bot.language.understand import Account, Reading, Understanding, understand
from bot.language.vocabulary import Class, Writes, vocabulary, words_of
from bot.language.wrapping import wrapped
from bot.masking import Recorded, mask
from bot.model.cards import Button, Run, Source
from bot.model.errors import (
    NotAllowed,
    NotUnderstood,
    UnknownName,
    UsageError,
)
from bot.model.intents import Intent, comparisons
from bot.model.names import Kind, Name, fold
from bot.model.people import Request
from bot.named import Listed, lists_for
from bot.policy import Touch
from bot.visit import Visit
from bot.writes.cards import ShowQuestion
from bot.writes.guarded import GuardedCommand

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class One:
    """The one thing that is meant, every name in it resolved; or one of the bot's own words, as it was said.

    Attributes:
        intent: What is meant.
        taken: Names and values that were said otherwise, each with the one that it was taken for.
        notes: What the answer has to say of it.
        touches: Every resource that a read names, as the policy is asked about it.
        recorded: What the audit log tells of a read.
        understood: Everything that the text can mean, with the account of its words.
    """

    intent: Intent
    taken: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    touches: tuple[Touch, ...] = ()
    recorded: Recorded = field(default_factory=Recorded)
    understood: Understanding = field(default_factory=Understanding)


@dataclass(frozen=True, slots=True)
class Several:
    """What can be meant: the person has to choose.

    Attributes:
        question: Which is asked.
        prompt: What stands above the options.
        options: One button for each.
        source: Where the names on them come from, where that is to be said.
        dates: The fields on which they differ, where what is asked is which one a period is about.
        understood: As for `One`.
    """

    question: str
    prompt: str
    options: tuple[Button, ...]
    source: Source | None = None
    dates: tuple[Name, ...] = ()
    understood: Understanding = field(default_factory=Understanding)


@dataclass(frozen=True, slots=True)
class Unclear:
    """Nothing that could be answered.

    Attributes:
        error: Why.
        options: What could be meant.
        understood: As for `One`.
    """

    error: UsageError
    options: tuple[Button, ...] = ()
    understood: Understanding = field(default_factory=Understanding)


Meaning: TypeAlias = One | Several | Unclear
KEPT = 2_000
"""Meanings that are kept."""
JUST_NOW = timedelta(minutes=10)
"""How long "it" means the job of the last answer, and "the second one" what was offered."""
MOST_OFFERS = 5
_LONG_NUMBER = 3
_NOTHING_YET = "Nothing has been done yet."

_ORDINALS = {
    spoken.strip(): at
    for at, line in enumerate(
        (
            "first|the first|the first one|first one|the 1st|erste|die erste|der erste|das erste|den ersten|das erste bitte",
            "second|the second|the second one|second one|the 2nd|zweite|die zweite|der zweite|das zweite|den zweiten",
            "third|the third|the third one|third one|the 3rd|dritte|die dritte|der dritte|das dritte|den dritten",
            "4|fourth|the fourth|the fourth one|fourth one|vierte|die vierte|der vierte|das vierte",
            "5|fifth|the fifth|the fifth one|fifth one|fünfte|die fünfte|der fünfte|das fünfte",
        )
    )
    for spoken in line.split("|")
} | dict.fromkeys(("last one", "the last one", "the last", "letzte", "die letzte", "das letzte"), -1)
OWN_WORDS: tuple[type[Intent], ...] = (Recall, ShowQuestion, *(each.intent for each in AGAIN))


class Meanings:
    """Turns sentences into what they mean.

    Args:
        commands: By intent.
        context: What a person may see of a connection, in a request.
        sight: What decides which names that are.
        before: What was last answered, or offered, where a request goes on.
        words: Aliases of the settings: how a sentence may begin -> how it begins in the exact language.

    Raises:
        ValueError: An alias hides a command.
    """

    def __init__(
        self,
        commands: Mapping[type[Intent], AnyCommand],
        context: Callable[[Visit, str], Context],
        sight: Callable[[Visit, str], Hashable],
        before: Callable[[Request], Awaitable[Last | None]],
        words: Mapping[str, str],
    ) -> None:
        self._commands = commands
        self._context = context
        self._sight = sight
        self._before = before
        self._words = vocabulary()
        self._kept: LRUCache[Hashable, tuple[One, datetime]] = LRUCache(KEPT)
        self.exact = Exact((*commands, *OWN_WORDS))
        readable = [each.intent for each in commands.values() if isinstance(each, Command)]
        self._frames = Frames(
            {each.words: each for each in (*readable, *(each.intent for each in AGAIN))},
            {
                Kind.FIELD: ShowValues,
                Kind.KPI: ShowKpi,
                Kind.RECORD: Data,
                Kind.JOB: ShowJob,
                Kind.POOL: Jobs,
                Kind.MODEL: ShowModel,
            },
            Help,
        )
        self._outer = {
            each.words: each
            for each in commands
            if any(isinstance(how.takes, Sentence) for _, how in clauses(each))
        }
        begins = {each.words for each in self.exact.intents}
        self._aliases = {tuple(words_of(word)): meant for word, meant in words.items()}
        for alias, meant in words.items():
            if " ".join(alias.casefold().split()) in begins or not any(
                meant.startswith(each) for each in begins
            ):
                raise ValueError(f"“{alias}” stands for no command, or is one itself")

    async def mean(self, text: str, visit: Visit) -> Meaning:
        """What a text means. It is kept for all who see the same names from a place with the same defaults.

        Raises:
            NotAllowed: Whatever it means, the person may not.
            CelonisError, QuotaExhausted: Names could not be read.
        """
        now = visit.parts.clock.now()
        chosen = visit.defaults.connection
        sights = tuple([self._sight(visit, each) for each in visit.connections])
        # A month or a day without its year means another one later.
        key = (text, chosen and chosen.value, visit.model, visit.defaults.dates, sights, now.date())
        kept = self._kept.get(key)
        if kept is not None and now < kept[1]:
            return kept[0]
        text = self._without_alias(text)
        inside = await self._about_another(text, visit)
        if isinstance(inside, One | Several):
            return inside
        meaning, steady = await self._mean(text, visit)
        if isinstance(meaning, Unclear):
            meaning = inside or self._found(text, meaning, visit)
        if not isinstance(meaning, One):
            return meaning
        # Only reads: for the bot's own words there is no command.
        command = self._commands.get(type(meaning.intent))
        if isinstance(command, Command):
            via = meaning.intent.via if isinstance(meaning.intent, CelonisIntent) else None
            context = self._context(visit, visit.connection(via))
            touches = await context.catalog.spelt(command.touches(meaning.intent))
            if visit.parts.policy.may_all(visit.asker, command.right, touches).allowed:
                spelling = await spelt(meaning.intent, context)
                if spelling.question:
                    understood = meaning.understood
                    return Several(spelling.question, _NOTHING_YET, spelling.options, understood=understood)
                taken = (*meaning.taken, *spelling.taken)
                meaning = replace(meaning, intent=spelling.intent, taken=taken, notes=spelling.notes)
                steady = steady and spelling.steady
            meaning = replace(meaning, touches=touches, recorded=Recorded.of(meaning.intent, touches))
            if steady:
                catalogs = (self._context(visit, each).catalog for each in visit.connections)
                self._kept[key] = meaning, min(each.good_until for each in catalogs)
        return meaning

    async def _about_another(self, text: str, visit: Visit) -> Meaning | None:
        """What a sentence about another sentence means; None if it is none."""
        unclear: Unclear | None = None
        for word, inside in wrapped(text, self._words, self._outer):
            outer = self._outer[word]
            self._check(outer(), visit)
            meaning = await self.mean(inside, visit)
            match meaning:
                case One(intent) if not isinstance(intent, (*OWN_WORDS, *self._outer.values())):
                    about = _about(outer, intent)
                    return replace(
                        meaning, intent=about, recorded=replace(meaning.recorded, sentence=mask(about))
                    )
                case Several(options=options):
                    return replace(meaning, options=self._wrapped(outer, options))
                case Unclear(options=options):
                    unclear = unclear or replace(meaning, options=self._wrapped(outer, options))
                case One():  # no sentence of its own
                    pass
        return unclear

    def _wrapped(self, outer: type[Intent], options: Iterable[Button]) -> tuple[Button, ...]:
        return tuple(
            replace(each, action=Run(_about(outer, each.action.intent)))
            for each in options
            if isinstance(each.action, Run) and type(each.action.intent) not in self._outer.values()
        )

    def _found(self, text: str, unclear: Unclear, visit: Visit) -> Meaning:
        """What is not understood and begins as a search does is one."""
        for _, words in wrapped(text, self._words, {Find.words}):
            connection = visit.connection()
            found = Find(text=words, via=Name(connection, connection))
            return _as_a_whole(text, "search", One(found))
        return unclear

    def _without_alias(self, text: str) -> str:
        """A sentence that begins with a word of the settings, in the words that stand for it."""
        typed = text.split()
        for length in range(len(typed), 0, -1):
            meant = self._aliases.get(tuple(words_of(" ".join(typed[:length]))))
            if meant is not None:
                return " ".join((meant, *typed[length:]))
        return text

    async def _mean(self, text: str, visit: Visit) -> tuple[Meaning, bool]:
        """What a text means, and whether that hangs on nothing that was said before."""
        try:
            intent: Intent = self.exact.parse(text) if text.strip() else Help()
        except NotExact:
            pass
        else:
            if isinstance(intent, OWN_WORDS):
                return _as_a_whole(text, "exact", One(intent)), True
            self._check(intent, visit)
            found, trouble = await self._resolved(intent, visit)
            foreign = isinstance(trouble, UnknownName) and trouble.kind is Kind.CONNECTION
            if found:
                return _as_a_whole(text, "exact", _chosen(found)), True
            if foreign or not isinstance(trouble, UnknownName):
                return Unclear(trouble or NotUnderstood("I do not understand that.")), True
            if isinstance(self._commands[type(intent)], GuardedCommand):
                return await self._unknown_target(intent, trouble, visit), True
            meaning, steady = await self._freely(text, visit)
            if isinstance(meaning, Unclear):
                return Unclear(trouble, meaning.options, meaning.understood), True
            return meaning, steady
        chosen = await self._choice(text, visit)
        if chosen is not None:
            self._check(chosen, visit)
            return _as_a_whole(text, "choice", One(chosen)), False
        if asked := orders(text, self._words.writes):
            opened = await self._asked(asked, visit)
            if opened is not None:
                return _as_a_whole(text, "order", opened), False
            meaning, steady = await self._freely(text, visit)
            if (
                isinstance(meaning, Unclear)
                and asked[0].name
                and _rest(meaning.understood, self._words.writes)
            ):
                return replace(meaning, error=UnknownName(Kind.JOB, asked[0].name)), steady
            return meaning, steady
        return await self._freely(text, visit)

    def _check(self, intent: Intent, visit: Visit) -> None:
        """Whether the person may do such a thing at all.

        Raises:
            NotAllowed: They may not.
        """
        command = self._commands.get(type(intent))
        if command is None:
            return  # one of the bot's own words
        decision = visit.parts.policy.may(visit.asker, command.right_for(intent))
        if not decision.allowed:
            raise NotAllowed(decision.sentence, hint=decision.hint, rule=decision.rule)

    async def _resolved(
        self, intent: Intent, visit: Visit
    ) -> tuple[tuple[Alternative, ...], UsageError | None]:
        """Everything that the names of an exact sentence can be, or why that is nothing."""
        if not isinstance(intent, CelonisIntent):
            return (Alternative(intent),), None
        try:
            connection = visit.connection(intent.via)
            context = self._context(visit, connection)
            placed = replace(intent, via=Name(connection, connection))
            resolution = await context.catalog.resolve(placed, model=context.model_default)
        except UsageError as error:
            return (), error
        return resolution.alternatives, resolution.error

    # --- what changes Celonis

    async def _asked(self, asked: Sequence[Order], visit: Visit) -> Meaning | None:
        """What a plain order is about; None if nothing is called so."""
        if not asked[0].name and not asked[0].pool:
            last, fresh = await self._last(visit)
            job = getattr(last, "job", None)
            if job is None or not fresh:
                return Unclear(NotUnderstood("I do not know which job “it” is.", hint="Say the job's name."))
            intents: list[Intent] = [CancelJob(job=job, pool=getattr(last, "pool", None))]
        elif tuple(words_of(asked[0].name)) in self._words.writes.kinds:
            intents = [CancelJob()]  # "stop the job": which one?
        else:
            intents = [
                CancelJob(
                    job=Name(each.name) if each.name else None, pool=Name(each.pool) if each.pool else None
                )
                for each in asked
            ]
        self._check(intents[0], visit)
        found: dict[str, Alternative] = {}
        trouble: UsageError | None = None
        for intent in intents:
            alternatives, error = await self._resolved(intent, visit)
            found.update((say(each.intent), each) for each in alternatives)
            trouble = trouble or error
        if len(found) == 1:
            found.update(await self._like(next(iter(found.values())), asked, visit))
        if found:
            return _chosen(tuple(found.values()))
        if trouble is not None and not isinstance(trouble, UnknownName):
            return Unclear(trouble)
        return None

    async def _like(self, meant: Alternative, asked: Sequence[Order], visit: Visit) -> dict[str, Alternative]:
        """Other jobs whose names hold every word of the one that was said: that one may have been cut short."""
        intent = meant.intent
        if not isinstance(intent, CancelJob) or intent.job is None or not asked[0].name:
            return {}
        catalog = self._context(visit, visit.connection(intent.via)).catalog
        said = set(words_of(intent.job.text))
        within = [intent.pool] if any(each.pool for each in asked) and intent.pool else None
        found = {}
        for pool in within or [each.as_name for each in await catalog.listed(Kind.POOL)]:
            for item in await catalog.listed(Kind.JOB, pool):
                other = replace(intent, job=item.as_name, pool=pool)
                if item.id != intent.job.id and said < set(words_of(item.name)):
                    found[say(other)] = Alternative(other, labels=(item.label,))
        return found

    async def _unknown_target(self, intent: Intent, trouble: UnknownName, visit: Visit) -> Meaning:
        """A write about something that is not called so: names that are nearly so are offered, never taken."""
        understood = await self._understood(trouble.text, visit, None)
        jobs = [
            each.intent
            for each in (*understood.readings, *understood.offers)
            if isinstance(each.intent, ShowJob)
        ]
        return Unclear(trouble, tuple(_stop_buttons(jobs)))

    async def _last(self, visit: Visit) -> tuple[Intent | None, bool]:
        """What was last answered here, and whether that was just now."""
        last = await self._before(visit.request)
        if last is None or not last.sentence:
            return None, False
        try:
            intent = self.exact.parse(last.sentence)
        except NotExact:  # another version of the bot said it
            return None, False
        age = visit.parts.clock.now().timestamp() - last.at
        return intent, last.asker == visit.person.key and age <= JUST_NOW.total_seconds()

    async def _choice(self, text: str, visit: Visit) -> Intent | None:
        """What "the second one" means, if something was offered just now."""
        said = " ".join(words_of(text))
        number = int(said) - 1 if said.isdecimal() and len(said) < _LONG_NUMBER else _ORDINALS.get(said)
        last = await self._before(visit.request) if number is not None else None
        if number is None or last is None or last.asker != visit.person.key or not last.choices:
            return None
        if visit.parts.clock.now().timestamp() - last.at > JUST_NOW.total_seconds():
            return None
        at = number if number >= 0 else len(last.choices) + number
        try:
            return self.exact.parse(last.choices[at]) if at < len(last.choices) else None
        except NotExact:
            return None

    # --- in somebody's own words

    async def _freely(self, text: str, visit: Visit) -> tuple[Meaning, bool]:
        alone = await self._understood(text, visit, None)
        steady = True
        if not alone.readings or self._goes_on(text):
            last, _ = await self._last(visit)
            if isinstance(last, CelonisIntent):
                steady = False
                understood = await self._understood(text, visit, last)
                if understood.readings or not alone.readings:
                    return self._told(understood, visit), False
        return self._told(alone, visit), steady

    def _goes_on(self, text: str) -> bool:
        words = words_of(text)
        return bool(words) and any(
            any(each.what is Class.FOLLOW for each in senses) for _, senses in self._words.at(words, 0)
        )

    def _told(self, understood: Understanding, visit: Visit) -> Meaning:
        allowed, refusal = self._allowed(understood.readings, visit)
        if refusal is not None and not allowed:
            raise refusal
        if len(allowed) == 1:
            return One(allowed[0].intent, allowed[0].taken, understood=understood)
        if allowed:
            intents = [each.intent for each in allowed]
            buttons = tuple(
                Button(label, Run(each)) for label, each in zip(_labels(intents), intents, strict=True)
            )
            dates = date_fields(intents, visit.parts.clock.now())
            question = "Which date is the period about?" if dates else "Which one do you mean?"
            prompt = _NOTHING_YET
            if understood.more:
                prompt += f" At least {understood.more} more fit, too: say more of the name."
            return Several(question, prompt, buttons, dates=dates, understood=understood)
        offers, _ = self._allowed(understood.offers, visit)
        options = [Button(_plainly(each.intent), Run(each.intent)) for each in offers[:MOST_OFFERS]]
        if any((one,) in self._words.writes.verbs for each in understood.unknown for one in words_of(each)):
            jobs = [each.intent for each in understood.offers if isinstance(each.intent, ShowJob)]
            options = list(dict.fromkeys((*_stop_buttons(jobs), *options)))[:MOST_OFFERS]
            return Unclear(_not_an_order(understood, self._words.writes), tuple(options), understood)
        return Unclear(_not_understood(understood), tuple(options), understood)

    def _allowed(self, readings: Iterable[Reading], visit: Visit) -> tuple[list[Reading], NotAllowed | None]:
        allowed: list[Reading] = []
        refusal: NotAllowed | None = None
        for each in readings:
            try:
                self._check(each.intent, visit)
            except NotAllowed as error:
                refusal = refusal or error
            else:
                allowed.append(each)
        return allowed, refusal

    async def _understood(self, text: str, visit: Visit, last: Intent | None) -> Understanding:
        """Understands with ever more lists, until nothing is left that another list could change."""
        connection = visit.connection()
        context = self._context(visit, connection)
        scope = Scope(
            context.model_default,
            last,
            visit.parts.clock.now().astimezone(ZoneInfo(context.reader.zone)),
            repair=False,
            dates=context.dates,
        )
        found = [Understanding()]
        listed = Listed((), (), ())
        async for listed in lists_for(text, context, last, self._words, lambda: found[-1]):
            understood = understand(text, self._lexicon(listed), self._frames, scope)
            found.append(understood)
            if understood.readings and not any(
                each.cost.edits or each.cost.missing or each.free for each in understood.readings
            ):
                return _via(understood, connection)
        understood = understand(text, self._lexicon(listed), self._frames, replace(scope, repair=True))
        if not understood.readings and listed.values:
            # With a text that no field has, it may be a sentence all the same: `spelt` says what is wrong with it.
            with_any = understand(text, self._lexicon(listed, any_value=True), self._frames, scope)
            understood = with_any if with_any.readings else understood
        return _via(replace(understood, unread=tuple(listed.unread)), connection)

    def _lexicon(self, listed: Listed, *, any_value: bool = False) -> Lexicon:
        return Lexicon(self._words, listed.names, listed.values, any_value=any_value)


def _about(outer: type[Intent], intent: Intent) -> Intent:
    """A sentence about another one; which connection is meant, both say."""
    (sentence, _), *_ = clauses(outer)
    if not isinstance(intent, CelonisIntent):
        return outer(**{sentence.name: intent})
    return outer(**{sentence.name: replace(intent, via=None), "via": intent.via})


def _via(understood: Understanding, connection: str) -> Understanding:
    def placed(each: Reading) -> Reading:
        if isinstance(each.intent, CelonisIntent) and each.intent.via is None:
            return replace(each, intent=replace(each.intent, via=Name(connection, connection)))
        return each

    return replace(
        understood,
        readings=tuple(map(placed, understood.readings)),
        offers=tuple(map(placed, understood.offers)),
    )


def _as_a_whole(text: str, role: str, meaning: Meaning) -> Meaning:
    """The meaning of a text that plays one role, and is not understood word by word."""
    match meaning:
        case One(intent):
            meant = [intent]
        case Several(options=options):
            meant = [each.action.intent for each in options if isinstance(each.action, Run)]
        case Unclear():
            return meaning
        case _:
            assert_never(meaning)
    account = (Account(text, role),)
    return replace(meaning, understood=Understanding(tuple(Reading(each, Cost(), account) for each in meant)))


def _chosen(found: Sequence[Alternative]) -> Meaning:
    if len(found) == 1:
        return One(found[0].intent)
    labels = label_of(found)
    buttons = tuple(Button(label, Run(each.intent)) for label, each in zip(labels, found, strict=True))
    return Several("Which one do you mean?", _NOTHING_YET, buttons)


def _not_understood(understood: Understanding) -> NotUnderstood:
    if understood.wish:
        return NotUnderstood(understood.wish)
    said = ", ".join(f"“{each}”" for each in understood.unknown[:3])
    hint = "Say it otherwise, or take one of these." if understood.offers and said else ""
    if understood.unread:
        some = [each.text for each in understood.unread[:3]]
        more = len(understood.unread) - len(some)
        some += [f"{more} more"] if more else []
        hint += f" I did not look into {', '.join(some)}: name one, or ask again and I look further."
    if not said:
        return NotUnderstood("I do not understand that.", hint=hint.strip())
    return NotUnderstood(f"I do not know what {said} means here, so I did not answer.", hint=hint.strip())


def _rest(understood: Understanding, writes: Writes) -> list[str]:
    """What was not understood, without the verbs that ask for a write."""
    said = (
        " ".join(one for one in each.split() if (fold(one),) not in writes.verbs)
        for each in understood.unknown
    )
    return list(filter(None, said))


def _not_an_order(understood: Understanding, writes: Writes) -> NotUnderstood:
    rest = ", ".join(f"“{each}”" for each in _rest(understood, writes)[:3])
    return NotUnderstood(
        f"I ask to stop a job only if nothing else is said, and here is also {rest}."
        if rest
        else "I ask to stop one job at a time.",
        hint="Say just “stop” and the job's name, or take one of these.",
    )


def _stop_buttons(jobs: Iterable[Intent]) -> Iterator[Button]:
    for each in jobs:
        if isinstance(each, ShowJob) and each.job is not None:
            place = f" ({each.pool.text})" if each.pool else ""
            ask = CancelJob(job=each.job, pool=each.pool, via=each.via)
            yield Button(f"Ask to stop {each.job.text}{place}", Run(ask))


def _plainly(intent: Intent) -> str:
    """A sentence for a button: without ids, and without the connection."""
    if isinstance(intent, CelonisIntent):
        intent = replace(intent, via=None)
    return say(map_names(intent, lambda _at, _kind, name: Name(name.text)))


def _labels(intents: Sequence[Intent]) -> tuple[str, ...]:
    """What tells intents apart: the names in which they differ, else the whole sentences."""
    named = [dict.fromkeys(name.text for _, _, name in names(each)) for each in intents]
    common = set.intersection(*(set(each) for each in named))
    labels = [" · ".join(one for one in each if one not in common) for each in named]
    if len(set(labels)) == len(labels) and all(labels) and len({type(each) for each in intents}) == 1:
        return tuple(labels)
    labels = [_plainly(each) for each in intents]
    if len(set(labels)) == len(labels):
        return tuple(labels)
    return tuple(
        f"{label} · {' '.join(name.id for _, kind, name in names(each) if kind is not Kind.CONNECTION)}"
        for label, each in zip(labels, intents, strict=True)
    )


def date_fields(intents: Sequence[Intent], now: datetime) -> tuple[Name, ...]:
    """The date fields (`record.field`) in which intents differ, where they differ in nothing else; else none."""
    asked = [
        tuple(comparisons(where)) for each in intents if (where := getattr(each, "where", None)) is not None
    ]
    apart = [
        at for at, same in enumerate(zip(*asked, strict=False)) if len({each.field for each in same}) > 1
    ]
    if len(asked) < len(intents) or len({len(each) for each in asked}) > 1 or len(apart) != 1:
        return ()
    (at,) = apart
    if len({(each[at].op, each[at].values, *each[:at], *each[at + 1 :]) for each in asked}) > 1:
        return ()
    bare: set[Intent] = set()
    for each in intents:
        changed: dict[str, Any] = {"where": None}
        bare.add(replace(each, **changed))
    if len(bare) > 1 or any(period(value, ZoneInfo("UTC"), now) is None for value in asked[0][at].values):
        return ()
    records = [getattr(each, "record", None) for each in intents]
    return tuple(
        Name(each[at].field.text, f"{record.id}.{each[at].field.id}" if record else each[at].field.id)
        for each, record in zip(asked, records, strict=True)
    )
