"""Watches as rows: who gets one that is due, and what is written of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from bot.model.people import MessageRef, Person, Place, Visibility
from bot.store import Store, watches
from bot.store.watches import Watch, WatchKind
from tests.store.databases import FakeClock

OWNER = Person("slack", "T1", "U1", "alice")
PLACE = Place("slack", "T1", "C1", Visibility.CHANNEL, thread="1.2")
MINUTE = timedelta(minutes=1)


def watch(clock: FakeClock, key: str = "w1", **more: object) -> Watch:
    made = Watch(
        id=key,
        kind=WatchKind.GUARD,
        sentence='guard "main job" at 23:45',
        connection="main",
        owner=OWNER,
        place=PLACE,
        zone="Europe/Berlin",
        created_at=clock.now(),
        due_at=clock.now(),
    )
    return replace(made, **more)  # type: ignore[arg-type] # a test's shorthand


async def claimed(store: Store, clock: FakeClock, most: int = 10) -> list[Watch]:
    return list(await watches.claim(store, clock.now(), clock.now() + MINUTE, most))


async def test_what_was_written_comes_back_and_an_id_is_taken_once(store: Store, clock: FakeClock) -> None:
    made = watch(clock, messages=(MessageRef("slack", PLACE, "m1"),))
    assert await watches.insert(store, made)
    assert not await watches.insert(store, replace(made, sentence="another"))
    assert await watches.load(store, "w1") == made
    assert await watches.load(store, "w'1; --") is None
    assert await watches.living(store, place_key=PLACE.key, owner_key=OWNER.key) == (made,)
    assert await watches.living(store, owner_key="slack:T1:U2") == ()


async def test_one_that_is_due_goes_to_one_program_until_its_lease_ends(
    store: Store, clock: FakeClock
) -> None:
    await watches.insert(store, watch(clock))
    await watches.insert(store, watch(clock, "w2", due_at=clock.now() + MINUTE))
    both = await asyncio.gather(*(claimed(store, clock) for _ in range(4)))
    assert [each.id for found in both for each in found] == ["w1"]
    assert await claimed(store, clock) == []
    clock.advance(60)
    assert [each.id for each in await claimed(store, clock)] == ["w1", "w2"]


async def test_only_who_holds_it_writes_what_became_of_it(store: Store, clock: FakeClock) -> None:
    await watches.insert(store, watch(clock))
    (first,) = await claimed(store, clock)
    clock.advance(61)
    (second,) = await claimed(store, clock)
    assert not await watches.record(store, first, state="late")
    assert await watches.record(store, second, state="seen", due_at=clock.now() + MINUTE)
    kept = await watches.load(store, "w1")
    assert kept is not None
    assert (kept.state, kept.lease_until) == ("seen", None)
    assert await claimed(store, clock) == []
    assert not await watches.record(store, second, state="twice")


async def test_a_lease_can_be_made_longer(store: Store, clock: FakeClock) -> None:
    await watches.insert(store, watch(clock))
    (mine,) = await claimed(store, clock)
    longer = clock.now() + 5 * MINUTE
    assert await watches.renew(store, mine, longer)
    clock.advance(120)
    assert await claimed(store, clock) == []
    assert not await watches.record(store, mine)
    assert await watches.record(store, replace(mine, lease_until=longer))


async def test_what_its_owner_changes_is_not_written_over(store: Store, clock: FakeClock) -> None:
    await watches.insert(store, watch(clock))
    (mine,) = await claimed(store, clock)
    assert await watches.change(store, "w1", sentence='guard "main job" at 23:00')
    assert not await watches.record(store, mine, state="of the old sentence")
    kept = await watches.load(store, "w1")
    assert kept is not None
    assert (kept.sentence, kept.state) == ('guard "main job" at 23:00', "")


async def test_one_that_has_ended_is_gone_for_all(store: Store, clock: FakeClock) -> None:
    await watches.insert(store, watch(clock))
    assert await watches.change(store, "w1", ended_at=clock.now())
    assert not await watches.change(store, "w1", ended_at=clock.now())
    assert await watches.load(store, "w1") is None
    assert await claimed(store, clock) == []
