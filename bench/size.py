"""How much code there is: lines that hold code, without blank lines, comments and docstrings.

`python -m bench.size` prints a table, with `--json` the same figures as JSON. A line counts if a token other than a
comment begins on it, ends on it or runs through it and it isn't blank; a docstring is a string that stands first in a
module, class or function. Beside the totals it lists what is long: modules over 450 such lines, classes over 300.
"""

import argparse
import ast
import io
import json
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

LONG_MODULE = 450
LONG_CLASS = 300

PARTS = {
    "bot and adapters": (("bot", "adapters"), "bot/sandbox/"),
    "sandbox": (("bot/sandbox",), ""),
}

NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Size:
    """Something with a name and its code lines."""

    name: str
    lines: int


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the project, with its modules, largest first, and what in it is long."""

    name: str
    lines: int
    modules: list[Size]
    long_modules: list[Size]
    long_classes: list[Size]


def code_lines(source: str) -> set[int]:
    """Numbers of the lines that hold code.

    Raises:
        SyntaxError: It isn't Python.
    """
    text = source.splitlines()
    held: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NO_CODE:
            held.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            docstring = node.body[0]
            held.difference_update(range(docstring.lineno, (docstring.end_lineno or docstring.lineno) + 1))
    return {number for number in held if text[number - 1].strip()}


def classes(source: str, held: set[int]) -> Iterator[Size]:
    """Each class with its code lines."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            yield Size(node.name, sum(node.lineno <= number <= (node.end_lineno or 0) for number in held))


def measure(root: Path, name: str, folders: tuple[str, ...], without: str = "") -> Part:
    """Counts every module in the folders.

    Args:
        root: Where the folders are.
        name: What the part is called.
        folders: Relative to `root`.
        without: A relative path; modules below it don't count. Empty: all count.
    """
    modules: list[Size] = []
    long_classes: list[Size] = []
    for path in sorted(file for folder in folders for file in (root / folder).rglob("*.py")):
        relative = path.relative_to(root).as_posix()
        if without and relative.startswith(without):
            continue
        source = path.read_text(encoding="utf-8")
        held = code_lines(source)
        modules.append(Size(relative, len(held)))
        long_classes += [
            Size(f"{relative}::{size.name}", size.lines)
            for size in classes(source, held)
            if size.lines > LONG_CLASS
        ]
    modules.sort(key=lambda size: (-size.lines, size.name))
    return Part(
        name,
        sum(size.lines for size in modules),
        modules,
        [size for size in modules if size.lines > LONG_MODULE],
        sorted(long_classes, key=lambda size: (-size.lines, size.name)),
    )


def table(parts: list[Part]) -> str:
    """The totals, and what is long."""
    lines = [f"{'':<52}{'modules':>9}{'code lines':>12}"]
    lines += [f"{part.name:<52}{len(part.modules):>9}{part.lines:>12,}" for part in parts]
    for title, found in (
        (f"modules over {LONG_MODULE} lines", [size for part in parts for size in part.long_modules]),
        (f"classes over {LONG_CLASS} lines", [size for part in parts for size in part.long_classes]),
    ):
        lines += ["", f"{title}: {len(found) or 'none'}"]
        lines += [f"  {size.name:<59}{size.lines:>12,}" for size in found]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Counts the project's code lines.")
    parser.add_argument("--json", action="store_true", help="the figures of every module as JSON")
    root = Path(__file__).parents[1]
    parts = [measure(root, name, folders, without) for name, (folders, without) in PARTS.items()]
    if parser.parse_args().json:
        json.dump([asdict(part) for part in parts], sys.stdout, indent=1)
        print()
    else:
        print(table(parts))


if __name__ == "__main__":
    main()
