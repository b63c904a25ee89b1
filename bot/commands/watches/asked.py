"""What can be asked about what is watched, guarded and told."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import time, timedelta
from typing import ClassVar

from bot.language.declare import (
    CelonisIntent,
    Count,
    Flag,
    Lasting,
    Phrase,
    Sentence,
    TimeOfDay,
    clause,
)
from bot.model.intents import Intent


@dataclass(frozen=True, slots=True)
class Watches(Intent):
    """What is watched, guarded and told in this place."""

    words: ClassVar[str] = "watches"
    everywhere: bool = field(default=False, metadata=clause("of all", Flag()))
    page: int = field(default=1, metadata=clause("page", Count()))


@dataclass(frozen=True, slots=True)
class Unwatch(Intent):
    """Ends a watch, a guard, an alert or a digest."""

    words: ClassVar[str] = "unwatch"
    which: str = field(default="", metadata=clause("", Phrase()))


@dataclass(frozen=True, slots=True)
class Snooze(Intent):
    """Keeps one of them silent for a while."""

    words: ClassVar[str] = "snooze"
    which: str = field(default="", metadata=clause("", Phrase()))
    lasting: timedelta | None = field(default=None, metadata=clause("for", Lasting()))
    until: time | None = field(default=None, metadata=clause("until", TimeOfDay()))


@dataclass(frozen=True, slots=True)
class Edit(CelonisIntent):
    """Sets something else in place of one of them."""

    words: ClassVar[str] = "edit"
    which: str = field(default="", metadata=clause("", Phrase()))
    to: Intent | None = field(default=None, metadata=clause("to", Sentence()))
