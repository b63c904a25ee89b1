import asyncio
import json
from dataclasses import dataclass, field, replace
from typing import ClassVar

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from bot.audit import Audit, Broken, Entry, Verified, mask
from bot.chat import Person, Place, Visibility
from bot.errors import BadArgument, ConfigError, StoreUnavailable
from bot.intents import (
    And,
    CelonisIntent,
    Comparison,
    Condition,
    Flag,
    Kind,
    Name,
    Names,
    Not,
    OneName,
    Op,
    Or,
    Phrase,
    SortBy,
    SortKey,
    Where,
    clause,
    say,
)
from bot.store import Store
from tests.store.databases import FakeClock

KEY = b"only for this test, and long enough"
CLERK = Person("slack", "T1", "U1", "the clerk")
PLACE = Place("slack", "T1", "C1", Visibility.CHANNEL)
ENTRY = Entry(request="r1", person=CLERK.key, place=PLACE.key, decision="asked", resources=("job:p1:j1",))


@pytest.fixture
def audit(store: Store, clock: FakeClock) -> Audit:
    return Audit(store, KEY, clock)


async def write(audit: Audit, count: int) -> None:
    for number in range(count):
        await audit.write(replace(ENTRY, request=f"r{number + 1}"))


async def tamper(store: Store, *statements: str) -> None:
    """What somebody with full rights on the database, but without the key, can do."""
    async with store.writing() as connection:
        if store.dialect == "sqlite":
            names = ("audit_rows_no_update", "audit_rows_no_delete")
            drops = [f"DROP TRIGGER IF EXISTS {name}" for name in names]
        else:
            drops = ["ALTER TABLE audit_rows DISABLE TRIGGER ALL"]
        for statement in (*drops, *statements):
            await connection.execute(sa.text(statement.replace(":", r"\:")))


async def test_a_row_holds_what_was_decided_and_when(audit: Audit, clock: FakeClock) -> None:
    await audit.write(ENTRY)
    (logged,) = await audit.recent(10)
    assert (logged.seq, logged.at, logged.entry) == (1, clock.now(), ENTRY)


async def test_the_newest_rows_come_first(audit: Audit) -> None:
    await write(audit, 5)
    assert [logged.seq for logged in await audit.recent(3)] == [5, 4, 3]
    assert await audit.recent(0) == await audit.recent(-1) == ()


async def test_an_untouched_log_verifies_with_every_head_it_ever_had(audit: Audit) -> None:
    heads = []
    for number in range(4):
        verified = await audit.verify()
        assert isinstance(verified, Verified)
        assert verified.count == number
        heads.append(verified.head)
        await audit.write(ENTRY)
    for head in heads:
        assert isinstance(await audit.verify(head), Verified)


UPDATE = "UPDATE audit_rows SET entry = replace(entry, 'r3', 'r9') WHERE seq = 3"
SWAP = (
    "UPDATE audit_rows SET entry = (SELECT entry FROM audit_rows WHERE seq = 2) WHERE seq = 4",
    "UPDATE audit_rows SET entry = replace(entry, 'r2', 'r4') WHERE seq = 2",
)
RENUMBER = (
    "UPDATE audit_rows SET seq = 99 WHERE seq = 2",
    "UPDATE audit_rows SET seq = 2 WHERE seq = 3",
    "UPDATE audit_rows SET seq = 3 WHERE seq = 99",
)
INSERT = "INSERT INTO audit_rows (seq, entry, digest) SELECT {}, entry, digest FROM audit_rows WHERE seq = 3"


@pytest.mark.parametrize(
    ("statements", "at"),
    [
        ((UPDATE,), 3),
        (("UPDATE audit_rows SET digest = 'ab' WHERE seq = 5",), 5),
        (("UPDATE audit_rows SET entry = 'x' WHERE seq = 1",), 1),
        (("DELETE FROM audit_rows WHERE seq = 3",), 3),
        (("DELETE FROM audit_rows WHERE seq = 1",), 1),
        (("DELETE FROM audit_rows WHERE seq = 5",), 5),
        (("DELETE FROM audit_rows WHERE seq > 2",), 3),
        (("DELETE FROM audit_rows",), 1),
        (SWAP, 2),
        (RENUMBER, 2),
        ((INSERT.format(6),), 6),
        ((INSERT.format(0),), 0),
        ((INSERT.format(-7),), -7),
        ((INSERT.format(77),), 6),
        (("DELETE FROM audit_rows WHERE seq > 3", "UPDATE audit_head SET length = 3"), 4),
        (("DELETE FROM audit_rows WHERE seq > 3", "DELETE FROM audit_head"), 4),
        (("DELETE FROM audit_head",), 6),
        (("UPDATE audit_head SET seal = 'x'",), 6),
    ],
)
async def test_whatever_is_done_to_the_rows_shows(
    store: Store, audit: Audit, statements: tuple[str, ...], at: int
) -> None:
    await write(audit, 5)
    await tamper(store, *statements)
    broken = await audit.verify()
    assert isinstance(broken, Broken)
    assert broken.at == at
    assert broken.why.endswith(".")


async def test_rows_written_after_a_cut_do_not_hide_it(store: Store, audit: Audit) -> None:
    await write(audit, 5)
    await tamper(store, "DELETE FROM audit_rows WHERE seq > 3", "UPDATE audit_head SET length = 3")
    await write(audit, 3)
    assert isinstance(await audit.verify(), Broken)


async def test_a_log_whose_rows_are_gone_still_takes_rows_and_stays_broken(
    store: Store, audit: Audit
) -> None:
    await write(audit, 3)
    await tamper(store, "DELETE FROM audit_rows", "DELETE FROM audit_head", INSERT.format(1))
    await tamper(store, "INSERT INTO audit_rows (seq, entry, digest) VALUES (4, 'x', 'y')")
    await write(audit, 2)
    assert len(await audit.recent(10)) == 3
    assert isinstance(await audit.verify(), Broken)


async def test_a_log_put_back_to_an_earlier_whole_state_shows_against_a_kept_head(
    store: Store, audit: Audit, clock: FakeClock
) -> None:
    await write(audit, 3)
    earlier = await audit.verify()
    assert isinstance(earlier, Verified)
    async with store.reading() as connection:
        seal = (await connection.execute(sa.text("SELECT seal FROM audit_head"))).scalar_one()
    await write(audit, 2)
    kept = await audit.verify()
    assert isinstance(kept, Verified)
    digest = earlier.head.partition(":")[2]
    await tamper(
        store,
        "DELETE FROM audit_rows WHERE seq > 3",
        f"UPDATE audit_head SET length = 3, digest = '{digest}', seal = '{seal}'",  # noqa: S608 - both are our digests
    )
    assert isinstance(await audit.verify(), Verified)
    cut = await audit.verify(kept.head)
    assert isinstance(cut, Broken)
    assert cut.at == 4
    clock.advance(1)
    await write(audit, 4)
    rewritten = await audit.verify(kept.head)
    assert isinstance(rewritten, Broken)
    assert rewritten.at == 5


@pytest.mark.parametrize(
    "head", ["x", "5", "5:ab", "-1:" + "a" * 64, "5:" + "g" * 64, "٥:" + "a" * 64, "5:" + "a" * 65]
)
async def test_a_head_that_is_none_is_refused(audit: Audit, head: str) -> None:
    with pytest.raises(BadArgument):
        await audit.verify(head)


async def test_another_key_does_not_verify(store: Store, audit: Audit, clock: FakeClock) -> None:
    await write(audit, 2)
    broken = await Audit(store, KEY + b"!", clock).verify()
    assert isinstance(broken, Broken)
    assert broken.at == 1


def test_a_short_key_is_refused(clock: FakeClock) -> None:
    with pytest.raises(ConfigError):
        Audit(None, b"short", clock)  # type: ignore[arg-type] # it is refused before it is used


async def test_the_database_itself_refuses_to_change_rows(store: Store, audit: Audit) -> None:
    await write(audit, 1)
    statements = ["UPDATE audit_rows SET entry = ''", "DELETE FROM audit_rows"]
    if store.dialect == "postgresql":
        statements.append("TRUNCATE audit_rows")
    for statement in statements:
        with pytest.raises(StoreUnavailable):
            async with store.writing() as connection:
                await connection.execute(sa.text(statement))
    assert isinstance(await audit.verify(), Verified)


async def test_replicas_that_write_at_once_make_one_chain(
    address: str, store: Store, clock: FakeClock
) -> None:
    async with await Store.open(address, clock) as second:
        logs = [Audit(store, KEY, clock), Audit(second, KEY, clock)]
        await asyncio.gather(*(logs[n % 2].write(replace(ENTRY, request=f"r{n}")) for n in range(24)))
        verified = await logs[0].verify()
    assert isinstance(verified, Verified)
    assert verified.count == 24


async def test_verifying_while_rows_are_written_finds_nothing_wrong(audit: Audit) -> None:
    results = await asyncio.gather(write(audit, 12), *(audit.verify() for _ in range(6)))
    assert all(isinstance(result, Verified) for result in results[1:])


async def test_a_log_longer_than_a_page_verifies_and_exports_whole(store: Store, clock: FakeClock) -> None:
    from bot import audit as module

    audit = Audit(store, KEY, clock)
    await write(audit, 7)
    page = module._PAGE
    module._PAGE = 3
    try:
        assert isinstance(await audit.verify(), Verified)
        lines = [line async for line in audit.export()]
    finally:
        module._PAGE = page
    assert [json.loads(line)["seq"] for line in lines] == list(range(1, 8))


async def test_the_export_is_a_line_of_json_a_row_whatever_was_done_to_it(store: Store, audit: Audit) -> None:
    await audit.write(replace(ENTRY, sentence="two\nlines \u2028 \0 \ud800"))
    await write(audit, 2)
    await tamper(store, "UPDATE audit_rows SET entry = 'no json' WHERE seq = 2")
    lines = [line async for line in audit.export()]
    rows = [json.loads(line) for line in lines]
    assert not any(character in line for line in lines for character in "\n\r\u2028")
    assert rows[0]["entry"]["entry"]["sentence"] == "two\nlines \u2028 \0 \ud800"
    assert rows[1]["entry"] == "no json"
    assert [logged.entry is None for logged in await audit.recent(3)] == [False, True, False]
    assert isinstance(await audit.verify(), Broken)


async def test_a_key_never_gets_into_the_log(audit: Audit) -> None:
    token = "\x78oxb-1234567890-abcdefghij"
    await audit.write(replace(ENTRY, sentence=f"help {token}", outcome=token, resources=(token,)))
    lines = [line async for line in audit.export()]
    assert token not in lines[0]


# --- sentences without values ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Everything(CelonisIntent):
    words: ClassVar[str] = "everything"
    record: Name | None = field(default=None, metadata=clause("", OneName(Kind.RECORD)))
    show: tuple[Name, ...] = field(default=(), metadata=clause("show", Names(Kind.FIELD)))
    where: Condition | None = field(default=None, metadata=clause("where", Where()))
    search: str = field(default="", metadata=clause("search", Phrase()))
    sort: tuple[SortKey, ...] = field(default=(), metadata=clause("sort", SortBy()))
    distinct: bool = field(default=False, metadata=clause("distinct", Flag()))


COUNTRY, AMOUNT = Name("Country", "C.COUNTRY"), Name("Amount")
SECRETS = ("Germany", "10000", "12", "4711", "Acme Holding")


def test_names_stay_and_values_go() -> None:
    condition = And(
        (
            Comparison(COUNTRY, Op.EQ, (SECRETS[0],)),
            Or((Comparison(AMOUNT, Op.BETWEEN, SECRETS[1:3]), Not(Comparison(AMOUNT, Op.IN, SECRETS)))),
            Not(Comparison(AMOUNT, Op.IS_EMPTY)),
        )
    )
    intent = Everything(
        record=Name("Invoices", "I1"),
        show=(COUNTRY,),
        where=condition,
        search="Acme Holding",
        sort=(SortKey(AMOUNT, descending=True),),
        distinct=True,
    )
    masked = mask(intent)
    assert not [secret for secret in SECRETS if secret in masked]
    assert all(
        name in masked for name in ("Invoices", "#I1", "Country", "Amount", "between", "is empty", "…", "-")
    )


def test_a_sentence_without_values_is_said_as_it_is() -> None:
    intent = Everything(record=Name("Invoices", "I1"), sort=(SortKey(COUNTRY),))
    assert mask(intent) == say(intent)


values = st.text(st.characters(codec="utf-8", categories=("L", "N")), min_size=5, max_size=12).map(
    lambda text: f"§{text}"
)


@given(values=st.lists(values, min_size=3, max_size=3), op=st.sampled_from(Op))
def test_no_value_survives(values: list[str], op: Op) -> None:
    wanted = {Op.IS_EMPTY: 0, Op.BETWEEN: 2, Op.IN: 3}.get(op, 1)
    intent = Everything(
        record=Name("Invoices"), where=Comparison(COUNTRY, op, tuple(values[:wanted])), search=values[0]
    )
    assert "§" not in mask(intent)
