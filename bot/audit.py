"""What was decided: a log that only grows, in which a change, a gap or a cut shows.

Each row holds an HMAC over its own content and the digest of the row before, so nobody without the keys, which are
not in the database, can change, remove, reorder or insert one without breaking the chain. The head (how many rows,
last digest) is sealed likewise, so that cutting rows off shows too. Two things may go without breaking it: the name
of a person, since the chain covers a keyed digest of it and the name itself stands beside the row; and rows up to one
for which a later row, a checkpoint, vouches.

One thing the database alone cannot show: that all of it was put back to an earlier, whole state, or wiped. A program
that runs refuses to write to a head below the one that it saw last; each new head goes to the log stream; and whoever
hands such a head to `verify` sees whether the log still holds it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

import structlog

from bot.audit_entries import (
    Checkpoint,
    Entry,
    Gap,
    Keys,
    as_json,
    name_in,
    same,
    told_by,
    written,
    written_at,
)
from bot.model.clock import Clock
from bot.model.errors import BadArgument, ConfigError, StoreUnavailable
from bot.store import Store, audit_rows
from bot.store.audit_rows import Head, Row

log = structlog.get_logger()

READS_WITHIN = 1.0
"""Seconds after which a row of a read is appended, with all others that wait."""
READS_AT_ONCE = 200
"""Rows of reads that wait no longer."""
_PAGE = 500
_BEFORE_ALL = -(2**63)
_HEAD = re.compile(r"(\d{1,18}):([0-9a-f]{64})?\Z", re.ASCII)
_BROKEN = "broken"
"""The seal of a head that follows on what was tampered with: never one again."""

_UNDONE = "Nothing was done."


@dataclass(frozen=True, slots=True)
class Verified:
    """Nothing is wrong.

    Attributes:
        count: The number of the last row, 0 in an empty log.
        head: What a later `verify` can be given.
        first: The number of the first row that is there; a checkpoint vouches for those before it.
        nameless: Off how many rows the name was taken.
    """

    count: int
    head: str
    first: int = 1
    nameless: int = 0


@dataclass(frozen=True, slots=True)
class Broken:
    """Something is wrong from row `at` on; `why` is a sentence."""

    at: int
    why: str


class Audit:
    """The log of one bot. Its methods raise `StoreUnavailable` where the database does not answer."""

    def __init__(self, store: Store, keys: Sequence[bytes], clock: Clock) -> None:
        """Takes what it works with.

        Args:
            store: Shared by all replicas.
            keys: Secret, at least 16 bytes each, the same for all replicas: the first one is for new rows, and every
                key that a row was written with has to be among them. Without any, nothing can be written.
            clock: Stamps the rows.

        Raises:
            ConfigError: A key is too short.
        """
        self._store = store
        self._clock = clock
        self._keys = Keys(keys)
        self._seen = Head()
        self._lost: Gap | None = None
        self._waiting: list[tuple[datetime, Entry]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._flushing: set[asyncio.Task[None]] = set()

    async def write(self, entry: Entry) -> None:
        """Appends a row. When this returns, it is durable; a write must not go on before that.

        Rows that were lost before are told of in a row of their own.

        Raises:
            StoreUnavailable: The row is not in the log, as far as is known: the database does not answer, there is no
                key, or the log is not as this program left it.
        """
        await self._append_or_lose([(self._clock.now(), entry)])

    def write_soon(self, entry: Entry) -> None:
        """Appends the row of a read behind its answer, with the others of the same second: see `READS_WITHIN`.

        One that cannot be written is told of by a later row. Whoever ends the program calls `flush` before.
        """
        self._waiting.append((self._clock.now(), entry))
        if len(self._waiting) >= READS_AT_ONCE:
            self._flush_now()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(READS_WITHIN, self._flush_now)

    def _flush_now(self) -> None:
        task = asyncio.ensure_future(self._write_waiting())
        self._flushing.add(task)
        task.add_done_callback(self._flushing.discard)

    async def flush(self) -> None:
        """Returns when no row waits any more."""
        await asyncio.gather(self._write_waiting(), *self._flushing)

    async def _write_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not waiting:
            return
        try:
            await self._append_or_lose(waiting)
        except StoreUnavailable:
            log.warning("audit rows lost", rows=len(waiting))

    async def _append_or_lose(self, entries: Sequence[tuple[datetime, Entry]]) -> None:
        lost, self._lost = self._lost, None
        try:
            await self._append(*([(self._clock.now(), lost)] if lost else ()), *entries)
        except StoreUnavailable:
            # others may have been lost while it was tried
            known = [each for each in (lost, self._lost) if each]
            since = min([*(each.since for each in known), entries[0][0]])
            self._lost = Gap(since, len(entries) + sum(each.rows for each in known))
            raise

    async def checkpoint(self, upto: int) -> None:
        """Deletes the rows up to this one, and appends the row that vouches for them, in one step.

        Raises:
            BadArgument: There is no such row, or the log is broken; nothing is deleted then.
        """
        found = await self.verify()
        if isinstance(found, Broken):
            raise BadArgument(
                f"The audit log is broken at row {found.at}: {found.why}", undone="Nothing was deleted."
            )
        if not found.first <= upto <= found.count:
            raise BadArgument(f"The audit log has no row {upto}.", undone="Nothing was deleted.")
        await self._append(checkpoint=upto)

    async def prune(self, keep_days: int) -> int:
        """Deletes the rows that are older than so many days, under a checkpoint; the newest row always stays.

        Returns:
            How many went.

        Raises:
            BadArgument: The log is broken; nothing is deleted then.
        """
        before = self._clock.now() - timedelta(days=keep_days)
        first = upto = 0
        while rows := await audit_rows.after(self._store, upto or _BEFORE_ALL, _PAGE):
            old = [each.seq for each in rows if (at := written_at(each)) is not None and at < before]
            first, upto = first or (old[0] if old else 0), old[-1] if old else upto
            if len(old) < len(rows):
                break
        end, _ = await audit_rows.end(self._store)
        upto = min(upto, end.count - 1)
        if not first or upto < first:
            return 0
        await self.checkpoint(upto)
        return upto - first + 1

    async def forget(self, person: str, entry: Entry) -> int:
        """Takes the name of a person (`Person.key`) off their rows; the chain stays whole.

        Args:
            person: Whose.
            entry: Says who did so; it is in the log before.

        Returns:
            Off how many rows.
        """
        await self.write(entry)
        return await audit_rows.forget(self._store, person)

    async def newest(self, most: int) -> tuple[Row, ...]:
        """The last rows, newest first."""
        return await audit_rows.newest(self._store, most)

    async def head(self) -> Head:
        """Where the log ends now. The log stream is told where it does not hold what this program saw before.

        Raises:
            ConfigError: The end was sealed with a key that is not there.
        """
        seen = self._seen
        end, _ = await audit_rows.end(self._store)
        found = {row.seq: row for row in await audit_rows.after(self._store, seen.count - 1, 1)}
        if self._still_holds(seen, end, found) and end.count > seen.count and self._keys.seals(end):
            self._saw(end)
        return end

    async def _append(self, *contents: tuple[datetime, Entry | Gap], checkpoint: int = 0) -> None:
        key, seen = self._keys.newest, self._seen
        if key is None:
            raise StoreUnavailable(
                "CELONIS_CHAT_SECRET_KEY is not set, so nothing can be written to the audit log.",
                hint="Set it to 32 or more random characters, and keep it.",
                undone=_UNDONE,
            )

        def make(head: Head, found: Mapping[int, Row]) -> tuple[Sequence[Row], Head]:
            if not self._still_holds(seen, head, found):
                raise StoreUnavailable(
                    "The audit log is not as this program left it: it was cut, or the database was put back.",
                    hint="Find out why, with celonis-chat audit verify and a head from the log stream; a restarted "
                    "bot writes on where the log ends now.",
                    undone=_UNDONE,
                )
            try:
                sealed = self._keys.seals(head)
            except ConfigError as error:
                raise StoreUnavailable(error.problems[0], undone=_UNDONE) from error
            newest = found[max(found)] if found else Row(0, "", "", "")
            sound = sealed and newest.seq <= head.count
            # A tampered log still takes rows. They then follow on what is there, and the seal stays broken for good.
            last = head if sound else Head(max(head.count, newest.seq), newest.digest)
            whole: list[tuple[datetime, Entry | Gap | Checkpoint]] = [*contents]
            if checkpoint:
                whole.append((self._clock.now(), Checkpoint(checkpoint, found[checkpoint].digest)))
            rows = []
            for at, content in whole:
                person = name_in(content) if isinstance(content, Entry) else None
                rows.append(key.chained(last.count + 1, last.digest, written(at, content, key), person))
                last = Head(last.count + 1, rows[-1].digest)
            return rows, replace(last, seal=key.seal(last) if sound else _BROKEN)

        wanted = {seen.count, checkpoint}
        self._saw(await audit_rows.append(self._store, make, wanted=wanted, checkpoint=checkpoint))

    def _saw(self, head: Head) -> None:
        if head.count > self._seen.count:
            self._seen = head
            log.info("audit log", head=str(head))

    def _still_holds(self, seen: Head, end: Head, found: Mapping[int, Row]) -> bool:
        """Whether the log holds what this program saw of it, and a line in the log stream where not; a row may be
        gone under a checkpoint.
        """
        row = found.get(seen.count)
        if end.count >= seen.count and (not seen.count or row is None or row.digest == seen.digest):
            return True
        log.error("audit log was cut or put back", seen=str(seen), head=str(end))
        return False

    async def verify(self, head: str = "") -> Verified | Broken:
        """Reads the whole log and says whether it is what was written.

        Args:
            head: From an earlier `verify` or the log stream, kept outside the database; the log must still hold that
                row.

        Raises:
            BadArgument: `head` is not what `verify` prints, or names a row that is deleted by now.
            ConfigError: A row was written with a key that is not there.
        """
        kept = _HEAD.match(head.strip())
        if head and not kept:
            raise BadArgument(
                "That is no head of the audit log.",
                hint="It looks like 12:9f86d0…, a number and 64 digits.",
                undone="Nothing was checked.",
            )
        at, digest = (int(kept[1]), kept[2] or "") if kept else (0, "")
        last, reached, nameless = Head(), _BEFORE_ALL, 0
        oldest: Row | None = None
        vouched: dict[str, str] = {}
        while True:
            for row in await audit_rows.after(self._store, reached, _PAGE):
                # What stood before the oldest row, where it is not the first, only a checkpoint further on can say.
                if (oldest is not None or row.seq <= 1) and (problem := self._problem(row, last)):
                    return problem
                oldest, last, reached = oldest or row, Head(row.seq, row.digest), row.seq
                if row.seq == at and row.digest != digest:
                    return Broken(
                        at, f"Row {at} is not the one that the given head names: the log was rewritten."
                    )
                told = told_by(row)
                nameless += "person" in told and row.person is None
                if told.get("kind") == "checkpoint":
                    vouched[str(told.get("upto"))] = str(told.get("digest"))
            end, highest = await audit_rows.end(self._store)
            if highest <= last.count:
                break
        first = oldest.seq if oldest else 1
        gone = str(first - 1)
        if oldest and first > 1 and gone not in vouched:
            return Broken(1, f"The log begins with row {first}, and no checkpoint vouches for row {gone}.")
        if oldest and first > 1 and (problem := self._problem(oldest, Head(first - 1, vouched[gone]))):
            return problem
        if problem := self._problem_behind(last, end, at):
            return problem
        if 0 < at < first and vouched.get(str(at)) != digest:
            raise BadArgument(
                f"The given head names row {at}, but the log begins with row {first}: the rows before it were deleted "
                "under a checkpoint. What is left is whole.",
                hint="Give a head of a later row.",
                undone="Whether the log was put back to an earlier state was not checked.",
            )
        return Verified(last.count, str(last), first, nameless)

    async def export(self) -> AsyncIterator[str]:
        """Every row as a line of JSON, oldest first; lines have no end of line.

        Each is a `Row` with `person` null where there is none, and with its content as an object where it can be read.
        """
        seq = _BEFORE_ALL
        while rows := await audit_rows.after(self._store, seq, _PAGE):
            for row in rows:
                yield as_json(asdict(row) | {"entry": told_by(row) or row.entry})
            seq = rows[-1].seq

    def _problem(self, row: Row, last: Head) -> Broken | None:
        if row.seq <= last.count:
            return Broken(row.seq, f"Row {row.seq} was never written by the bot.")
        if row.seq > last.count + 1:
            return Broken(last.count + 1, f"Row {last.count + 1} is missing.")
        key = self._keys.named(row.key, f"row {row.seq}")
        if not same(key.chained(row.seq, last.digest, row.entry).digest, row.digest):
            return Broken(row.seq, f"Row {row.seq} is not what was written, or not where it was written.")
        if row.person is not None and not same(key.person(row.person), str(told_by(row).get("person"))):
            return Broken(row.seq, f"The name beside row {row.seq} is not the one that was written.")
        return None

    def _problem_behind(self, last: Head, end: Head, at: int) -> Broken | None:
        if at > last.count:
            return Broken(
                last.count + 1,
                f"The given head names row {at}, but the log ends with row {last.count}: rows were cut off, "
                "or the log was put back to an earlier state.",
            )
        if not self._keys.seals(end):
            return Broken(last.count + 1, "The log's end is not sealed: it was tampered with.")
        if (end.count, end.digest) != (last.count, last.digest):
            return Broken(
                last.count + 1,
                f"The log ends with row {last.count}, but {end.count} were written: rows were cut off.",
            )
        return None
