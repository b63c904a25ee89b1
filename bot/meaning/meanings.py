"""The two doors: exact sentences, whose names are looked up, and people's own words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from bot.commands.again import AGAIN, Recall
from bot.commands.command import Command
from bot.commands.find import Find
from bot.commands.help import Help
from bot.commands.jobs import Why
from bot.commands.may import May
from bot.commands.spelling import spelt
from bot.commands.watches.asked import Edit
from bot.conversation import Last
from bot.language.declare import CelonisIntent, Sentence, about_another, clauses
from bot.language.gate import orders
from bot.language.parse import Exact, NotExact
from bot.language.say import say
from bot.language.vocabulary import vocabulary, words_of
from bot.language.wrapping import wrapped
from bot.masking import Recorded, mask
from bot.meaning.later import Later
from bot.meaning.meant import Meaning, One, Several, Unclear, as_a_whole, chosen
from bot.meaning.orders import Orders, resolved
from bot.meaning.own_words import Commands, ContextOf, OwnWords, check, rest_of
from bot.model.cards import Button, Run
from bot.model.errors import (
    NotAllowed,
    NotUnderstood,
    UnknownName,
)
from bot.model.intents import Intent
from bot.model.kept import Kept
from bot.model.names import Kind, Name
from bot.model.people import Request
from bot.visit import Visit
from bot.watching.orders import ORDERS
from bot.writes.cards import ShowQuestion
from bot.writes.guarded import GuardedCommand

KEPT = 2_000
"""Meanings that are kept."""
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
        commands: Commands,
        context: ContextOf,
        sight: Callable[[Visit, str], Hashable],
        before: Callable[[Request], Awaitable[Last | None]],
        words: Mapping[str, str],
    ) -> None:
        self._commands = commands
        self._context = context
        self._sight = sight
        self._words = vocabulary()
        self._kept: Kept[Hashable, tuple[One, datetime]] = Kept(KEPT)
        self.exact = Exact((*commands, *OWN_WORDS))
        self._own_words = OwnWords(commands, context, before, self.exact)
        self._orders = Orders(commands, context, self._own_words)
        self._later = Later(commands, self._own_words)
        self._outer = {each.words: each for each in commands if about_another(each)}
        self._begins = begins = {each.words for each in self.exact.intents}
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
                    return Several(spelling.question, spelling.options, understood=understood)
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
        for outer, inside, notes in self._around(text, visit):
            check(self._commands, outer, visit)
            try:
                meaning = await self.mean(inside, visit)
            except NotAllowed as error:
                if not isinstance(outer, May):
                    raise
                hint = f"That is decided by: {error.rule}. {error.hint}"
                raise NotAllowed(error.sentence, hint=hint.strip(), rule=error.rule) from None
            match meaning:
                case One(intent) if self._can_stand_inside(intent, outer):
                    about = _about(outer, intent)
                    recorded = replace(meaning.recorded, sentence=mask(about))
                    return replace(meaning, intent=about, recorded=recorded, notes=(*meaning.notes, *notes))
                case Several(options=options):
                    return replace(meaning, options=self._wrapped(outer, options))
                case Unclear(options=options):
                    unclear = unclear or replace(meaning, options=self._wrapped(outer, options))
                case One():  # no sentence of its own
                    pass
        return unclear

    def _around(self, text: str, visit: Visit) -> Iterator[tuple[Intent, str, tuple[str, ...]]]:
        """Every way to read a text as a question about another sentence: the question, that sentence, and what is to be
        said of it.
        """
        if (whole := self._exactly_around(text)) is not None:
            inside = _inside(whole)
            if isinstance(inside, CelonisIntent) and isinstance(whole, CelonisIntent) and inside.via is None:
                inside = replace(inside, via=whole.via)
            if inside is not None:
                yield whole, say(inside), ()
            return
        if (later := self._later.around(text, visit)) is not None:
            yield later
            return
        first, _, rest = text.strip().partition(" ")
        # May is a month, too, so the word alone asks only where what one can say follows it.
        if first.casefold() == May.words and any(
            f"{rest.casefold()} ".startswith(f"{each} ") for each in self._begins
        ):
            yield May(), rest, ()
            return
        for word, inside_it in wrapped(text, self._words, self._outer):
            yield self._outer[word](), inside_it, ()

    def _exactly_around(self, text: str) -> Intent | None:
        try:
            whole = self.exact.parse(text)
        except NotExact:
            return None
        return whole if isinstance(whole, tuple(self._outer.values())) else None

    def _can_stand_inside(self, intent: Intent, outer: Intent) -> bool:
        if isinstance(outer, Edit):
            return isinstance(intent, ORDERS)
        return not isinstance(intent, (*OWN_WORDS, *self._outer.values()))

    def _wrapped(self, outer: Intent, options: Iterable[Button]) -> tuple[Button, ...]:
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
            return as_a_whole(text, "search", One(found))
        return unclear

    def _without_alias(self, text: str) -> str:
        """A sentence that begins with a word of the settings, in the words that stand for it."""
        typed = text.split()
        for length in range(len(typed), 0, -1):
            meant = self._aliases.get(tuple(words_of(" ".join(typed[:length]))))
            if meant is not None:
                return " ".join((meant, *typed[length:]))
        return text

    async def _exactly(self, intent: Intent, text: str, visit: Visit) -> tuple[Meaning, bool]:
        """What an exact sentence means, once its names were looked up."""
        if isinstance(intent, OWN_WORDS):
            return as_a_whole(text, "exact", One(intent)), True
        check(self._commands, intent, visit)
        if isinstance(intent, tuple(self._outer.values())) and (inside := _inside(intent)) is not None:
            # Its names are those of the sentence inside, which was looked at as a sentence of its own.
            if self._can_stand_inside(inside, intent):
                return Unclear(NotUnderstood("I do not understand that.")), True
            return as_a_whole(text, "exact", One(intent)), True
        intent = await self._own_words.about_the_last_job(intent, visit)
        found, trouble = await resolved(intent, self._context, visit)
        foreign = isinstance(trouble, UnknownName) and trouble.kind is Kind.CONNECTION
        if found:
            return as_a_whole(text, "exact", chosen(found)), not isinstance(intent, Why)
        if foreign or not isinstance(trouble, UnknownName):
            return Unclear(trouble or NotUnderstood("I do not understand that.")), True
        if isinstance(self._commands[type(intent)], GuardedCommand):
            return await self._orders.unknown_target(intent, trouble, visit), True
        if (later := await self._later.mean(text, visit)) is not None:
            return later, False
        meaning, steady = await self._own_words.mean(text, visit)
        if isinstance(meaning, Unclear):
            return Unclear(trouble, meaning.options, meaning.understood), True
        return meaning, steady

    async def _mean(self, text: str, visit: Visit) -> tuple[Meaning, bool]:
        """What a text means, and whether that hangs on nothing that was said before."""
        try:
            intent: Intent = self.exact.parse(text) if text.strip() else Help()
        except NotExact:
            pass
        else:
            return await self._exactly(intent, text, visit)
        choice = await self._own_words.choice(text, visit)
        if choice is not None:
            check(self._commands, choice, visit)
            return as_a_whole(text, "choice", One(choice)), False
        if (later := await self._later.mean(text, visit)) is not None:
            return later, False
        if asked := orders(text, self._words.writes):
            opened = await self._orders.mean(asked, visit)
            if opened is not None:
                return as_a_whole(text, "order", opened), False
            meaning, steady = await self._own_words.mean(text, visit)
            if (
                isinstance(meaning, Unclear)
                and asked[0].name
                and rest_of(meaning.understood, self._words.writes)
            ):
                return replace(meaning, error=UnknownName(Kind.JOB, asked[0].name)), steady
            return meaning, steady
        return await self._own_words.mean(text, visit)


def _inside(outer: Intent) -> Intent | None:
    """The sentence that another one is about."""
    found: Intent | None = getattr(outer, _sentence(outer))
    return found


def _sentence(outer: Intent) -> str:
    """The field of an intent that takes another sentence."""
    return next(each.name for each, how in clauses(type(outer)) if isinstance(how.takes, Sentence))


def _about(outer: Intent, intent: Intent) -> Intent:
    """A sentence about another one; which connection is meant, both say."""
    changed: dict[str, Any] = {_sentence(outer): intent}
    if isinstance(intent, CelonisIntent):
        changed = {_sentence(outer): replace(intent, via=None), "via": intent.via}
    return replace(outer, **changed)
