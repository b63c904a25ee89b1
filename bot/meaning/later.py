"""What is asked for later or again: which job, data pool or KPI a sentence wants watched or guarded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import time
from zoneinfo import ZoneInfo

from bot.commands.jobs import Jobs, ShowJob
from bot.commands.kpis import ShowKpi
from bot.commands.kpis.asked import TARGET
from bot.commands.watches.asked import Edit, Snooze, Unwatch
from bot.language.declare import CelonisIntent
from bot.language.standing import Asks, Standing, standing
from bot.language.vocabulary import vocabulary, words_of
from bot.meaning.meant import Meaning, One, Several, Unclear, as_a_whole, labels, plainly
from bot.meaning.own_words import Commands, OwnWords, check
from bot.model.cards import Button, Run
from bot.model.errors import BadArgument, NotUnderstood
from bot.model.intents import Intent
from bot.model.names import Name
from bot.visit import Visit
from bot.watching.orders import Digest, GuardJob, GuardPool, WatchJob, WatchKpi, WatchPool
from bot.writes.guarded import touches


class Later:
    """Finds what is to be watched, guarded or told again.

    Args:
        commands: By intent.
        own_words: Understands what a sentence says that it is about.
    """

    def __init__(self, commands: Commands, own_words: OwnWords) -> None:
        self._commands = commands
        self._own_words = own_words
        self._words = vocabulary()

    def said(self, text: str, visit: Visit, *, private: bool = False) -> Standing | None:
        """What a text asks for later or again; its times are of the clock that the answer is written for."""
        zone = ZoneInfo(visit.reader(private=private)[0].zone)
        return standing(text, self._words, visit.parts.clock.now().astimezone(zone))

    def around(self, text: str, visit: Visit) -> tuple[Intent, str, tuple[str, ...]] | None:
        """A sentence that is told again, or takes the place of a watch: what is around it, it, and what is to be said."""
        said = self.said(text, visit)
        if said is not None and said.asks is Asks.DIGEST and said.about:
            return Digest(days=said.days, at=said.at), said.about, _notes(said)
        if said is not None and said.asks is Asks.EDIT and said.inside:
            return Edit(which=said.about), said.inside, ()
        return None

    async def mean(self, text: str, visit: Visit) -> Meaning | None:
        """What a text asks for later; None if it does not."""
        said = self.said(text, visit)
        if said is None:
            return None
        match said.asks:
            case Asks.UNWATCH:
                return self._plain(text, Unwatch(which=said.about), visit)
            case Asks.SNOOZE:
                snooze = Snooze(which=said.about, lasting=said.lasting, until=said.until)
                return self._plain(text, snooze, visit)
            case Asks.DIGEST | Asks.EDIT:
                return _which_sentence(said)
            case Asks.WATCH | Asks.GUARD:
                return await self._about(text, said, visit)

    def _plain(self, text: str, intent: Intent, visit: Visit) -> Meaning:
        check(self._commands, intent, visit)
        return as_a_whole(text, "order", One(intent))

    async def _about(self, text: str, said: Standing, visit: Visit) -> Meaning:
        if not said.about:
            what = "guard" if said.asks is Asks.GUARD else "watch"
            return Unclear(
                NotUnderstood(f"What should I {what}?", hint="Say the name of a job, a data pool or a KPI.")
            )
        meant = await self._meant(said.about, visit)
        sure, offers, taken = meant
        private = await visit.audience.private(tuple(each for one in sure for each in touches(one)))
        if private:  # the clock is the person's own
            said = self.said(text, visit, private=True) or said
        if said.tomorrow and not _comes_tomorrow(said, visit, private=private):
            return Unclear(
                NotUnderstood(
                    "I guard the next time that comes, and that is not tomorrow.",
                    hint="Ask again tomorrow, or say “every day”.",
                )
            )
        found = [order for each in sure if (order := ordered(said, each)) is not None]
        for order in found[:1]:
            check(self._commands, order, visit)
        if len(found) == 1:
            return replace(_as_order(text, found), taken=taken, notes=_notes(said))
        buttons = _buttons(found or [each for one in offers if (each := ordered(said, one)) is not None])
        if found:
            return Several("Which one do you mean?", buttons)
        if sure:
            return Unclear(_misfit(said, sure))
        return Unclear(
            NotUnderstood(
                f"I do not know what “{said.about}” is, so I watch nothing.",
                hint="Say the name of a job, a data pool or a KPI"
                + (", or take one of these." if buttons else "."),
            ),
            buttons,
        )

    async def _meant(
        self, about: str, visit: Visit
    ) -> tuple[Sequence[Intent], Sequence[Intent], tuple[tuple[str, str], ...]]:
        """What a name stands for, what may be meant besides, and what was said otherwise."""
        if tuple(words_of(about)) in self._words.writes.it:
            last, fresh = await self._own_words.last(visit)
            return ((last,) if last is not None and fresh else ()), (), ()
        understood = await self._own_words.understood(about, visit, None)
        readings = understood.readings
        sure = [each.intent for each in readings if not each.cost.edits and not each.cost.missing]
        near = [each.intent for each in (*readings, *understood.offers) if each.intent not in sure]
        return sure, near, readings[0].taken if len(readings) == 1 else ()


def ordered(said: Standing, about: Intent) -> Intent | None:
    """What is asked for where the thing that it is about would be shown by an intent; None if the one does not fit the other."""
    via = about.via if isinstance(about, CelonisIntent) else None
    limits = said.crosses is not None or said.target
    runs = bool(said.on or said.longer or said.start_by)
    guards = said.asks is Asks.GUARD
    match about:
        case ShowJob(job=Name() as job, pool=pool) if not limits:
            if guards and not runs:
                return GuardJob(job=job, pool=pool, at=said.at, until=said.until, days=said.days, via=via)
            if not guards and not said.until and (said.start_by or not said.days):
                return WatchJob(
                    job=job,
                    pool=pool,
                    on=said.on,
                    longer=said.longer,
                    start_by=said.start_by,
                    days=said.days,
                    via=via,
                )
        case Jobs(states=(), pool=Name() as pool, page=1) if not limits:
            if guards and not runs:
                return GuardPool(pool=pool, at=said.at, until=said.until, days=said.days, via=via)
            if not guards and not (said.until or said.start_by or said.days):
                return WatchPool(pool=pool, on=said.on, longer=said.longer, via=via)
        case ShowKpi(kpis=(kpi,), model=model, where=where, filter=narrowed):
            plain = ShowKpi(
                kpis=(kpi,),
                model=model,
                where=where,
                filter=narrowed,
                via=via,
                against=TARGET if about.against == TARGET else "",
            )
            if about == plain and not guards and not runs and not said.days and not said.until:
                return WatchKpi(
                    kpi=kpi, model=model, where=where, filter=narrowed, crosses=said.crosses, via=via
                )
        case _:
            pass
    return None


def _which_sentence(said: Standing) -> Unclear:
    if said.asks is Asks.EDIT:
        return Unclear(
            BadArgument(
                "What should it say instead?",
                hint=f"Say it as in: edit {said.about} guard main job at 23:45",
                undone="Nothing was changed.",
            )
        )
    return Unclear(
        BadArgument(
            "What should I tell then?", hint="Say it as in: every monday 8:00 kpis", undone="Nothing was set."
        )
    )


def _as_order(text: str, found: Sequence[Intent]) -> One:
    meaning = as_a_whole(text, "order", One(found[0]))
    assert isinstance(meaning, One)
    return meaning


def _buttons(orders: Sequence[Intent]) -> tuple[Button, ...]:
    unique = list(dict.fromkeys(orders))[:5]
    if len(unique) < 2:  # noqa: PLR2004 - one needs nothing to tell it apart
        return tuple(Button(plainly(each), Run(each)) for each in unique)
    return tuple(Button(label, Run(each)) for label, each in zip(labels(unique), unique, strict=True))


def _misfit(said: Standing, about: Sequence[Intent]) -> BadArgument:
    if any(isinstance(each, ShowKpi) for each in about):
        return BadArgument(
            "I watch a KPI against a line, not at a time.",
            hint="Say it as in: watch On-time delivery when < 90%. To be told it at set times: every monday 8:00 On-time delivery",
            undone="Nothing is watched.",
        )
    if any(isinstance(each, ShowJob | Jobs) for each in about):
        return BadArgument(
            "That does not fit a data job.",
            hint="Say it as in: watch main job when failed; watch main job start by 22:00; guard main job at 23:45",
            undone="Nothing is watched.",
        )
    return BadArgument(
        f"I cannot watch “{said.about}”: I watch data jobs, data pools and KPIs.",
        hint="To be told an answer at set times, say it as in: every monday 8:00 kpis",
        undone="Nothing is watched.",
    )


def _notes(said: Standing) -> tuple[str, ...]:
    """What is said of a time whose half of the day nobody said."""
    at = said.at or said.start_by or said.until
    if not said.chosen or at is None:
        return ()
    other = time((at.hour + 12) % 24, at.minute)
    return (f"I took the time as {at:%H:%M}. If you mean {other:%H:%M}, say so.",)


def _comes_tomorrow(said: Standing, visit: Visit, *, private: bool) -> bool:
    now = visit.parts.clock.now().astimezone(ZoneInfo(visit.reader(private=private)[0].zone))
    return said.at is not None and said.at <= now.time()
