"""What was found out before, so that it need not be found out again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Kept(OrderedDict[K, V]):
    """A dict of so many entries at most: what was put longest ago goes first.

    Each request looks a dozen things up, so looking up is the dict's own `get`, which notes nothing.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __setitem__(self, key: K, value: V) -> None:
        if key in self:
            self.move_to_end(key)
        elif len(self) >= self._most:
            self.popitem(last=False)
        super().__setitem__(key, value)
