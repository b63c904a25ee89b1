"""The audit log as tests read it: what `export` prints, newest first."""

import json
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter

from bot.audit import Audit
from bot.audit_entries import Entry

_ENTRY = TypeAdapter(Entry)


@dataclass(frozen=True)
class Logged:
    """A row; without an entry where it tells something of the log itself, or nobody can read it any more."""

    seq: int
    at: datetime | None
    entry: Entry | None


async def recent(audit: Audit, most: int) -> tuple[Logged, ...]:
    rows = [_logged(line) async for line in audit.export()]
    return tuple(rows[::-1][:most])


def _logged(line: str) -> Logged:
    row = json.loads(line)
    said = row["entry"]
    if not isinstance(said, dict) or said["kind"] != "decision":
        return Logged(row["seq"], None, None)
    entry = _ENTRY.validate_python({**said, "person": row["person"] or ""})
    return Logged(row["seq"], datetime.fromisoformat(said["at"]), entry)
