import asyncio
import contextlib
import copy
import multiprocessing
import pickle
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from multiprocessing.synchronize import Barrier

import pytest

from bot.model.approval import Approval
from bot.model.clock import SystemClock
from bot.model.errors import ApprovalSpent, StoreUnavailable, TicketGone
from bot.model.people import MessageRef, Person, Place, Visibility
from bot.store import Store
from bot.writes.ticket import Claimed, Lost, Outcome, State, Ticket, Tickets
from tests.store.databases import FakeClock, nowhere, tokens

CLERK = Person("slack", "T1", "U1", "the clerk")
OPERATOR = Person("slack", "T1", "U2", "operator")
NIGHT_SHIFT = Place("slack", "T1", "C1", Visibility.CHANNEL, thread="17.5", name="night shift")
FIVE_MINUTES = timedelta(minutes=5)


@dataclass(frozen=True)
class Run:
    pool: str
    job: str
    execution: str
    since: datetime


@dataclass(frozen=True)
class CancelRuns:
    connection: str
    runs: tuple[Run, ...]


@dataclass(frozen=True)
class StartJob:
    connection: str
    job: str
    share: Decimal


A = Run("p1", "j1", "e1", datetime(2026, 3, 2, 20, 10, tzinfo=UTC))
B = Run("p1", "j2", "e2", datetime(2026, 3, 2, 21, 10, tzinfo=UTC))
BOTH = CancelRuns("team", (A, B))


def make(store: Store, clock: FakeClock) -> Tickets:
    return Tickets(store, clock, tokens().__next__)


@pytest.fixture
def tickets(store: Store, clock: FakeClock) -> Tickets:
    return make(store, clock)


async def ask(tickets: Tickets, target: object = BOTH, place: Place = NIGHT_SHIFT) -> Ticket:
    return await tickets.open(
        command="cancel",
        sentence='cancel "main job" #j1',
        target=target,
        connection="team",
        asker=CLERK,
        place=place,
        expires_in=FIVE_MINUTES,
    )


async def claim(tickets: Tickets, ticket: Ticket) -> Claimed:
    claimed = await tickets.claim(ticket.id, OPERATOR)
    assert isinstance(claimed, Claimed)
    return claimed


async def state(tickets: Tickets, ticket: Ticket) -> State:
    found = await tickets.load(ticket.id)
    assert found is not None
    return found.state


async def test_a_question_is_stored_as_it_was_asked(tickets: Tickets, clock: FakeClock) -> None:
    ticket = await ask(tickets)
    assert await tickets.load(ticket.id) == ticket
    assert ticket.state is State.OPEN
    assert ticket.expires_at - clock.now() == FIVE_MINUTES


async def test_the_message_with_the_question_is_noted_even_after_a_claim(tickets: Tickets) -> None:
    ticket = await ask(tickets)
    await claim(tickets, ticket)
    ref = MessageRef("slack", NIGHT_SHIFT, "C1/17.9")
    await tickets.attach(ticket.id, ref)
    found = await tickets.load(ticket.id)
    assert found is not None
    assert found.messages == (ref,)


@pytest.mark.parametrize(
    "key", ["", "unknown", "\0", "\ud800", "' OR 1=1 --", "é" * 40, "x" * 100_000, "ticket-1\n", "ticket-1 "]
)
async def test_any_text_may_be_asked_for(tickets: Tickets, key: str) -> None:
    ticket = await ask(tickets)
    assert await tickets.load(key) is None
    assert await tickets.claim(key, CLERK) == Lost(None)
    assert not await tickets.dismiss(key, CLERK)
    assert not await tickets.finish(key, Outcome.STOPPED)
    assert await state(tickets, ticket) is State.OPEN


async def test_of_many_clicks_at_once_one_wins(
    address: str, store: Store, clock: FakeClock, tickets: Tickets
) -> None:
    ticket = await ask(tickets)
    async with await Store.open(address, clock) as second:
        replicas = [tickets, make(second, clock)]
        clicks = await asyncio.gather(
            *(replicas[n % 2].claim(ticket.id, (CLERK, OPERATOR)[n % 3 % 2]) for n in range(12))
        )
    won = [click for click in clicks if isinstance(click, Claimed)]
    lost = [click for click in clicks if isinstance(click, Lost)]
    assert (len(won), len(lost)) == (1, 11)
    assert {click.ticket.claimed_by for click in lost if click.ticket} == {won[0].ticket.claimed_by}


def _click(address: str, key: str, start: Barrier, results: "multiprocessing.Queue[bool]") -> None:
    async def once() -> bool:
        clock = SystemClock()
        async with await Store.open(address, clock) as store:
            mine = Tickets(store, clock, tokens().__next__)
            await asyncio.to_thread(start.wait, 30)
            return isinstance(await mine.claim(key, CLERK), Claimed)

    results.put(asyncio.run(once()))


async def test_of_many_programs_one_wins(address: str) -> None:
    clock = SystemClock()
    async with await Store.open(address, clock) as store:
        ticket = await ask(Tickets(store, clock, tokens().__next__))
    spawn = multiprocessing.get_context("spawn")
    start, results = spawn.Barrier(3), spawn.Queue()
    programs = [spawn.Process(target=_click, args=(address, ticket.id, start, results)) for _ in range(3)]
    for program in programs:
        program.start()
    won = [await asyncio.to_thread(results.get, timeout=60) for _ in programs]
    for program in programs:
        await asyncio.to_thread(program.join, 60)
    assert sorted(won) == [False, False, True]


async def test_a_claim_is_approved_and_hits_each_part_once(tickets: Tickets) -> None:
    ticket = await ask(tickets)
    claimed = await claim(tickets, ticket)
    approval = tickets.approve(claimed, CancelRuns)
    assert (approval.target, approval.by) == (BOTH, OPERATOR)
    assert await tickets.sending(claimed.ticket)
    approval.use(A)
    with pytest.raises(ApprovalSpent):
        approval.use(A)
    with pytest.raises(ApprovalSpent):
        approval.use(replace(B, execution="e3"))
    with pytest.raises(ApprovalSpent):
        approval.use(BOTH)
    approval.use(B)
    assert await tickets.finish(ticket.id, Outcome.STOPPED, "both")
    found = await tickets.load(ticket.id)
    assert found is not None
    assert (found.state, found.outcome, found.outcome_note) == (State.DONE, Outcome.STOPPED, "both")


async def test_a_target_without_parts_is_hit_once_as_a_whole(tickets: Tickets) -> None:
    target = StartJob("team", "j1", Decimal("0.10"))
    claimed = await claim(tickets, await ask(tickets, target))
    approval = tickets.approve(claimed, StartJob)
    await tickets.sending(claimed.ticket)
    with pytest.raises(ApprovalSpent):
        approval.use("j1")
    approval.use(approval.target)
    with pytest.raises(ApprovalSpent):
        approval.use(approval.target)


async def test_a_part_named_twice_is_hit_once(tickets: Tickets) -> None:
    claimed = await claim(tickets, await ask(tickets, CancelRuns("team", (A, A))))
    approval = tickets.approve(claimed, CancelRuns)
    await tickets.sending(claimed.ticket)
    approval.use(A)
    with pytest.raises(ApprovalSpent):
        approval.use(A)


async def test_nothing_passes_before_the_write_is_noted(tickets: Tickets) -> None:
    claimed = await claim(tickets, await ask(tickets))
    approval = tickets.approve(claimed, CancelRuns)
    with pytest.raises(ApprovalSpent, match="not noted"):
        approval.use(A)


async def test_nothing_passes_after_the_end(tickets: Tickets) -> None:
    claimed = await claim(tickets, await ask(tickets))
    approval = tickets.approve(claimed, CancelRuns)
    await tickets.sending(claimed.ticket)
    await tickets.finish(claimed.ticket.id, Outcome.FAILED)
    with pytest.raises(ApprovalSpent, match="over"):
        approval.use(A)


@pytest.mark.parametrize("only", ["wall", "monotonic"])
async def test_a_program_that_slept_through_its_lease_sends_nothing(
    tickets: Tickets, clock: FakeClock, only: str
) -> None:
    claimed = await claim(tickets, await ask(tickets))
    approval = tickets.approve(claimed, CancelRuns)
    await tickets.sending(claimed.ticket)
    if only == "wall":
        clock.at += timedelta(seconds=60)
    else:
        clock.seconds += 60
    with pytest.raises(ApprovalSpent, match="too old"):
        approval.use(A)


async def test_a_kept_lease_keeps_the_approval_alive(tickets: Tickets, clock: FakeClock) -> None:
    claimed = await claim(tickets, await ask(tickets))
    approval = tickets.approve(claimed, CancelRuns)
    await tickets.sending(claimed.ticket)
    for _ in range(5):
        clock.advance(50)
        assert await tickets.keep(claimed.ticket)
    assert await tickets.abandoned() == ()
    approval.use(A)


async def test_a_claim_is_approved_once_and_only_where_it_was_made(
    store: Store, clock: FakeClock, tickets: Tickets
) -> None:
    claimed = await claim(tickets, await ask(tickets))
    with pytest.raises(ApprovalSpent):
        make(store, clock).approve(claimed, CancelRuns)
    tickets.approve(claimed, CancelRuns)
    with pytest.raises(ApprovalSpent):
        tickets.approve(claimed, CancelRuns)
    forged = Claimed(await ask(make_with(store, clock, "forged")))
    with pytest.raises(ApprovalSpent):
        tickets.approve(forged, CancelRuns)


def make_with(store: Store, clock: FakeClock, key: str) -> Tickets:
    return Tickets(store, clock, lambda: key)


async def test_a_target_of_another_type_is_refused(tickets: Tickets) -> None:
    claimed = await claim(tickets, await ask(tickets))
    with pytest.raises(TicketGone, match="another version"):
        tickets.approve(claimed, StartJob)


async def test_an_approval_has_one_life(tickets: Tickets) -> None:
    claimed = await claim(tickets, await ask(tickets))
    approval = tickets.approve(claimed, CancelRuns)
    for copying in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            copying(approval)
    with pytest.raises(TypeError):
        Approval(object(), by=CLERK, target=BOTH, current=str)
    with pytest.raises(AttributeError):
        approval.target = BOTH  # type: ignore[misc] # the point
    assert repr(approval) == "<Approval of CancelRuns by slack:T1:U2, 2 left>"


@dataclass
class Loose:
    job: str


@dataclass(frozen=True)
class Lossy:
    what: object


@pytest.mark.parametrize("target", ["j1", Loose("j1"), Lossy(datetime(2026, 3, 2, tzinfo=UTC)), CancelRuns])
async def test_only_a_frozen_dataclass_that_survives_json_is_a_target(
    tickets: Tickets, target: object
) -> None:
    with pytest.raises(TypeError):
        await ask(tickets, target)


async def test_names_with_anything_in_them_come_back(tickets: Tickets) -> None:
    wild = StartJob("team", "a\0b\ud800 \u202e <@U1> 'x\" 漢字 \U0001f600", Decimal(1))
    claimed = await claim(tickets, await ask(tickets, wild))
    job = tickets.approve(claimed, StartJob).target.job
    assert job == "a\0b\ufffd \u202e <@U1> 'x\" 漢字 \U0001f600"


async def test_a_question_that_ran_out_is_never_claimed(tickets: Tickets, clock: FakeClock) -> None:
    ticket = await ask(tickets)
    clock.advance(300)
    lost = await tickets.claim(ticket.id, OPERATOR)
    assert isinstance(lost, Lost)
    assert lost.ticket is not None
    assert (lost.ticket.state, lost.ticket.finished_at) == (State.EXPIRED, clock.now())
    assert await tickets.expire_due() == ()


async def test_a_question_can_be_answered_until_its_very_end(tickets: Tickets, clock: FakeClock) -> None:
    ticket = await ask(tickets)
    clock.advance(299.999)
    await claim(tickets, ticket)


async def test_each_question_that_ran_out_is_told_to_one_caller(
    address: str, tickets: Tickets, clock: FakeClock
) -> None:
    asked = [await ask(tickets) for _ in range(3)]
    await claim(tickets, asked[0])
    clock.advance(301)
    async with await Store.open(address, clock) as second:
        told = await asyncio.gather(*(each.expire_due() for each in (tickets, make(second, clock)) * 2))
    assert sorted(ticket.id for batch in told for ticket in batch) == sorted(
        ticket.id for ticket in asked[1:]
    )
    assert {ticket.state for batch in told for ticket in batch} == {State.EXPIRED}


async def test_no_ends_a_question_and_yes_comes_too_late(tickets: Tickets) -> None:
    ticket = await ask(tickets)
    assert await tickets.dismiss(ticket.id, OPERATOR)
    assert not await tickets.dismiss(ticket.id, CLERK)
    lost = await tickets.claim(ticket.id, CLERK)
    assert isinstance(lost, Lost)
    assert lost.ticket is not None
    assert (lost.ticket.state, lost.ticket.claimed_by) == (State.DISMISSED, OPERATOR)


async def test_no_after_the_end_leaves_it_expired(tickets: Tickets, clock: FakeClock) -> None:
    ticket = await ask(tickets)
    clock.advance(300)
    assert not await tickets.dismiss(ticket.id, CLERK)
    assert await state(tickets, ticket) is State.EXPIRED


async def test_a_program_that_died_before_sending_has_sent_nothing(
    store: Store, tickets: Tickets, clock: FakeClock
) -> None:
    claimed = await claim(tickets, await ask(tickets))
    survivor = make(store, clock)
    clock.advance(59)
    assert await survivor.abandoned() == ()
    clock.advance(1)
    (found,) = await survivor.abandoned()
    assert (found.state, found.outcome) == (State.ABANDONED, Outcome.NOTHING_SENT)
    assert await survivor.abandoned() == ()
    assert not await tickets.sending(claimed.ticket)
    assert not await tickets.keep(claimed.ticket)
    assert not await tickets.finish(claimed.ticket.id, Outcome.STOPPED)


async def test_a_program_that_woke_up_late_cannot_announce_its_write(
    tickets: Tickets, clock: FakeClock
) -> None:
    claimed = await claim(tickets, await ask(tickets))
    clock.advance(60)
    assert not await tickets.sending(claimed.ticket)
    assert await state(tickets, claimed.ticket) is State.CLAIMED


async def test_a_write_in_doubt_goes_to_one_survivor_who_cannot_send(
    address: str, store: Store, tickets: Tickets, clock: FakeClock
) -> None:
    claimed = await claim(tickets, await ask(tickets))
    approval = tickets.approve(claimed, CancelRuns)
    assert await tickets.sending(claimed.ticket)
    clock.advance(60)
    async with await Store.open(address, clock) as second:
        survivors = [make(store, clock), make(second, clock)]
        taken = await asyncio.gather(*(each.abandoned() for each in survivors * 2))
        (found,) = [ticket for batch in taken for ticket in batch]
        assert found.state is State.SENDING
        owner = survivors[[bool(batch) for batch in taken].index(True) % 2]
        assert await owner.keep(found)
        assert not await tickets.keep(claimed.ticket)
        with pytest.raises(ApprovalSpent):
            owner.approve(Claimed(found), CancelRuns)
        with pytest.raises(ApprovalSpent):
            approval.use(A)
        assert await owner.finish(found.id, Outcome.UNKNOWN)
        assert not await tickets.finish(found.id, Outcome.STOPPED)


async def test_a_survivor_that_dies_too_is_followed_by_the_next(
    store: Store, tickets: Tickets, clock: FakeClock
) -> None:
    claimed = await claim(tickets, await ask(tickets))
    await tickets.sending(claimed.ticket)
    for _ in range(3):
        clock.advance(60)
        (found,) = await make(store, clock).abandoned()
        assert found.state is State.SENDING


async def test_one_abandoned_ticket_is_taken_and_the_others_are_left(
    store: Store, tickets: Tickets, clock: FakeClock
) -> None:
    claimed = [await claim(tickets, await ask(tickets)) for _ in range(4)]
    for each in claimed[2:]:
        assert await tickets.sending(each.ticket)
    clock.advance(60)
    survivor = make(store, clock)
    assert await survivor.abandoned("unknown") == await survivor.abandoned("\0") == ()
    for index in (0, 2):
        (found,) = await survivor.abandoned(claimed[index].ticket.id)
        assert found.id == claimed[index].ticket.id
    assert {each.id for each in await survivor.abandoned()} == {claimed[1].ticket.id, claimed[3].ticket.id}


async def test_a_write_is_announced_once(tickets: Tickets) -> None:
    claimed = await claim(tickets, await ask(tickets))
    assert await tickets.sending(claimed.ticket)
    assert not await tickets.sending(claimed.ticket)


async def test_an_unclaimed_question_cannot_be_announced_or_finished(tickets: Tickets) -> None:
    ticket = await ask(tickets)
    assert not await tickets.sending(ticket)
    assert not await tickets.keep(ticket)
    assert not await tickets.finish(ticket.id, Outcome.STOPPED)
    assert await state(tickets, ticket) is State.OPEN


async def test_the_first_end_counts(tickets: Tickets) -> None:
    claimed = await claim(tickets, await ask(tickets))
    assert await tickets.finish(claimed.ticket.id, Outcome.ALREADY_OVER)
    assert not await tickets.finish(claimed.ticket.id, Outcome.STOPPED)
    found = await tickets.load(claimed.ticket.id)
    assert found is not None
    assert found.outcome is Outcome.ALREADY_OVER


async def test_the_open_questions_of_a_place_are_found(tickets: Tickets, clock: FakeClock) -> None:
    elsewhere = replace(NIGHT_SHIFT, id="C2")
    first = await ask(tickets)
    clock.advance(1)
    second = await ask(tickets, place=replace(NIGHT_SHIFT, thread=""))
    other = await ask(tickets, place=elsewhere)
    assert await tickets.open_in(NIGHT_SHIFT.key) == (first, second)
    assert await tickets.open_in(elsewhere.key) == (other,)
    await claim(tickets, second)
    assert await tickets.open_in(NIGHT_SHIFT.key) == (first,)
    clock.advance(300)
    assert await tickets.open_in(NIGHT_SHIFT.key) == ()


@contextlib.contextmanager
def broken(store: Store) -> Iterator[None]:
    """The database is gone for a while."""
    there, store._database = store._database, nowhere()
    try:
        yield
    finally:
        store._database = there


async def test_without_the_database_nothing_can_be_confirmed_or_sent(store: Store, tickets: Tickets) -> None:
    ticket = await ask(tickets)
    with broken(store), pytest.raises(StoreUnavailable):
        await tickets.claim(ticket.id, CLERK)
    claimed = await claim(tickets, ticket)
    approval = tickets.approve(claimed, CancelRuns)
    with broken(store), pytest.raises(StoreUnavailable):
        await tickets.sending(claimed.ticket)
    with pytest.raises(ApprovalSpent):
        approval.use(A)


async def test_renewing_while_the_call_is_announced_is_not_taken_for_a_loss(tickets: Tickets) -> None:
    for _ in range(10):
        claim = await tickets.claim((await ask(tickets)).id, OPERATOR)
        assert isinstance(claim, Claimed)
        kept = await asyncio.gather(
            tickets.keep(claim.ticket), tickets.sending(claim.ticket), tickets.keep(claim.ticket)
        )
        assert all(kept)
