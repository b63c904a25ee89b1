"""A secret that nobody reads by accident, and what can be wrong with one."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

_MASK = "********"
_SHORTEST_WITH_TAIL = 16


class Secret:
    """Something that nobody may read by accident: `repr`, `str` and formatting show a mask.

    Attributes:
        name: The environment variable or setting it came from; safe to show.
    """

    __slots__ = ("_file", "_value", "name")

    def __init__(self, value: str, *, name: str = "secret", file: Path | None = None) -> None:
        self.name = name
        self._value = value
        self._file = file

    def reveal(self) -> str:
        """The value itself; for the one place that sends or uses it."""
        return self._value

    def read_again(self) -> Secret:
        """The secret as its file holds it now (keys get rotated underneath a running program).

        Returns:
            A new secret; this one where it came from the environment, or where the file cannot be read or is
            holds nothing that can be a secret for the moment.
        """
        if self._file is None:
            return self
        try:
            value = self._file.read_text(encoding="utf-8-sig").strip()
        except (OSError, UnicodeDecodeError):
            return self
        return self if secret_fault(value, blanks=True) else Secret(value, name=self.name, file=self._file)

    @property
    def tail(self) -> str:
        """The last four characters behind dots, to tell keys apart; only dots for a short secret."""
        return f"…{self._value[-4:]}" if len(self._value) >= _SHORTEST_WITH_TAIL else "…"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return f"Secret({self.name}: {_MASK})"

    def __str__(self) -> str:
        return _MASK

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is neither copied nor pickled")


def secret_fault(value: str, *, blanks: bool = False) -> str:
    """What is wrong with a secret's text, without any of it; empty where it can be used."""
    if not value:
        return "is empty"
    if len(set(value.casefold())) == 1:
        return "is one character, once or repeated, which is no secret; give the one that was issued"
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return "stands in quotation marks; remove them, they would be sent as part of it"
    if any(not " " <= each <= "~" for each in value):
        return "holds a line break, an invisible character or a character outside ASCII; copy it again"
    if " " in value and not blanks:
        return "holds a blank; give the key alone, without a word such as Bearer or AppKey before it"
    return ""
