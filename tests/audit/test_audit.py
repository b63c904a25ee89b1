import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
import structlog

from bot.audit import READS_AT_ONCE, Audit, Broken, Verified
from bot.audit_entries import Entry
from bot.model.errors import BadArgument, ConfigError, StoreUnavailable
from bot.model.people import Person, Place, Visibility
from bot.store import Store, audit_rows
from tests.audit_log import recent
from tests.store.databases import FakeClock, execute, value

KEY = b"only for this test, and long enough"
OLDER, NEWER = [KEY], [b"another one for this test, and long enough", KEY]
CLERK = Person("slack", "T1", "U1", "the clerk")
PLACE = Place("slack", "T1", "C1", Visibility.CHANNEL)
ENTRY = Entry(request="r1", person=CLERK.key, place=PLACE.key, decision="asked", resources=("job:p1:j1",))


@pytest.fixture
def audit(store: Store, clock: FakeClock) -> Audit:
    return Audit(store, [KEY], clock)


async def write(audit: Audit, count: int) -> None:
    for number in range(count):
        await audit.write(replace(ENTRY, request=f"r{number + 1}"))


async def tamper(store: Store, *statements: str) -> None:
    """What somebody with full rights on the database, but without the key, can do."""
    if store.dialect == "sqlite":
        names = ("audit_rows_kept_update", "audit_rows_kept_delete")
        drops = [f"DROP TRIGGER IF EXISTS {name}" for name in names]
    else:
        drops = ["ALTER TABLE audit_rows DISABLE TRIGGER ALL"]
    await execute(store, *drops, *statements)


async def test_a_row_holds_what_was_decided_and_when(audit: Audit, clock: FakeClock) -> None:
    await audit.write(ENTRY)
    (logged,) = await recent(audit, 10)
    assert (logged.seq, logged.at, logged.entry) == (1, clock.now(), ENTRY)


async def test_the_newest_rows_come_first(audit: Audit) -> None:
    await write(audit, 5)
    assert [logged.seq for logged in await recent(audit, 3)] == [5, 4, 3]


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
INSERT = "INSERT INTO audit_rows (seq, key, entry, digest) SELECT {}, key, entry, digest FROM audit_rows WHERE seq = 3"


@pytest.mark.parametrize(
    ("statements", "at"),
    [
        ((UPDATE,), 3),
        (("UPDATE audit_rows SET digest = 'ab' WHERE seq = 5",), 5),
        (("UPDATE audit_rows SET entry = 'x' WHERE seq = 1",), 1),
        (("UPDATE audit_rows SET person = 'slack:T1:U2' WHERE seq = 4",), 4),
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


async def test_rows_that_a_restarted_program_writes_after_a_cut_do_not_hide_it(
    store: Store, audit: Audit, clock: FakeClock
) -> None:
    await write(audit, 5)
    await tamper(store, "DELETE FROM audit_rows WHERE seq > 3", "UPDATE audit_head SET length = 3")
    restarted = Audit(store, [KEY], clock)
    await write(restarted, 3)
    assert isinstance(await restarted.verify(), Broken)


async def test_a_log_whose_rows_are_gone_still_takes_rows_of_a_restarted_program_and_stays_broken(
    store: Store, audit: Audit, clock: FakeClock
) -> None:
    await write(audit, 3)
    await tamper(store, "DELETE FROM audit_rows", "DELETE FROM audit_head", INSERT.format(1))
    await tamper(store, "INSERT INTO audit_rows (seq, key, entry, digest) VALUES (4, 'k', 'x', 'y')")
    audit = Audit(store, [KEY], clock)
    await write(audit, 2)
    assert len(await recent(audit, 10)) == 3
    assert isinstance(await audit.verify(), Broken)


async def test_a_log_put_back_to_an_earlier_whole_state_shows_against_a_kept_head(
    store: Store, audit: Audit, clock: FakeClock
) -> None:
    await write(audit, 3)
    earlier = await audit.verify()
    assert isinstance(earlier, Verified)
    seal = await value(store, "SELECT seal FROM audit_head")
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
    await write(Audit(store, [KEY], clock), 4)
    rewritten = await audit.verify(kept.head)
    assert isinstance(rewritten, Broken)
    assert rewritten.at == 5


@pytest.mark.parametrize(
    "head", ["x", "5", "5:ab", "-1:" + "a" * 64, "5:" + "g" * 64, "٥:" + "a" * 64, "5:" + "a" * 65]
)
async def test_a_head_that_is_none_is_refused(audit: Audit, head: str) -> None:
    with pytest.raises(BadArgument):
        await audit.verify(head)


def test_a_short_key_is_refused(clock: FakeClock) -> None:
    with pytest.raises(ConfigError):
        Audit(None, [KEY, b"short"], clock)  # type: ignore[arg-type] # it is refused before it is used


async def test_the_database_itself_refuses_to_change_rows(store: Store, audit: Audit) -> None:
    await write(audit, 1)
    statements = [
        "UPDATE audit_rows SET entry = ''",
        "UPDATE audit_rows SET person = 'slack:T1:U2'",
        "UPDATE audit_rows SET person = NULL, digest = ''",
        "DELETE FROM audit_rows",
    ]
    if store.dialect == "postgresql":
        statements.append("TRUNCATE audit_rows")
    for statement in statements:
        with pytest.raises(StoreUnavailable):
            await execute(store, statement)
    assert isinstance(await audit.verify(), Verified)


async def test_replicas_that_write_at_once_make_one_chain(
    address: str, store: Store, clock: FakeClock
) -> None:
    async with await Store.open(address, clock) as second:
        logs = [Audit(store, [KEY], clock), Audit(second, [KEY], clock)]
        await asyncio.gather(*(logs[n % 2].write(replace(ENTRY, request=f"r{n}")) for n in range(24)))
        verified = await logs[0].verify()
    assert isinstance(verified, Verified)
    assert verified.count == 24


async def test_verifying_while_rows_are_written_finds_nothing_wrong(audit: Audit) -> None:
    results = await asyncio.gather(write(audit, 12), *(audit.verify() for _ in range(6)))
    assert all(isinstance(result, Verified) for result in results[1:])


async def test_a_log_longer_than_a_page_verifies_and_exports_whole(store: Store, clock: FakeClock) -> None:
    from bot import audit as module

    audit = Audit(store, [KEY], clock)
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
    assert rows[0]["entry"]["sentence"] == "two\nlines \u2028 \0 \ud800"
    assert rows[1]["entry"] == "no json"
    assert [logged.entry is None for logged in await recent(audit, 3)] == [False, True, False]
    assert isinstance(await audit.verify(), Broken)


async def test_a_key_never_gets_into_the_log(audit: Audit) -> None:
    token = "\x78oxb-1234567890-abcdefghij"
    await audit.write(replace(ENTRY, sentence=f"help {token}", outcome=token, resources=(token,)))
    lines = [line async for line in audit.export()]
    assert token not in lines[0]


# --- putting it back -------------------------------------------------------------------------------------------


CUT = ("DELETE FROM audit_rows WHERE seq > 3", "UPDATE audit_head SET length = 3, digest = '{}', seal = '{}'")
WIPE = ("DELETE FROM audit_rows", "DELETE FROM audit_head")


async def earlier(store: Store, audit: Audit) -> tuple[str, ...]:
    """Three rows, then two more; what puts the database back to the three."""
    await write(audit, 3)
    head = await audit.head()
    await write(audit, 2)
    return (CUT[0], CUT[1].format(head.digest, head.seal))


@pytest.mark.parametrize("wiped", [True, False], ids=["wiped", "put back"])
async def test_a_program_refuses_to_write_to_a_log_that_is_shorter_than_it_left_it(
    store: Store, audit: Audit, clock: FakeClock, *, wiped: bool
) -> None:
    back = await earlier(store, audit)
    await tamper(store, *(WIPE if wiped else back))
    with structlog.testing.capture_logs() as lines:
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match=r"cut, or the database was put back"):
                await audit.write(ENTRY)
        left = (await audit.head()).count
    assert left == (0 if wiped else 3)
    assert {line["log_level"] for line in lines} == {"error"}
    assert lines[0]["seen"].startswith("5:")
    assert lines[0]["head"].startswith(f"{left}:")
    assert len(await recent(audit, 10)) == left
    await Audit(store, [KEY], clock).write(ENTRY)


async def test_a_program_refuses_to_write_behind_rows_that_another_one_put_in_place_of_those_it_saw(
    store: Store, audit: Audit, clock: FakeClock
) -> None:
    back = await earlier(store, audit)
    await tamper(store, *back)
    clock.advance(1)
    await write(Audit(store, [KEY], clock), 4)
    assert (await audit.head()).count == 7
    assert isinstance(await audit.verify(), Verified)
    with pytest.raises(StoreUnavailable):
        await audit.write(ENTRY)


async def test_a_head_that_was_only_read_counts_as_seen(store: Store, audit: Audit, clock: FakeClock) -> None:
    back = await earlier(store, audit)
    other = Audit(store, [KEY], clock)
    await other.head()
    await tamper(store, *back)
    with pytest.raises(StoreUnavailable):
        await other.write(ENTRY)


async def test_every_new_head_is_in_the_log_stream_once_and_verifies(audit: Audit) -> None:
    with structlog.testing.capture_logs() as lines:
        await write(audit, 3)
        await audit.head()
    heads = [line["head"] for line in lines]
    assert [head.partition(":")[0] for head in heads] == ["1", "2", "3"]
    for head in heads:
        assert isinstance(await audit.verify(head), Verified)


async def test_rows_that_could_not_be_written_leave_a_row_that_says_so(
    store: Store, audit: Audit, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_store: Store, _work: object) -> None:
        await asyncio.sleep(0)
        raise StoreUnavailable("The bot's database does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", away)
        results = await asyncio.gather(*(audit.write(ENTRY) for _ in range(3)), return_exceptions=True)
        assert all(isinstance(result, StoreUnavailable) for result in results)
        clock.advance(60)
    await write(audit, 2)
    lines = [json.loads(line) async for line in audit.export()]
    assert [line["entry"]["kind"] for line in lines] == ["gap", "decision", "decision"]
    assert lines[0]["entry"]["rows"] == 3
    assert lines[0]["entry"]["since"] < lines[0]["entry"]["at"]
    assert await audit.verify() == Verified(3, f"3:{lines[2]['digest']}")


async def entries_of(audit: Audit) -> list[dict[str, Any]]:
    return [json.loads(line)["entry"] async for line in audit.export()]


async def test_rows_of_reads_are_appended_together_behind_their_answers(
    store: Store, audit: Audit, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    appended = 0
    append = audit_rows.append

    async def counting(*given: Any, **more: Any) -> Any:
        nonlocal appended
        appended += 1
        return await append(*given, **more)

    monkeypatch.setattr(audit_rows, "append", counting)
    for number in range(5):
        audit.write_soon(replace(ENTRY, request=f"r{number}"))
        clock.advance(1)
    assert await entries_of(audit) == [], "an answer does not wait for its row"
    await audit.write(replace(ENTRY, request="a refusal"))
    await audit.flush()
    await audit.flush()
    rows = await entries_of(audit)
    assert [each["request"] for each in rows] == ["a refusal", *(f"r{number}" for number in range(5))]
    assert len({each["at"] for each in rows}) == 6, "each has the time of its own"
    assert appended == 2
    assert isinstance(await audit.verify(), Verified)


async def test_so_many_rows_of_reads_wait_no_longer(audit: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.audit.READS_WITHIN", 3600.0)
    for _ in range(READS_AT_ONCE):
        audit.write_soon(ENTRY)
    async with asyncio.timeout(10):
        while len(await entries_of(audit)) < READS_AT_ONCE:
            pass


async def test_rows_of_reads_that_are_lost_are_one_row_that_says_how_many(
    audit: Audit, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_store: Store, _work: object) -> None:
        raise StoreUnavailable("The bot's database does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", away)
        for _ in range(7):
            audit.write_soon(ENTRY)
        await audit.flush()
    clock.advance(60)
    audit.write_soon(ENTRY)
    await audit.flush()
    gap, decision = await entries_of(audit)
    assert (gap["kind"], gap["rows"], decision["kind"]) == ("gap", 7, "decision")


# --- keys ------------------------------------------------------------------------------------------------------


async def test_rows_of_an_older_key_verify_as_long_as_it_is_given_and_new_rows_have_the_first(
    store: Store, clock: FakeClock
) -> None:
    older, newer = Audit(store, OLDER, clock), Audit(store, NEWER, clock)
    await write(older, 2)
    await write(newer, 2)
    keys = [json.loads(line)["key"] async for line in newer.export()]
    assert keys[0] == keys[1] != keys[2] == keys[3]
    verified = await newer.verify()
    assert isinstance(verified, Verified)
    assert isinstance(await newer.verify(verified.head), Verified)


async def test_without_a_key_that_is_needed_nothing_is_said_of_the_log_and_nothing_is_written(
    store: Store, clock: FakeClock
) -> None:
    await write(Audit(store, OLDER, clock), 2)
    alone = Audit(store, NEWER[:1], clock)
    with pytest.raises(ConfigError, match="row 1"):
        await alone.verify()
    with pytest.raises(ConfigError, match="the end"):
        await alone.head()
    with pytest.raises(StoreUnavailable, match="CELONIS_CHAT_SECRET_KEY does not hold"):
        await alone.write(ENTRY)
    await Audit(store, NEWER, clock).write(ENTRY)
    assert (
        await Audit(store, NEWER, clock).verify() == await Audit(store, NEWER[::-1], clock).verify()
    ) is True


async def test_without_any_key_nothing_is_written(store: Store, clock: FakeClock) -> None:
    with pytest.raises(StoreUnavailable, match="CELONIS_CHAT_SECRET_KEY is not set"):
        await Audit(store, [], clock).write(ENTRY)


# --- names and old rows ----------------------------------------------------------------------------------------


async def test_a_name_can_be_taken_off_its_rows_and_the_log_stays_whole(store: Store, audit: Audit) -> None:
    other = replace(ENTRY, person="slack:T1:U2")
    for entry in (ENTRY, other, ENTRY):
        await audit.write(entry)
    before = await audit.verify()
    assert isinstance(before, Verified)
    await execute(store, "UPDATE audit_rows SET person = NULL WHERE person <> 'slack:T1:U2'")
    assert await audit.verify(before.head) == replace(before, nameless=2)
    lines = [line async for line in audit.export()]
    assert CLERK.key not in "".join(lines)
    rows = [json.loads(line) for line in lines]
    assert [row["person"] for row in rows] == [None, "slack:T1:U2", None]
    assert rows[0]["entry"]["person"] == rows[2]["entry"]["person"] != rows[1]["entry"]["person"]
    assert [logged.entry.person for logged in await recent(audit, 3) if logged.entry] == [
        "",
        "slack:T1:U2",
        "",
    ]
    await tamper(store, "UPDATE audit_rows SET person = 'slack:T1:U2' WHERE seq = 3")
    broken = await audit.verify()
    assert isinstance(broken, Broken)
    assert broken.at == 3


async def test_a_name_that_no_database_can_hold_leaves_the_log_whole_too(audit: Audit) -> None:
    await audit.write(replace(ENTRY, person="slack:T1:\0\ud800"))
    assert isinstance(await audit.verify(), Verified)


async def test_rows_below_a_checkpoint_go_and_the_log_stays_whole(
    store: Store, audit: Audit, clock: FakeClock
) -> None:
    await write(audit, 6)
    heads = {
        head.partition(":")[0]: head for head in [f"{row.seq}:{row.digest}" for row in await rows_of(store)]
    }
    await audit.checkpoint(3)
    await write(audit, 1)
    verified = await audit.verify()
    assert isinstance(verified, Verified)
    assert (verified.first, verified.count) == (4, 8)
    assert (await audit.verify(heads["3"]), await audit.verify(heads["5"])) == (verified, verified)
    with pytest.raises(BadArgument, match="begins with row 4"):
        await audit.verify(heads["2"])
    with pytest.raises(BadArgument, match="begins with row 4"):
        await audit.verify("3:" + "0" * 64)
    await audit.checkpoint(8)
    assert (await Audit(store, NEWER, clock).verify()) == Verified(9, (await audit.verify()).head, 9)  # type: ignore[union-attr] # whole
    for upto in (0, 3, 10):
        with pytest.raises(BadArgument, match="no row"):
            await audit.checkpoint(upto)


async def rows_of(store: Store) -> tuple[audit_rows.Row, ...]:
    return await audit_rows.after(store, 0, 100)


@pytest.mark.parametrize(
    ("statements", "at"),
    [
        (("DELETE FROM audit_rows WHERE seq = 4",), 1),
        (("DELETE FROM audit_rows WHERE seq < 7",), 1),
        (("DELETE FROM audit_rows WHERE seq = 7", "UPDATE audit_head SET length = 6"), 1),
        (("UPDATE audit_rows SET entry = replace(entry, 'r4', 'r9') WHERE seq = 4",), 4),
        (("UPDATE audit_rows SET digest = 'x' WHERE seq = 4",), 5),
        (("UPDATE audit_rows SET entry = replace(entry, '3', '4') WHERE seq = 7",), 7),
        (("UPDATE audit_rows SET entry = '{}' WHERE seq = 7",), 7),
        (("UPDATE audit_head SET checkpoint = 6", "DELETE FROM audit_rows WHERE seq < 6"), 1),
        (("DELETE FROM audit_rows",), 1),
    ],
)
async def test_whatever_is_done_to_a_log_with_a_checkpoint_shows(
    store: Store, audit: Audit, statements: tuple[str, ...], at: int
) -> None:
    await write(audit, 6)
    await audit.checkpoint(3)
    await tamper(store, *statements)
    broken = await audit.verify()
    assert isinstance(broken, Broken)
    assert broken.at == at
    with pytest.raises(BadArgument, match="is broken"):
        await audit.checkpoint(5)


async def test_a_checkpoint_that_another_key_made_vouches_for_nothing(
    store: Store, audit: Audit, clock: FakeClock
) -> None:
    await write(audit, 4)
    forged = Audit(store, [b"not a key of this log at all"], clock)
    await tamper(store, "UPDATE audit_head SET seal = ''")
    await forged._append(checkpoint=3)
    with pytest.raises(ConfigError, match="row 5"):
        await audit.verify()


async def test_what_no_column_should_hold_is_broken_and_no_crash(store: Store, audit: Audit) -> None:
    if store.dialect != "sqlite":
        pytest.skip("only SQLite holds anything in any column")
    await write(audit, 2)
    await tamper(store, "INSERT INTO audit_rows (seq, key, entry, digest) VALUES ('x', 'k', x'00ff', x'ff')")
    assert isinstance(await audit.verify(), Broken)
    await tamper(store, "UPDATE audit_head SET length = 'many', digest = x'ff'")
    assert isinstance(await audit.verify(), Broken)


async def test_rows_older_than_the_days_that_are_kept_go_under_a_checkpoint(
    store: Store, audit: Audit, clock: FakeClock
) -> None:
    await write(audit, 5)
    clock.advance(10 * 86400)
    await write(audit, 3)
    assert await audit.prune(11) == 0
    assert await audit.prune(9) == 5
    found = await audit.verify()
    assert isinstance(found, Verified)
    assert (found.first, found.count) == (6, 9)
    assert await audit.prune(9) == 0
    clock.advance(100 * 86400)
    assert await audit.prune(1) == 3  # the newest row stays
    assert isinstance(await audit.verify(), Verified)


async def test_nothing_of_a_broken_log_is_pruned(store: Store, audit: Audit, clock: FakeClock) -> None:
    await write(audit, 3)
    clock.advance(10 * 86400)
    await tamper(store, "UPDATE audit_head SET seal = 'x'")
    with pytest.raises(BadArgument):
        await audit.prune(1)
    assert len([line async for line in audit.export()]) == 3


async def test_a_person_is_forgotten_and_the_log_stays_whole(audit: Audit) -> None:
    await write(audit, 3)
    name = (await audit.newest(1))[0].person
    assert name
    doer = Entry("r", "local:box:admin", "local:box:command line", "changed")
    assert await audit.forget(name, doer) == 3
    assert name not in "".join([line async for line in audit.export()])
    found = await audit.verify()
    assert isinstance(found, Verified)
    assert (found.count, found.nameless) == (4, 3)
