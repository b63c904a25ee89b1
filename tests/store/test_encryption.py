"""What people typed stands in the database as nobody can read it without the secret key."""

from datetime import timedelta
from pathlib import Path

import pytest

from bot.model.people import Person, Place, Visibility
from bot.store import Store, schema, tickets
from bot.store.tickets import Ticket
from tests.store.databases import FakeClock, put

OLD, NEW = b"made-up key of last year" * 2, b"made-up key of this year" * 2
TYPED = "kpis of the Zanzibar plan"
HOUR = timedelta(hours=1)
CLERK = Person("slack", "T1", "U1")
PLACE = Place("slack", "T1", "C1", Visibility.CHANNEL)


async def keep_all(store: Store, clock: FakeClock) -> str:
    """Everything that holds what somebody typed."""
    await store.keep_last(["a thread"], TYPED, HOUR)
    until = clock.now() + HOUR
    await tickets.insert(
        store, Ticket("ticket1", "cancel", TYPED, "{}", "main", CLERK, PLACE, clock.now(), until)
    )
    return await store.keep_sentence(TYPED)


async def read_all(store: Store, key: str) -> list[str | None]:
    ticket = await tickets.load(store, "ticket1")
    return [
        await store.sentence(key),
        await store.last("a thread"),
        ticket.sentence if ticket else None,
    ]


def files(folder: Path) -> bytes:
    return b"".join(each.read_bytes() for each in folder.rglob("*") if each.is_file())


async def raw(store: Store, address: str, folder: Path) -> bytes:
    """All that the database holds, past the store."""
    if store.dialect == "sqlite":
        return files(folder)
    rows = await store.read(
        lambda connection: [
            connection.execute(each.select()).all() for each in schema.metadata.tables.values()
        ]
    )
    return repr(rows).encode()


async def test_nothing_that_somebody_typed_is_in_the_clear_in_the_database(
    address: str, clock: FakeClock, tmp_path: Path
) -> None:
    async with await Store.open(address, clock, secret_keys=[NEW]) as store:
        key = await keep_all(store, clock)
        assert await read_all(store, key) == [TYPED] * 3
        await put(store, "in the clear", "a word that is found")
        held = await raw(store, address, tmp_path)
    assert b"a word that is found" in held
    assert b"Zanzibar" not in held


async def test_a_new_key_before_the_old_one_reads_on_and_writes_with_the_new_one(
    address: str, clock: FakeClock
) -> None:
    async with await Store.open(address, clock, secret_keys=[OLD]) as store:
        old = await keep_all(store, clock)
    async with await Store.open(address, clock, secret_keys=[NEW, OLD]) as store:
        assert await read_all(store, old) == [TYPED] * 3
        new = await store.keep_sentence(TYPED)
    async with await Store.open(address, clock, secret_keys=[NEW]) as store:
        assert await read_all(store, new) == [TYPED, None, None]
        assert await store.sentence(old) is None


@pytest.mark.parametrize("keys", [[NEW], []], ids=["another", "none"])
async def test_what_another_key_encrypted_is_answered_as_if_it_had_run_out(
    keys: list[bytes], address: str, clock: FakeClock
) -> None:
    async with await Store.open(address, clock, secret_keys=[OLD]) as store:
        key = await keep_all(store, clock)
    async with await Store.open(address, clock, secret_keys=keys) as store:
        assert await read_all(store, key) == [None] * 3
        assert await tickets.open_in(store, PLACE.key, clock.now()) == ()
        clock.advance(2 * 3600)
        (run_out,) = await tickets.expire(store, clock.now())
        assert run_out.sentence == ""


async def test_the_id_of_a_sentence_cannot_be_guessed_from_its_words(address: str, clock: FakeClock) -> None:
    async with await Store.open(address, clock, secret_keys=[OLD]) as store:
        one = await store.keep_sentence(TYPED)
    async with await Store.open(address, clock, secret_keys=[NEW]) as store:
        assert await store.keep_sentence(TYPED) != one
