"""Showing what is watched, guarded and told, and ending, silencing or changing it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from bot.audience import Shown
from bot.commands.command import Command, Context
from bot.commands.lists import PAGE, count, page_of, table, turn
from bot.commands.watches.asked import Edit, Snooze, Unwatch, Watches
from bot.commands.watches.orders import GUARD, set_up
from bot.commands.watches.said import about, moment, named, order_of
from bot.language.vocabulary import words_of
from bot.model.cards import (
    Block,
    Button,
    Card,
    Choices,
    Column,
    Moment,
    Notice,
    Run,
    Status,
    Text,
    Tone,
    Words,
    headline,
)
from bot.model.errors import BadArgument, NotAllowed
from bot.model.names import Name
from bot.policy import Right, Touch
from bot.store import watches
from bot.store.watches import Watch, WatchKind
from bot.watching.orders import ORDERS, schedule_of
from bot.watching.times import Schedule
from bot.writes.guarded import touches

USUAL_SNOOZE = timedelta(hours=1)


async def _watches(intent: Watches, context: Context) -> Shown:
    if intent.everywhere:
        context.policy.may(context.asker, Right.ADMIN).require()
    key = "" if intent.everywhere else context.asker.place.key
    found = await watches.living(context.store, place_key=key)
    seen = [each for each in found if _sees(each, context)]
    place = "everywhere" if intent.everywhere else "here"
    unseen = (
        f", and {count(len(found) - len(seen), 'more')} that you may not see"
        if len(seen) < len(found)
        else ""
    )
    if not seen:
        hint = "Say it as in “watch main job”, “guard main job at 23:45” or “every monday 8:00 kpis”."
        return Shown(Card(headline(f"Nothing is set {place}{unseen}"), blocks=(Text(hint),)), ())
    here = page_of(seen, intent.page)
    columns = [Column("Id"), Column("What"), Column("Next"), Column("Set by"), Column("State")]
    rows = [
        (
            Words(each.id),
            Words(f"{each.kind.value}: {_about(each, context)}"),
            _next(each, context),
            Words(each.owner.name or each.owner.id),
            Words(_state(each, context)),
        )
        for each in here
    ]
    changeable = [each for each in here if _may_change(each, context)]
    card = Card(
        headline(f"{count(len(seen), 'thing')} set {place}{unseen}"),
        title=f"What is set {place}",
        blocks=(
            table(columns, rows, page=intent.page, total=len(seen)),
            *(Choices(f"{each.id}:", _buttons(each)) for each in changeable),
        ),
        buttons=turn(intent, intent.page, len(seen), PAGE),
    )
    return Shown(card, tuple(touch for each in here for touch in _touched(each, context)))


def _next(watch: Watch, context: Context) -> Words | Moment:
    order = order_of(watch, context.table)
    timed = order is not None and schedule_of(order, watch.zone) is not None
    return Moment(watch.due_at) if timed else Words("all the time")


def _state(watch: Watch, context: Context) -> str:
    if watch.undelivered_since is not None:
        return "cannot be delivered"
    if watch.snoozed_until is not None and watch.snoozed_until > context.now:
        return f"silent until {moment(watch.snoozed_until, watch.zone, context.now, context.reader)}"
    return "on"


def _buttons(watch: Watch) -> tuple[Button, ...]:
    return (
        Button(f"Silence {watch.id} for an hour", Run(Snooze(which=watch.id, lasting=USUAL_SNOOZE))),
        Button(f"End {watch.id}", Run(Unwatch(which=watch.id))),
    )


# --- which one ---------------------------------------------------------------------------------------------------


def _about(watch: Watch, context: Context) -> str:
    order = order_of(watch, context.table)
    return about(order) if order is not None else "set by another version of the bot"


def _touched(watch: Watch, context: Context) -> tuple[Touch, ...]:
    order = order_of(watch, context.table)
    if order is None:
        return ()
    placed = replace(order, via=Name(watch.connection, watch.connection))
    return touches(placed)


def _sees(watch: Watch, context: Context) -> bool:
    """Whether the person may see what a watch is about."""
    own = watch.owner.key == context.asker.person.key
    return own or context.policy.may_all(context.asker, Right.READ, _touched(watch, context)).allowed


def _may_change(watch: Watch, context: Context) -> bool:
    own = watch.owner.key == context.asker.person.key
    return own or context.policy.may(context.asker, Right.ADMIN).allowed


async def _found(which: str, context: Context) -> list[Watch]:
    """What a text names: an id, or words of what it is about; only what the person may see.

    Raises:
        BadArgument: Nothing is called so.
        NotAllowed: It is somebody else's.
    """
    said = which.strip().casefold().lstrip("#")
    asker = context.asker
    admin = context.policy.may(asker, Right.ADMIN).allowed
    named_so = await watches.load(context.store, said)
    here = await watches.living(context.store, place_key=asker.place.key)
    mine = await watches.living(context.store, owner_key=asker.person.key)
    known = [each for each in dict.fromkeys((*here, *mine)) if _sees(each, context)]
    if named_so is not None and (admin or named_so in known):
        found = [named_so]
    else:
        wanted = set(words_of(which))
        found = [each for each in known if wanted and wanted <= set(words_of(_about(each, context)))]
    if not found:
        raise BadArgument(
            f"Nothing that is set here is called “{which}”." if which else "Which one?",
            hint="Say “watches” for what is set, with the id of each.",
            undone="Nothing was changed.",
        )
    changeable = [each for each in found if _may_change(each, context)]
    if not changeable:
        owner = found[0].owner.name or found[0].owner.id
        raise NotAllowed(
            f"{named(found[0])} was set by {owner}; only they or an admin of the bot may change it.",
            hint=f"Ask {owner}.",
            rule="owner",
        )
    return changeable


def _which(found: list[Watch], buttons: tuple[Button, ...], context: Context) -> Shown:
    card = Card(
        "Which one do you mean?",
        blocks=(Text("Nothing has been changed yet."),),
        buttons=buttons,
        status=Status.ASKED,
    )
    return Shown(card, tuple(touch for each in found for touch in _touched(each, context)))


# --- changing ----------------------------------------------------------------------------------------------------


async def _unwatch(intent: Unwatch, context: Context) -> Shown:
    found = await _found(intent.which, context)
    if len(found) > 1:
        return _which(
            found,
            tuple(
                Button(f"End {each.id}: {_about(each, context)}", Run(Unwatch(which=each.id)))
                for each in found
            ),
            context,
        )
    (watch,) = found
    if not await watches.change(context.store, watch.id, ended_at=context.now):
        raise _gone(watch)
    card = Card(headline(f"Ended: {named(watch).lower()}, {_about(watch, context)}"))
    return Shown(card, _touched(watch, context))


async def _snooze(intent: Snooze, context: Context) -> Shown:
    found = await _found(intent.which, context)
    if len(found) > 1:
        asked = (
            Button(f"{each.id}: {_about(each, context)}", Run(replace(intent, which=each.id)))
            for each in found
        )
        return _which(found, tuple(asked), context)
    (watch,) = found
    until = context.now + (intent.lasting or USUAL_SNOOZE)
    if intent.until is not None:
        until = Schedule(intent.until, watch.zone).next(context.now)
    if not await watches.change(context.store, watch.id, snoozed_until=until):
        raise _gone(watch)
    said = moment(until, watch.zone, context.now, context.reader)
    blocks: tuple[Block, ...] = ()
    if watch.kind is WatchKind.GUARD:
        blocks = (Notice(Tone.WARNING, "While it is silent it asks nothing, and nothing is stopped."),)
    card = Card(
        headline(f"Silent until {said} {watch.zone}: {named(watch).lower()}, {_about(watch, context)}"),
        blocks=blocks,
    )
    return Shown(card, _touched(watch, context))


async def _edit(intent: Edit, context: Context) -> Shown:
    order = intent.to
    if not isinstance(order, ORDERS):
        raise BadArgument(
            "I set only watches, guards, alerts and digests in place of one.",
            hint=f"Say it as in: edit {intent.which or 'k3f7'} guard main job at 23:45",
            undone="Nothing was changed.",
        )
    found = await _found(intent.which, context)
    if len(found) > 1:
        asked = (
            Button(f"{each.id}: {_about(each, context)}", Run(replace(intent, which=each.id)))
            for each in found
        )
        return _which(found, tuple(asked), context)
    return await set_up(replace(order, via=intent.via), context, instead=found[0])


def _gone(watch: Watch) -> BadArgument:
    return BadArgument(f"{watch.id} has ended meanwhile.", undone="Nothing was changed.")


WATCHES = Command(
    example=Watches(),
    summary="what is watched, guarded and told here, with buttons to silence and end it",
    right=Right.READ,
    run=_watches,
    touches=lambda _: (),
    question=False,
)
UNWATCH = Command(
    example=Unwatch(which="k3f7"),
    summary="end a watch, a guard, an alert or a digest",
    right=Right.READ,
    run=_unwatch,
    touches=lambda _: (),
    question=False,
)
SNOOZE = Command(
    example=Snooze(which="k3f7", lasting=timedelta(hours=2)),
    summary="keep one silent for a while",
    right=Right.READ,
    run=_snooze,
    touches=lambda _: (),
    question=False,
)
EDIT = Command(
    example=Edit(which="k3f7", to=GUARD.example),
    summary="set something else in place of one",
    right=Right.READ,
    run=_edit,
    question=False,
)
