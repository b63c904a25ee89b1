"""Values of text fields, read when somebody first says one; in memory only."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta

from cachetools import LRUCache

from bot.celonis import Api, DataQuery
from bot.language.lexicon import Entity, FieldValues
from bot.model.errors import CelonisError, QuotaExhausted
from bot.model.names import Kind, fold

FRESH = timedelta(hours=12)
A_DAY = 0.01
"""Part of the day's calls that reading values may cost."""
AT_ONCE = 12
"""Fields that are read for one question."""
_LISTS = 2_000
_LONGEST = 80


class FieldValueLists:
    """The values of a connection's text fields, as far as they were read."""

    def __init__(self) -> None:
        self._kept: LRUCache[tuple[str, str], tuple[datetime, FieldValues]] = LRUCache(_LISTS)
        self._spent: deque[datetime] = deque()

    async def of(self, fields: Sequence[Entity], asking: Api, now: datetime) -> list[FieldValues]:
        """The values of these fields; those that may not be read now are left out.

        Args:
            fields: Fields that the person may see.
            asking: Reads what is not at hand.
            now: When the request came (UTC).
        """
        found: list[FieldValues] = []
        reads = 0
        for each in fields:
            model, record = each.owner(Kind.MODEL), each.owner(Kind.RECORD)
            if model is None or record is None or each.type not in {"", "string"}:
                continue
            key = (model.id, each.name.id)
            kept = self._kept.get(key)
            if kept is None or now - kept[0] > FRESH:
                if reads >= AT_ONCE or not self._affordable(asking.limits.per_day, now):
                    continue
                reads += 1
                self._spent.append(now)
                read = await _read(each, model.id, record.id, asking)
                if read is None:
                    continue
                kept = self._kept[key] = now, read
            found.append(kept[1])
        return found

    def _affordable(self, per_day: int, now: datetime) -> bool:
        while self._spent and now - self._spent[0] > timedelta(days=1):
            self._spent.popleft()
        return len(self._spent) < A_DAY * per_day


async def _read(field: Entity, model: str, record: str, asking: Api) -> FieldValues | None:
    own = field.name.id.partition(".")[2] or field.name.id
    query = DataQuery(fields=(own,), distinct=True)
    try:
        page = await asking.record_data(model, record, query)
    except (CelonisError, QuotaExhausted):
        return None
    values = [row.get(own) for row in page.rows]
    known = {
        fold(each): each
        for each in values
        if isinstance(each, str) and each.strip() and len(each) <= _LONGEST
    }
    return FieldValues(field, known, complete=page.last and len(page.rows) < query.size(asking.limits))
