"""The count of code lines."""

from pathlib import Path

from bench.size import code_lines, measure

SOURCE = '''"""Module.

Two lines of it.
"""

import os  # a comment beside code counts as code

# a comment of its own does not


class Box:
    """A class."""

    text = """not a docstring

    second line"""

    def open(self) -> str:
        """A function."""
        return os.sep.join(
            [self.text],
        )
'''


def test_blanks_comments_and_docstrings_do_not_count() -> None:
    lines = SOURCE.splitlines()
    assert [lines[number - 1].strip() for number in sorted(code_lines(SOURCE))] == [
        "import os  # a comment beside code counts as code",
        "class Box:",
        'text = """not a docstring',
        'second line"""',
        "def open(self) -> str:",
        "return os.sep.join(",
        "[self.text],",
        ")",
    ]


def test_long_modules_and_classes_are_listed_and_left_out_folders_are_not_counted(tmp_path: Path) -> None:
    (tmp_path / "a" / "inner").mkdir(parents=True)
    (tmp_path / "a" / "long.py").write_text("class Long:\n" + "    x = 1\n" * 300 + "\n\ny = 2\n" * 150)
    (tmp_path / "a" / "short.py").write_text("class Short:\n" + "    x = 1\n" * 299)
    (tmp_path / "a" / "inner" / "other.py").write_text("z = 3\n" * 1000)
    part = measure(tmp_path, "a", ("a",), "a/inner/")
    assert part.lines == 301 + 150 + 300
    assert [(size.name, size.lines) for size in part.long_modules] == [("a/long.py", 451)]
    assert [(size.name, size.lines) for size in part.long_classes] == [("a/long.py::Long", 301)]
