"""What somebody's own words mean: names first, with ever more lists, until nothing could change it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TypeAlias
from zoneinfo import ZoneInfo

from bot.commands.again import AGAIN
from bot.commands.command import AnyCommand, Command, Context
from bot.commands.counts import ShowValues
from bot.commands.help import Help
from bot.commands.jobs import Jobs, ShowJob, Why
from bot.commands.kpis import ShowKpi
from bot.commands.models import ShowModel
from bot.commands.records import Data
from bot.conversation import Last
from bot.language.declare import CelonisIntent
from bot.language.frames import Frames
from bot.language.lexicon import Lexicon
from bot.language.parse import Exact, NotExact
from bot.language.scope import Scope
from bot.language.understand import Reading, Understanding, understand
from bot.language.vocabulary import Class, Writes, vocabulary, words_of
from bot.meaning.meant import (
    DOING,
    Meaning,
    One,
    Several,
    Unclear,
    date_fields,
    guard_buttons,
    labels,
    order_buttons,
    plainly,
)
from bot.model.cards import Button, Run
from bot.model.errors import (
    NotAllowed,
    NotUnderstood,
)
from bot.model.intents import Intent
from bot.model.names import Kind, Name, fold
from bot.model.people import Request
from bot.named import Listed, lists_for
from bot.policy import Right
from bot.visit import Visit

JUST_NOW = timedelta(minutes=10)
"""How long "it" means the job of the last answer, and "the second one" what was offered."""
MOST_OFFERS = 5
Commands: TypeAlias = Mapping[type[Intent], AnyCommand]
ContextOf: TypeAlias = Callable[[Visit, str], Context]
_LONG_NUMBER = 3

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


class OwnWords:
    """Understands sentences with the names that a person may see.

    Args:
        commands: By intent.
        context: What a person may see of a connection, in a request.
        before: What was last answered, or offered, where a request goes on.
        exact: Reads what was answered before.
    """

    def __init__(
        self,
        commands: Commands,
        context: ContextOf,
        before: Callable[[Request], Awaitable[Last | None]],
        exact: Exact,
    ) -> None:
        self._commands = commands
        self._context = context
        self._before = before
        self._exact = exact
        self._words = vocabulary()
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

    async def last(self, visit: Visit) -> tuple[Intent | None, bool]:
        """What was last answered here, and whether that was just now."""
        last = await self._before(visit.request)
        if last is None or not last.sentence:
            return None, False
        try:
            intent = self._exact.parse(last.sentence)
        except NotExact:  # another version of the bot said it
            return None, False
        command = self._commands.get(type(intent))
        seen = command is not None and visit.parts.policy.may_all(
            visit.asker, Right.READ, command.touches(intent)
        )
        if (
            not seen or not seen.allowed
        ):  # what somebody else asked may name what this person must not know of
            return None, False
        age = visit.parts.clock.now().timestamp() - last.at
        return intent, last.asker == visit.person.key and age <= JUST_NOW.total_seconds()

    async def about_the_last_job(self, intent: Intent, visit: Visit) -> Intent:
        """A bare "why" is about the job of the last answer, if that was just now."""
        if not isinstance(intent, Why) or intent.job is not None:
            return intent
        last, fresh = await self.last(visit)
        job, pool = getattr(last, "job", None), getattr(last, "pool", None)
        if not fresh or job is None:
            return intent
        return replace(intent, job=job, pool=pool, via=getattr(last, "via", None))

    async def choice(self, text: str, visit: Visit) -> Intent | None:
        """What "the second one" means, if something was offered just now.

        Raises:
            NotUnderstood: Nothing was.
        """
        said = " ".join(words_of(text))
        number = int(said) - 1 if said.isdecimal() and len(said) < _LONG_NUMBER else _ORDINALS.get(said)
        last = await self._before(visit.request) if number is not None else None
        if number is None:
            return None
        if last is None:
            raise NotUnderstood("There is nothing here to choose from.")
        if last.asker != visit.person.key or not last.choices:
            return None
        if visit.parts.clock.now().timestamp() - last.at > JUST_NOW.total_seconds():
            return None
        at = number if number >= 0 else len(last.choices) + number
        try:
            return self._exact.parse(last.choices[at]) if at < len(last.choices) else None
        except NotExact:
            return None

    async def mean(self, text: str, visit: Visit) -> tuple[Meaning, bool]:
        alone = await self.understood(text, visit, None)
        steady = True
        if not alone.readings or self._goes_on(text):
            last, _ = await self.last(visit)
            if isinstance(last, CelonisIntent):
                steady = False
                understood = await self.understood(text, visit, last)
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
                Button(label, Run(each)) for label, each in zip(labels(intents), intents, strict=True)
            )
            dates = date_fields(intents, visit.parts.clock.now())
            question = "Which date is the period about?" if dates else "Which one do you mean?"
            prompt = (
                f"At least {understood.more} more fit, too: say more of the name." if understood.more else ""
            )
            return Several(question, buttons, prompt, dates=dates, understood=understood)
        offers, _ = self._allowed(understood.offers, visit)
        options = [Button(plainly(each.intent), Run(each.intent)) for each in offers[:MOST_OFFERS]]
        verbs = self._words.writes.verbs
        ordered = [verbs[(one,)] for each in understood.unknown for one in words_of(each) if (one,) in verbs]
        if ordered:
            jobs = [each.intent for each in understood.offers if isinstance(each.intent, ShowJob)]
            guards = guard_buttons(jobs) if ordered[0] == "cancel" else ()
            options = list(dict.fromkeys((*order_buttons(jobs, ordered[0]), *guards, *options)))[:MOST_OFFERS]
            error = _not_an_order(understood, self._words.writes, DOING[ordered[0]])
            return Unclear(error, tuple(options), understood)
        return Unclear(_not_understood(understood), tuple(options), understood)

    def _allowed(self, readings: Iterable[Reading], visit: Visit) -> tuple[list[Reading], NotAllowed | None]:
        allowed: list[Reading] = []
        refusal: NotAllowed | None = None
        for each in readings:
            try:
                check(self._commands, each.intent, visit)
            except NotAllowed as error:
                refusal = refusal or error
            else:
                allowed.append(each)
        return allowed, refusal

    async def understood(self, text: str, visit: Visit, last: Intent | None) -> Understanding:
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


def check(commands: Commands, intent: Intent, visit: Visit) -> None:
    """Whether the person may do such a thing at all.

    Raises:
        NotAllowed: They may not.
    """
    command = commands.get(type(intent))
    if command is None:
        return  # one of the bot's own words
    visit.parts.policy.may(visit.asker, command.right_for(intent)).require()


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


def rest_of(understood: Understanding, writes: Writes) -> list[str]:
    """What was not understood, without the verbs that ask for a write."""
    said = (
        " ".join(one for one in each.split() if (fold(one),) not in writes.verbs)
        for each in understood.unknown
    )
    return list(filter(None, said))


def _not_an_order(understood: Understanding, writes: Writes, doing: str) -> NotUnderstood:
    rest = ", ".join(f"“{each}”" for each in rest_of(understood, writes)[:3])
    return NotUnderstood(
        f"I ask to {doing} a job only if nothing else is said, and here is also {rest}."
        if rest
        else f"I ask to {doing} one job at a time.",
        hint=f"Say just “{doing}” and the job's name, or take one of these.",
    )
