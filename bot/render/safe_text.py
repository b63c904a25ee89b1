"""Foreign text made harmless: no control characters, cut visibly, set in columns."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from rich.cells import cell_len, set_cell_size

ELLIPSIS = "…"
_ZWNJ, _ZWJ = "\u200c", "\u200d"
_EMOJI_STYLE = "\ufe0f"
_MARKS_IN_A_ROW = 8
# Cf characters that are drawn (the number signs of Arabic, Syriac and Kaithi): Unicode 15, Prepended_Concatenation_Mark.
_DRAWN_FORMAT_CHARACTERS = frozenset(
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd"
)
# Not Cf, but drawn as nothing all the same: Unicode 15, Default_Ignorable_Code_Point, and the braille blank.
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0d\uffa0\ufff0-\uffff"
    "\U000e0000-\U000e0fff]"
)

# Latin and Greek letters, punctuation, arrows, blocks and marks, Chinese, Japanese and Korean: drawn as they stand.
_PLAIN = re.compile(
    "[ -~\u00a0-\u00ac\u00ae-\u02ff\u0391-\u03ff\u2010-\u2027\u202f-\u205e\u20a0-\u20cf\u2190-\u27ff"
    "\u3041-\u3096\u30a1-\u30ff\u4e00-\u9fff\uac00-\ud7a3]*"
)


def clean(text: str, *, lines: bool = False) -> str:
    """Foreign text, safe to show anywhere: what is left is what the eye sees.

    Control characters (ESC and its like), characters that turn the direction of text, and invisible ones are dropped;
    joiners stay where a script or an emoji needs them. Half surrogate pairs become U+FFFD.

    Args:
        text: Any characters at all.
        lines: Keep line breaks; otherwise they become spaces.
    """
    if _PLAIN.fullmatch(text):
        return text
    kept: list[str] = []
    marks = 0
    for position, char in enumerate(text):
        shown = _shown(char, text, position, lines=lines)
        marks = marks + 1 if shown and unicodedata.category(shown[0]) in ("Mn", "Me") else 0
        if marks <= _MARKS_IN_A_ROW:
            kept.append(shown)
    return "".join(kept)


def _shown(char: str, text: str, position: int, *, lines: bool) -> str:
    if char in "\n\u2028\u2029":
        return "\n" if lines else " "
    if char == "\r":
        return "" if text[position + 1 : position + 2] == "\n" else ("\n" if lines else " ")
    if char in "\t\v\f\x85":
        return " "
    category = unicodedata.category(char)
    if category == "Cs":
        return "\ufffd"
    if category == "Cc":
        return ""
    if char in (_ZWJ, _ZWNJ):
        return char if _joins(char, text, position) else ""
    if category == "Cf":
        return char if char in _DRAWN_FORMAT_CHARACTERS else ""
    if char in "\ufe0e\ufe0f":
        before = text[position - 1 : position]
        return (
            char
            if before and (unicodedata.category(before) in ("So", "Sm", "Po") or before in "#*0123456789")
            else ""
        )
    return "" if _BLANK.match(char) else char


def _joins(joiner: str, text: str, position: int) -> bool:
    """Whether a joiner stands where it changes what is drawn: inside an emoji, or inside a word of a joining script."""
    last = position - 2 if text[max(position - 1, 0)] == _EMOJI_STYLE else position - 1
    before = text[last] if last >= 0 else ""
    after = text[position + 1 : position + 2]
    if not before or not after:
        return False
    if (
        joiner == _ZWJ
        and unicodedata.category(before) in ("So", "Sk")
        and unicodedata.category(after) == "So"
    ):
        return True
    # Arabic to Myanmar and Khmer to Mongolian: the scripts in which joiners are spelling.
    return all("\u0600" <= each <= "\u109f" or "\u1780" <= each <= "\u18af" for each in (before, after))


def units(text: str) -> int:
    """Length in UTF-16 code units, which is how JavaScript and .NET count."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, length: int) -> str:
    """Text of at most `length` UTF-16 units; where something is cut off, an ellipsis shows it."""
    if 2 * len(text) <= length or units(text) <= length:
        return text
    room, end = length - 1, 0
    while end < len(text) and room >= units(text[end]):
        room -= units(text[end])
        end += 1
    while end and _belongs_to_the_one_before(text[end], text[end - 1]):
        end -= 1
    return text[:end].rstrip() + ELLIPSIS


def _belongs_to_the_one_before(char: str, before: str) -> bool:
    return _ZWJ in (before, char) or unicodedata.category(char) in ("Mn", "Me", "Mc", "Sk")


# --- text in columns -------------------------------------------------------------------------------------------


def columns(rows: Sequence[Sequence[str]], numeric: Sequence[bool], *, widest: int) -> list[str]:
    """Rows as lines with aligned columns, for a fixed-width font; wide characters count as two.

    Args:
        rows: Cells as text, all rows equally long; the first row may be the headings.
        numeric: Which columns are set flush right.
        widest: The most places a column takes; longer cells end in an ellipsis.
    """
    fitted = [[_fit(cell, widest) for cell in row] for row in rows]
    widths = [max((cell_len(row[index]) for row in fitted), default=0) for index in range(len(numeric))]
    return [
        "  ".join(_pad(*each) for each in zip(row, widths, numeric, strict=True)).rstrip() for row in fitted
    ]


def rule(rows: Sequence[Sequence[str]], wide: int, *, widest: int) -> str:
    """The line between headings and rows of `columns`."""
    return "  ".join("─" * max(cell_len(_fit(row[index], widest)) for row in rows) for index in range(wide))


def width(text: str) -> int:
    """Places a text takes in a fixed-width font; wide characters take two."""
    return cell_len(text)


def _fit(text: str, widest: int) -> str:
    return text if cell_len(text) <= widest else set_cell_size(text, widest - 1).rstrip() + ELLIPSIS


def _pad(text: str, width: int, flush_right: bool) -> str:  # noqa: FBT001  # comes out of zip
    space = " " * (width - cell_len(text))
    return space + text if flush_right else text + space


def whole_lines(text: str, length: int) -> Iterable[str]:
    """Text in pieces of at most `length` UTF-16 units, broken between lines where that is possible."""
    piece = ""
    for line in text.split("\n"):
        joined = f"{piece}\n{line}" if piece else line
        if units(joined) <= length:
            piece = joined
            continue
        if piece:
            yield piece
        piece = line
        while units(piece) > length:
            end = length if piece.isascii() else length // 2
            yield piece[:end]
            piece = piece[end:]
    if piece:
        yield piece
