"""Where a sentence is said, as far as its meaning hangs on that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bot.model.intents import Intent
from bot.model.names import Name


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a sentence is said.

    Attributes:
        model: The place's knowledge model.
        last: What was last asked here, resolved.
        now: When (aware), for what a month without a year means.
        repair: Whether words that nobody knows may be misspellings: only once every list was read.
        dates: Id of a knowledge model, or `model/record` (without a record for KPIs) -> id of the field that a period
            without a field is about; the first that fits is.
    """

    model: Name | None = None
    last: Intent | None = None
    now: datetime | None = None
    repair: bool = True
    dates: Mapping[str, str] = field(default_factory=dict)


def date_key(model: str, record: str) -> str:
    """What a date field is chosen for: questions about a record of a knowledge model, or about its KPIs ("")."""
    return f"{model}/{record}"
