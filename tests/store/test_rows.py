import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.audit import Audit
from bot.audit_entries import Entry
from bot.model.names import Name
from bot.model.people import Person, Place, Visibility
from bot.store import Default, DefaultOf, Defaults, Snapshot, Store
from bot.store.schema import Moment, clean
from bot.writes.ticket import Tickets
from tests.audit_log import recent
from tests.store.databases import FakeClock, got, put, tokens

CLERK = Person("slack", "T1", "U1", "the clerk")
OPERATOR = Person("slack", "T1", "U2", "operator")
PLACE = Place("slack", "T1", "C1", Visibility.CHANNEL, thread="17.5", name="night shift")
WILD = "a\0b\ud800 \u202e '; DROP TABLE meta; -- \" 漢字 \U0001f600 " + "x" * 3000
TAMED = WILD.replace("\0", "\ufffd").replace("\ud800", "\ufffd")


async def test_a_place_remembers_what_was_set_by_whom_and_when(store: Store, clock: FakeClock) -> None:
    assert await store.defaults(PLACE.key) == Defaults()
    await store.set_default(PLACE.key, DefaultOf.MODEL, Name("Purchase Requisition KM", "m1"), CLERK)
    first = clock.now()
    clock.advance(60)
    await store.set_default(PLACE.key, DefaultOf.ZONE, Name("Europe/Berlin"), OPERATOR)
    assert await store.defaults(PLACE.key) == Defaults(
        model=Default("Purchase Requisition KM", "m1", CLERK, first),
        zone=Default("Europe/Berlin", "", OPERATOR, clock.now()),
    )
    assert await store.defaults(replace(PLACE, id="C2").key) == Defaults()


async def test_the_newest_default_counts_and_none_takes_it_away(store: Store) -> None:
    await store.set_default(PLACE.key, DefaultOf.ZONE, Name("UTC"), CLERK)
    await store.set_default(PLACE.key, DefaultOf.ZONE, Name("Asia/Tokyo"), CLERK)
    defaults = await store.defaults(PLACE.key)
    assert defaults.zone is not None
    assert defaults.zone.value == "Asia/Tokyo"
    await store.set_default(PLACE.key, DefaultOf.ZONE, None, CLERK)
    assert await store.defaults(PLACE.key) == Defaults()


async def test_another_connection_takes_the_knowledge_model_away(store: Store) -> None:
    await store.set_default(PLACE.key, DefaultOf.CONNECTION, Name("north"), CLERK)
    await store.set_default(PLACE.key, DefaultOf.MODEL, Name("KM", "m1"), CLERK)
    await store.set_default(PLACE.key, DefaultOf.CONNECTION, Name("north"), OPERATOR)
    assert (await store.defaults(PLACE.key)).model is not None
    await store.set_default(PLACE.key, DefaultOf.CONNECTION, Name("south"), OPERATOR)
    assert (await store.defaults(PLACE.key)).model is None


async def test_two_people_who_set_a_default_at_once_both_succeed(
    address: str, store: Store, clock: FakeClock
) -> None:
    async with await Store.open(address, clock) as second:
        await asyncio.gather(
            *(
                (store, second)[n % 2].set_default(PLACE.key, DefaultOf.ZONE, Name(f"Z{n}"), CLERK)
                for n in range(8)
            )
        )
        assert (await second.defaults(PLACE.key)).zone == (await store.defaults(PLACE.key)).zone


async def test_a_sentence_is_kept_for_thirty_days_from_its_last_use(store: Store, clock: FakeClock) -> None:
    key = await store.keep_sentence("kpis of a very long name")
    assert len(key) == 22
    clock.advance(20 * 86_400)
    assert await store.keep_sentence("kpis of a very long name") == key
    assert await store.keep_sentence("kpis of another name") != key
    clock.advance(30 * 86_400 - 1)
    assert await store.sentence(key) == "kpis of a very long name"
    clock.advance(1)
    assert await store.sentence(key) is None


async def test_what_was_last_asked_is_kept_for_each_conversation_until_it_runs_out(
    store: Store, clock: FakeClock
) -> None:
    day = timedelta(days=1)
    await store.keep_last(["thread", "person", WILD], "first", day)
    await store.keep_last(["thread"], "second", day)
    assert [await store.last(key) for key in ("thread", "person", WILD, "another")] == [
        "second",
        "first",
        "first",
        None,
    ]
    clock.advance(86_400 - 1)
    assert await store.last("thread") == "second"
    clock.advance(1)
    assert await store.last("thread") is None


@pytest.mark.parametrize("key", ["", "x", "\0", "\ud800", "' OR 1=1 --", "y" * 100_000, "é"])
async def test_an_id_may_be_any_text(store: Store, key: str) -> None:
    await store.keep_sentence("kpis")
    assert await store.sentence(key) is None


async def test_text_from_anywhere_is_stored(store: Store) -> None:
    assert await store.sentence(await store.keep_sentence(WILD)) == TAMED
    await put(store, WILD, WILD)
    assert await got(store, WILD) == TAMED
    wild = replace(CLERK, name=WILD)
    await store.set_default(PLACE.key, DefaultOf.MODEL, Name(WILD, WILD), wild)
    model = (await store.defaults(PLACE.key)).model
    assert model is not None
    assert (model.value, model.id, model.by.key) == (TAMED, TAMED, CLERK.key)
    assert model.by.name == TAMED.replace("\ufffd", "\0", 1)  # inside JSON a NUL is an escape and survives
    assert await store.first_time(WILD, timedelta(hours=1))


async def test_of_equal_deliveries_only_the_first_counts(
    address: str, store: Store, clock: FakeClock
) -> None:
    async with await Store.open(address, clock) as second:
        first = await asyncio.gather(
            *((store, second)[n % 2].first_time("slack:Ev1", timedelta(hours=24)) for n in range(10))
        )
    assert sorted(first) == [False] * 9 + [True]
    assert await store.first_time("slack:Ev2", timedelta(hours=24))
    clock.advance(24 * 3600 - 1)
    assert not await store.first_time("slack:Ev1", timedelta(hours=24))
    clock.advance(1)
    assert await store.first_time("slack:Ev1", timedelta(hours=24))


async def test_a_conversation_is_found_by_person_and_by_place(store: Store) -> None:
    same_key = Place(CLERK.platform, CLERK.home, CLERK.id, Visibility.PERSONAL)
    assert same_key.key == CLERK.key
    await store.keep_conversation(CLERK, '{"of": "person"}')
    assert await store.conversation(same_key) is None
    await store.keep_conversation(same_key, '{"of": "place"}')
    await store.keep_conversation(replace(same_key, thread="9"), '{"of": "place, newer"}')
    assert await store.conversation(CLERK) == '{"of": "person"}'
    assert await store.conversation(same_key) == '{"of": "place, newer"}'


async def test_the_newest_snapshot_counts(store: Store, clock: FakeClock) -> None:
    assert await store.snapshot("team", "pools") is None
    await store.put_snapshot("team", "pools", "[1]", clock.now())
    await store.put_snapshot("team", "pools", "[2]", clock.now() + timedelta(minutes=1))
    await store.put_snapshot("other", "pools", "[3]", clock.now())
    assert await store.snapshot("team", "pools") == Snapshot("[2]", clock.now() + timedelta(minutes=1))


async def test_purging_removes_what_has_expired_and_nothing_else(store: Store, clock: FakeClock) -> None:
    start = clock.now()
    tickets = Tickets(store, clock, tokens().__next__)
    audit = Audit(store, [b"only for this test"], clock)

    async def fill(suffix: str) -> str:
        ticket = await tickets.open(
            command="cancel",
            sentence="cancel",
            target=Snapshot("", start),
            connection="team",
            asker=CLERK,
            place=PLACE,
            expires_in=timedelta(minutes=5),
        )
        await tickets.dismiss(ticket.id, CLERK)
        await store.first_time(f"d{suffix}", timedelta(hours=1))
        await store.put_snapshot("team", suffix, "[]", clock.now())
        await store.keep_conversation(CLERK, "{}")
        await store.set_default(PLACE.key, DefaultOf.ZONE, Name("UTC"), CLERK)
        await audit.write(Entry(request="r", person=CLERK.key, place=PLACE.key, decision="read"))
        await store.keep_sentence(f"kpis {suffix}")
        await store.keep_last([suffix], "kpis", timedelta(days=1))
        return ticket.id

    old = await fill("old")
    clock.advance(90 * 86_400)
    new = await fill("new")
    assert await store.purge(clock.now()) == 5
    assert await store.purge(clock.now()) == 0
    assert (await tickets.load(old), await store.snapshot("team", "old")) == (None, None)
    assert await tickets.load(new)
    assert not await store.first_time("dnew", timedelta(hours=1))
    assert await store.snapshot("team", "new")
    assert await store.conversation(CLERK) == "{}"
    assert (await store.defaults(PLACE.key)).zone
    assert len(await recent(audit, 10)) == 2


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_moment_comes_back_to_the_microsecond(moment: datetime) -> None:
    kind, dialect = Moment(), None
    stored = kind.process_bind_param(moment, dialect)  # type: ignore[arg-type] # it does not look at it
    assert isinstance(stored, int)
    assert kind.process_result_value(stored, dialect) == moment  # type: ignore[arg-type] # it does not look at it


@given(st.text(st.characters()))
def test_cleaned_text_is_what_both_engines_can_hold(text: str) -> None:
    cleaned = clean(text)
    assert "\0" not in cleaned
    assert clean(cleaned) == cleaned
    assert cleaned.encode().decode() == cleaned
    if "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text):
        assert cleaned == text
