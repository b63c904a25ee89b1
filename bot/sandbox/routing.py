"""Finds the handler for a path. Own code because it is on the way of every request and knows only whole segments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from multidict import MultiMapping

    from bot.sandbox.keys import Key
    from bot.sandbox.replies import Reply


@dataclass(frozen=True, slots=True)
class Call:
    """A request whose key is known and whose quota allows it.

    Attributes:
        method: HTTP method.
        path: As sent, still encoded.
        query: Decoded parameters, repeated ones in order.
        body: As sent.
        key: Who asks.
        args: The decoded variable segments of the path, in order.
    """

    method: str
    path: str
    query: MultiMapping[str]
    body: bytes
    key: Key
    args: tuple[str, ...]


Handler: TypeAlias = "Callable[[Call], Reply]"
Route: TypeAlias = tuple[str, str, "Handler"]


class Routes:
    """A table of (method, pattern, handler); `*` in a pattern is one variable segment."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._by_length: dict[int, list[tuple[tuple[str, ...], dict[str, Handler]]]] = {}
        for method, pattern, handler in routes:
            segments = tuple(pattern.strip("/").split("/"))
            candidates = self._by_length.setdefault(len(segments), [])
            for known, methods in candidates:
                if known == segments:
                    methods[method] = handler
                    break
            else:
                candidates.append((segments, {method: handler}))
        for candidates in self._by_length.values():
            candidates.sort(key=lambda entry: entry[0].count("*"))

    def find(self, method: str, raw_path: str) -> tuple[Handler | None, tuple[str, ...], bool]:
        """Looks a path up.

        Returns:
            The handler (None without one), the decoded variable segments, and whether the path is known at all.
        """
        sent = raw_path.split("/")[1:]
        for segments, methods in self._by_length.get(len(sent), ()):
            if all(wanted in ("*", given) for wanted, given in zip(segments, sent, strict=True)):
                handler = methods.get(method)
                if handler is None:
                    return None, (), True
                args = tuple(
                    unquote(given) for wanted, given in zip(segments, sent, strict=True) if wanted == "*"
                )
                return handler, args, True
        return None, (), False
