"""Text that looks like a key, a token or a password is never echoed, logged, stored or sent on.

A plain UUID, a dotted id or a hash of a file is no secret: names and ids stay readable.
"""

from __future__ import annotations

import json
import logging
import math
import re
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, MutableMapping
from itertools import pairwise
from typing import Any

REDACTED = "[redacted]"

_B = "[A-Za-z0-9+/]"
_DIGIT = f"[MNOQRYZ]{_B}"  # how the Base64 of three characters begins if the first is a hex digit
_CELONIS_KEY = (
    # The Base64 of a UUID and a colon: 48 characters in which the four dashes and the colon stand out.
    f"(?:{_DIGIT}{_B}{{2}}){{2}}{_DIGIT}{_B}t{_DIGIT}{_B}{{2}}{_DIGIT}[0-3]{_B}{_DIGIT}{_B}{{2}}"
    f"L{_B}{{3}}{_DIGIT}{_B}t(?:{_DIGIT}{_B}{{2}}){{4}}O[A-Za-z0-9+/_-]{{3,}}={{0,2}}"
)
_UUID = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_ALWAYS = re.compile(
    "|".join(
        (
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|\Z)",
            _CELONIS_KEY,
            r"\bxox[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]{6,}",
            r"\bxapp-[A-Za-z0-9-]{6,}",
            r"\beyJ[\w-]{10,}\.[\w-]+(?:\.[\w-]*){0,3}",
            r"(?:https?://)?hooks\.slack(?:-gov)?\.com/[^\s\"'<>|]+",
            r"(?:https?://)?[\w-]{1,63}\.webhook\.office\.com/[^\s\"'<>|]+",
            r"(?<![\w~.-])[\w~.-]{3}[0-9]Q~[\w~.-]{31,34}",  # a client secret of Microsoft Entra
        )
    ),
    re.ASCII,
)
_ADDRESS_PASSWORD = re.compile(r"(?<=://)([^\s/:@]{0,200}):([^\s/@]{1,200})@")
_KEY_PAIR = re.compile(rf"\b({_UUID}):([A-Za-z0-9+/_=-]{{20,}})")
_PASSWORD = re.compile(
    r"(?i)(passw(?:or)?d|passphrase|pwd|kennwort|passwort)(\"?'?\s{0,3}[=:]\s{0,3})"
    r"((?:\"[^\"\n]{1,200}\"|'[^'\n]{1,200}')[^\s,;&]*|[^\s,;&]{4,})"
)
_AFTER_A_WORD = re.compile(
    r"(?i)(app-?key|bearer|basic|key|token|secret|passw(?:or)?d|passphrase|credentials?|authorization|signature|sig"
    r"|schlüssel|kennwort|passwort)"
    r"((?:[\s\"'=:,<>`*_()“”„-]|\bis\b|\bist\b|\bvalue\b){1,12})([A-Za-z0-9+/_=.~-]{16,})"
)
_LONG_RUN = re.compile(r"(?<![A-Za-z0-9+/_=.~-])[A-Za-z0-9+/_=.~-]{16}")
_TELL_TALES = ("-----", "://", "xox", "xapp", "eyj", "pass", "pwd", "kennwort")
_PLAIN_ID = re.compile(rf"(?:{_UUID}|[\w-]{{1,40}}(?:\.[\w-]{{1,40}})+)[.:,;]?\Z")
_HEX = re.compile(r"[0-9a-fA-F]{24,}\Z")
_TELLING = re.compile(r"(?i)token|secret|passw|bearer|appkey|credential|signature")
_BITS_A_CHARACTER = 3.3
_CHANGES_A_CHARACTER = 0.33


def _worth_a_look(text: str) -> bool:
    """Whether there is what at least is in every text that one of the patterns above finds something in.

    Most texts of a log have none of it, and each request is looked at twice.
    """
    if _LONG_RUN.search(text):
        return True
    folded = text.casefold()
    return any(each in folded for each in _TELL_TALES)


def _kind(character: str) -> str:
    return "digit" if character.isdigit() else "upper" if character.isupper() else "lower"


def _random(text: str) -> bool:
    """Whether text is more like something drawn by lot than like something named by people (`OrderDate2024`)."""
    kinds = [_kind(character) for character in text if character.isalnum()]
    changes = sum(one != other for one, other in pairwise(kinds))
    counts = Counter(text).values()
    bits = -sum(count / len(text) * math.log2(count / len(text)) for count in counts)
    return len(set(kinds)) == 3 and bits >= _BITS_A_CHARACTER and changes >= _CHANGES_A_CHARACTER * len(kinds)  # noqa: PLR2004 - all of them


def _spans(text: str) -> Iterator[tuple[int, int]]:
    for found in _ALWAYS.finditer(text):
        yield found.span()
    for found in _ADDRESS_PASSWORD.finditer(text):
        yield found.span(2)
    for found in _PASSWORD.finditer(text):
        if found[3] != REDACTED:
            yield found.span(3)
    for found in _KEY_PAIR.finditer(text):
        if not _PLAIN_ID.match(found[2]) and _random(found[2]):
            yield found.span()
    for found in _AFTER_A_WORD.finditer(text):
        secret = found[3]
        if _PLAIN_ID.match(secret):
            continue
        if _random(secret) or (_HEX.match(secret) and _TELLING.search(found[1])):
            yield found.span(3)


def redact(text: str) -> str:
    """The text with everything that looks secret replaced by `[redacted]`; the rest stays as it is."""
    if not _worth_a_look(text):
        return text
    parts = []
    reached = 0
    for start, end in sorted(_spans(text)):
        if end <= reached:
            continue
        if start >= reached:
            parts += [text[reached:start], REDACTED]
        reached = end
    return "".join(parts) + text[reached:] if parts else text


def looks_secret(text: str) -> bool:
    """Whether something in the text looks like a key, a token or a password."""
    return _worth_a_look(text) and next(_spans(text), None) is not None


# --- logging ---------------------------------------------------------------------------------------------------


def _deep(value: Any) -> Any:
    match value:
        case str():
            return redact(value)
        case bytes():
            return redact(value.decode("utf-8", "replace"))
        case None | bool() | int() | float():
            return value
        case Mapping():
            return {_deep(key): _deep(each) for key, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_deep(each) for each in value]
        case BaseException():
            return redact("".join(traceback.format_exception_only(value)).strip())
        case _:
            return redact(repr(value))


def _said(exc_info: Any) -> str:
    if isinstance(exc_info, BaseException):
        return redact("".join(traceback.format_exception(exc_info)).rstrip())
    if isinstance(exc_info, tuple) and exc_info[1] is not None:
        return redact("".join(traceback.format_exception(*exc_info)).rstrip())
    return ""


def redact_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: redacts every string at any depth, exceptions included.

    It belongs directly before the renderer. `exc_info` becomes the text `exception`, so that no renderer behind it
    prints the original.
    """
    exc_info = event.pop("exc_info", None)
    if exc_info is True:
        import sys

        exc_info = sys.exc_info()
    if said := _said(exc_info):
        event["exception"] = said
    return {str(_deep(key)): _deep(value) for key, value in event.items()}


def redacted_json(logger: object, method: str, event: MutableMapping[str, Any]) -> str:
    """A structlog processor for `redact_event` and the renderer behind it: one line of JSON.

    Nearly no line holds anything worth a look, which one search in the whole of it tells; what JSON had to write
    differently, so that a search might miss it, has a backslash.
    """
    if "exc_info" not in event:
        try:
            line = json.dumps(event)
        except (TypeError, ValueError):  # something that is no JSON as it is
            pass
        else:
            if "\\" not in line and not _worth_a_look(line):
                return line
    return json.dumps(redact_event(logger, method, event))


class RedactingFilter(logging.Filter):
    """Redacts a record of the standard library's logging in place. It belongs on every handler, not on a logger:
    a logger's filters do not see what its children log.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            record.msg = redact(record.getMessage())
        except Exception:  # noqa: BLE001 - a broken log call must not break its caller, nor print its arguments
            record.msg = f"unprintable log message at {record.pathname}:{record.lineno}"
        record.args = ()
        if record.exc_info:
            record.exc_text = _said(record.exc_info)
            record.exc_info = None
        elif record.exc_text:
            record.exc_text = redact(record.exc_text)
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        for name, value in list(vars(record).items()):
            if name not in _STANDARD:
                setattr(record, name, _deep(value))
        return True


_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
