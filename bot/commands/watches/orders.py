"""Setting a watch, a guard, an alert or a digest: it is set once its card stands where it will speak."""

from __future__ import annotations

from dataclasses import replace
from datetime import time, timedelta
from hashlib import sha256
from itertools import count
from zoneinfo import ZoneInfo

import structlog

from bot.audience import Shown
from bot.celonis import Identity
from bot.celonis.request import Call, segment
from bot.commands.command import Command, Context
from bot.commands.curl import Curl, command_line
from bot.commands.jobs import latest_run
from bot.commands.jobs import said as state
from bot.commands.kpis import Kpis, ShowKpi
from bot.commands.kpis.question import Question
from bot.commands.watches.asked import Unwatch, Watches
from bot.commands.watches.said import about, does, kind_of, named, plain, when
from bot.language.declare import CelonisIntent
from bot.language.say import say
from bot.model.cards import (
    Answer,
    Block,
    Button,
    Card,
    Everyone,
    Fact,
    Facts,
    Number,
    Run,
    Status,
    Text,
    Words,
    headline,
)
from bot.model.errors import BadArgument, Undelivered
from bot.model.intents import Bound, Intent, Op
from bot.model.names import Name
from bot.model.people import MessageRef, Place, Visibility
from bot.policy import Right, Touch
from bot.render.values import write
from bot.store import watches
from bot.store.watches import Watch
from bot.watching.orders import Digest, GuardJob, GuardPool, WatchJob, WatchKpi, WatchPool, schedule_of
from bot.writes.guarded import touches

log = structlog.get_logger()

ID_LENGTH = 4
_ID = ("abcdefghjkmnpqrstuvwxyz", "23456789")
_POOLS = "/integration/api/pools"
NOT_SET = "Nothing was set."
SOON = (timedelta(minutes=30), timedelta(hours=1), timedelta(hours=2))
"""Times that are offered where nobody said one."""


async def set_up(order: CelonisIntent, context: Context, *, instead: Watch | None = None) -> Shown:
    """Sets what was asked for, and proves that it can speak there.

    Args:
        order: What was asked for, resolved.
        context: Of the request.
        instead: What it takes the place of; its id, owner and place stay.

    Raises:
        BadArgument, NotAllowed: It cannot be set, or not by this person.
        Undelivered: It could not have spoken there.
    """
    if isinstance(order, GuardJob | GuardPool) and order.at is None:
        return _at_what_time(order, context)
    touched = await context.catalog.spelt(touches(order))
    _check_rights(order, touched, context)
    order, now = await _looked_at(order, context)
    place, private = await _place(touched, context, instead)
    await _check_room(order, place, context, instead)
    schedule = schedule_of(order, context.reader.zone)
    watch = Watch(
        id=instead.id if instead else "",
        kind=kind_of(order),
        sentence=say(order),
        connection=context.connection,
        owner=instead.owner if instead else context.asker.person,
        place=place,
        zone=context.reader.zone,
        created_at=context.now,
        # Nothing is looked at before the card stands.
        due_at=schedule.next(context.now) if schedule else context.now + timedelta(minutes=1),
    )
    if instead is None:
        watch = await _kept(watch, context)
    ref = await _posted(await _card(order, watch, now, context), watch, context, new=instead is None)
    await watches.change(
        context.store,
        watch.id,
        kind=watch.kind,
        sentence=watch.sentence,
        connection=watch.connection,
        zone=watch.zone,
        due_at=watch.due_at,
        state="",
        messages=(ref,),
        snoozed_until=None,
    )
    if private:
        await _told_without_data(context)
    return _reply(order, watch, touched, context, private=private)


async def _kept(watch: Watch, context: Context) -> Watch:
    """Writes a new watch, under an id that nothing else has."""
    for number in count():
        seed = f"{watch.place.key} {watch.owner.key} {watch.sentence} {watch.created_at} {number}"
        named = replace(watch, id=short_id(seed, ID_LENGTH + number // 8))
        if await watches.insert(context.store, named):
            return named
    raise AssertionError  # pragma: no cover - the ids grow


def short_id(seed: str, length: int) -> str:
    """An id that follows from a text: letters and digits in turn, none of which looks like another."""
    number, found = int.from_bytes(sha256(seed.encode()).digest()), ""
    for at in range(length):
        number, digit = divmod(number, len(_ID[at % 2]))
        found += _ID[at % 2][digit]
    return found


async def _posted(card: Card, watch: Watch, context: Context, *, new: bool) -> MessageRef:
    """The card, where the watch will speak.

    Raises:
        Undelivered: It cannot be posted there; then nothing is set.
    """
    assert context.chat is not None  # whoever asks here speaks on it
    try:
        return await context.chat.post(watch.place, Answer(card, Everyone(), context.reader))
    except Undelivered as error:
        if new:
            await watches.change(context.store, watch.id, ended_at=context.now)
        raise Undelivered(
            f"I could not post where it would speak, so it is not set: {error.sentence}",
            hint=error.hint,
            undone="Nothing was changed." if not new else NOT_SET,
        ) from error


async def _told_without_data(context: Context) -> None:
    """A line for those who read along where the data may not be seen."""
    assert context.chat is not None
    person = context.asker.profile.name or context.asker.person.name or context.asker.person.id
    card = Card(headline(f"{person} had something set that speaks in their direct message"))
    try:
        await context.chat.post(context.asker.place, Answer(card, Everyone(), context.reader))
    except Undelivered as error:
        log.warning("line about a watch not delivered", error=error.sentence)


# --- what is looked at before ------------------------------------------------------------------------------------


def _check_rights(order: CelonisIntent, touched: tuple[Touch, ...], context: Context) -> None:
    """Whether this person may have it set.

    Raises:
        NotAllowed: They may not see it, or not stop it.
        BadArgument: The bot only reads there, or the sentence is none that can be told again.
    """
    policy, asker = context.policy, context.asker
    policy.may_all(asker, Right.READ, touched).require()
    if isinstance(order, GuardJob | GuardPool):
        if context.asking.read_only:
            raise BadArgument(
                f"I only read from {context.connection}, so a guard there could stop nothing.",
                hint="Say “watch” instead of “guard” to be told.",
                undone=NOT_SET,
            )
        policy.may_all(asker, Right.CANCEL, touched).require()
    if isinstance(order, Digest):
        command = next((each for each in context.table if each.intent is type(order.of)), None)
        tells = isinstance(command, Command) and command.right is Right.READ and command.question
        if not tells or not isinstance(order.of, CelonisIntent) or isinstance(order.of, Curl):
            raise BadArgument(
                "At set times I tell only answers about data.",
                hint=f"Say it as in: {say(DIGEST.example)}",
                undone=NOT_SET,
            )


async def _looked_at(order: CelonisIntent, context: Context) -> tuple[CelonisIntent, str]:
    """What is asked for, read once live, and how that stands now."""
    match order:
        case (
            WatchJob(job=Name() as job, pool=Name() as pool)
            | GuardJob(job=Name() as job, pool=Name() as pool)
        ):
            run = await latest_run(pool, job, context.fresh())
            return order, f"Now: {state(run.status)}"
        case WatchPool(pool=Name() as pool) | GuardPool(pool=Name() as pool):
            statuses = await context.fresh().asking.job_statuses(pool.id)
            active = sum(each.status in {"RUNNING", "QUEUED"} for each in statuses)
            return order, f"Now: {active} of {len(statuses)} data jobs active"
        case WatchKpi():
            return await _measured(order, context)
        case _:
            return order, ""


async def _measured(order: WatchKpi, context: Context) -> tuple[WatchKpi, str]:
    if order.kpi is None:
        raise BadArgument(
            "No KPI is named to watch.", hint=f"Say it as in: {say(ALERT.example)}", undone=NOT_SET
        )
    asked = ShowKpi(
        kpis=(order.kpi,), model=order.model, where=order.where, filter=order.filter, via=order.via
    )
    question = await Question.of(asked, context.fresh())
    cell = (await question.row(order.where)).cell(question.lead, part=question.narrowed)
    if not isinstance(cell, Number):
        raise BadArgument(f"{order.kpi.text} has no value now that I could watch.", undone=NOT_SET)
    line = order.crosses
    if line is None and not question.lead.has_target:
        raise BadArgument(
            f"{order.kpi.text} has no target to watch it against.",
            hint=f"Say a line, as in: {say(ALERT.example)}",
            undone=NOT_SET,
        )
    if line is not None:
        order = replace(order, crosses=_line(line, cell, order.kpi))
    return order, f"Now: {write(cell, context.reader)}"


def _line(line: Bound, cell: Number, kpi: Name) -> Bound:
    """A line in the unit of a KPI: of one that is written in percent, `80` means `80%`."""
    written = line.value.replace(" ", "")
    if "," in written and "." not in written:
        written = written.replace(",", ".")
    number, share = written.removesuffix("%"), "%" in cell.format or cell.unit.strip() == "%"
    if not share and written.endswith("%"):
        raise BadArgument(f"{kpi.text} is not in percent.", hint="Say the line as a number.", undone=NOT_SET)
    try:
        float(number)
    except ValueError:
        raise BadArgument(
            f"“{line.value}” is no number.", hint="Say it as in 90, 12.5 or 90%.", undone=NOT_SET
        ) from None
    return Bound(line.op, f"{number}%" if share else number)


async def _place(touched: tuple[Touch, ...], context: Context, instead: Watch | None) -> tuple[Place, bool]:
    """Where it speaks, and whether that is the person's own place since this one may not see it.

    Raises:
        BadArgument: It is to speak elsewhere.
        Undelivered: Neither here nor there.
    """
    place, asker = replace(context.asker.place, thread=""), context.asker
    open_here = place.visibility is Visibility.PERSONAL or context.public(touched)
    if instead is not None:
        own = instead.place.visibility is Visibility.PERSONAL and instead.owner.key == asker.person.key
        if own or (instead.place.key == place.key and open_here):
            return instead.place, False
        raise BadArgument(
            "It speaks in another place, or this one may not see that.",
            hint=f"Say it where {instead.id} speaks, or end it and set a new one.",
            undone="Nothing was changed.",
        )
    if open_here:
        return place, False
    direct = await context.chat.direct(asker.person) if context.chat else None
    if direct is None:
        raise Undelivered(
            "This place may not see that, and I cannot write to you directly.",
            hint="Open a direct message with me, and ask there.",
            undone=NOT_SET,
        )
    return direct, True


async def _check_room(order: Intent, place: Place, context: Context, instead: Watch | None) -> None:
    """Whether it is not there already, and there is room for it.

    Raises:
        BadArgument: It is, or there is none.
    """
    here = await watches.living(context.store, place_key=place.key)
    same = next((each for each in here if each.sentence == say(order)), None)
    if same is not None:
        raise BadArgument(
            f"That is set there already: {same.id}.", hint=f"“unwatch {same.id}” ends it.", undone=NOT_SET
        )
    if instead is not None:
        return
    mine = await watches.living(context.store, owner_key=context.asker.person.key)
    limits = context.watching
    for found, most, who in (
        (mine, limits.per_person, "one person"),
        (here, limits.per_place, "one place"),
    ):
        if len(found) >= most:
            raise BadArgument(
                f"{who.capitalize()} may have {most} of these at most, and has {len(found)}.",
                hint="Say “watches” and end some.",
                undone=NOT_SET,
            )


# --- cards -------------------------------------------------------------------------------------------------------


def _at_what_time(order: GuardJob | GuardPool, context: Context) -> Shown:
    """Asks for the time of a guard; nothing is set."""
    now = context.now.astimezone(ZoneInfo(context.reader.zone))
    soon = [now + each for each in SOON]
    at = [time(each.hour, each.minute // 15 * 15) for each in soon]
    return Shown(
        Card(
            headline(f"When should I look after {about(order)}?"),
            blocks=(Text(f"Say it as in: {plain(replace(order, at=time(23, 45)))}. {NOT_SET}"),),
            buttons=tuple(Button(f"At {each:%H:%M}", Run(replace(order, at=each))) for each in at),
            source=context.live_source(),
            status=Status.ASKED,
        ),
        touches(order),
    )


async def _card(order: CelonisIntent, watch: Watch, now: str, context: Context) -> Card:
    """The card that stands where a watch will speak: the proof that it can."""
    comes = when(order, watch.zone, context.now, context.reader)
    owner = context.asker.profile.name or watch.owner.name or watch.owner.id
    facts = [
        *((Fact("When", Words(comes)),) if comes else ()),
        Fact("About", Words(about(order))),
        Fact("Set by", Words(owner)),
        Fact("End it", Words(f"unwatch {watch.id}")),
    ]
    first = comes.partition(";")[0].partition(",")[0]
    return Card(
        headline(f"{named(watch)} is set: {', '.join(filter(None, (about(order), first)))}"),
        title=named(watch),
        blocks=(
            Text(does(order)),
            Facts(tuple(facts)),
            *((Text(now, quiet=True),) if now else ()),
            *await _without_me(order, context),
        ),
        buttons=(
            Button("End it", Run(Unwatch(which=watch.id))),
            Button("All that is set here", Run(Watches())),
        ),
        source=context.live_source(),
    )


def _reply(
    order: CelonisIntent, watch: Watch, touched: tuple[Touch, ...], context: Context, *, private: bool
) -> Shown:
    """What answers whoever asked: the card that stands where it speaks says the rest."""
    comes = when(order, watch.zone, context.now, context.reader).partition(";")[0]
    where = (
        "in our direct message, since not everybody here may see it" if private else "in a message of its own"
    )
    return Shown(
        Card(
            headline(f"{named(watch)} is set: {', '.join(filter(None, (about(order), comes)))}"),
            blocks=(Text(f"Its card stands {where}; there it will speak, too."),),
            source=context.live_source(),
        ),
        None if private else touched,
    )


async def _without_me(order: CelonisIntent, context: Context) -> tuple[Block, ...]:
    """How to do without the bot what it was asked for: the page in Celonis, and the calls."""
    url = context.celonis.connection.url
    match order:
        case (
            WatchJob(job=Name() as job, pool=Name() as pool)
            | GuardJob(job=Name() as job, pool=Name() as pool)
        ):
            path = f"{_POOLS}/{segment(pool.id)}/jobs/{segment(job.id)}"
            calls = [Call("GET", path)]
        case WatchPool(pool=Name() as pool) | GuardPool(pool=Name() as pool):
            path = f"{_POOLS}/{segment(pool.id)}/jobs/<job id>"
            calls = [Call("GET", f"{_POOLS}/{segment(pool.id)}/logs/status")]
        case _:
            return ()
    if isinstance(order, GuardJob | GuardPool):
        calls.append(Call("POST", f"{path}/cancel"))
    scheme = "AppKey" if (await context.asking.key()).identity is Identity.APPLICATION else "Bearer"
    page = f"{url}/integration/ui/pools/{segment(pool.id)}"
    return (
        Text(f"Without me: {page}, or with a key of your own:", quiet=True),
        *(Text(command_line(each, url, scheme), code=True) for each in calls),
    )


# --- commands ----------------------------------------------------------------------------------------------------


async def _set(intent: CelonisIntent, context: Context) -> Shown:
    return await set_up(intent, context)


WATCH = Command(
    example=WatchJob(job=Name("main job"), pool=Name("SAP ECC"), on=("failed",)),
    summary="be told how the runs of a data job end, or that they take too long",
    right=Right.READ,
    run=_set,
    question=False,
)
WATCH_POOL = Command(
    example=WatchPool(pool=Name("SAP ECC"), on=("failed", "slow")),
    summary="the same for every data job in a data pool",
    right=Right.READ,
    run=_set,
    question=False,
)
ALERT = Command(
    example=WatchKpi(kpi=Name("On-time delivery"), model=Name("Order to Cash"), crosses=Bound(Op.LT, "90%")),
    summary="be told when a KPI crosses a line, and when it is back",
    right=Right.READ,
    run=_set,
    question=False,
)
GUARD = Command(
    example=GuardJob(
        job=Name("main job"),
        pool=Name("SAP ECC"),
        at=time(23, 45),
        until=time(0, 15),
        days=("weekday",),
    ),
    summary="be asked at a time whether to stop a data job that is still active",
    right=Right.CANCEL,
    run=_set,
    question=False,
)
GUARD_POOL = Command(
    example=GuardPool(pool=Name("SAP ECC"), at=time(23, 45)),
    summary="the same for every data job in a data pool",
    right=Right.CANCEL,
    run=_set,
    question=False,
)
DIGEST = Command(
    example=Digest(days=("monday",), at=time(8), of=Kpis(model=Name("Order to Cash"))),
    summary="be told an answer again and again, at set times",
    right=Right.READ,
    run=_set,
    question=False,
)
