"""The command line in a process of its own that takes one line after the other: starting it takes longer than most lines."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).parents[1]
_DRIVER = """
import contextlib, io, json, os, sys, time, traceback
from adapters.cli import main
lines = sys.stdin
for line in lines:
    told = json.loads(line)
    os.environ.clear()
    os.environ.update(told["environ"])
    os.chdir(told["folder"])
    time.tzset()
    out, errors, sys.stdin = io.StringIO(), io.StringIO(), io.StringIO(told["typed"])
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        try:
            main(told["words"], prog_name="celonis-chat")
            code = 0
        except SystemExit as end:
            code = end.code or 0
        except BaseException:
            traceback.print_exc()
            code = 1
    print(json.dumps([code, out.getvalue(), errors.getvalue()]), flush=True)
"""


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a line."""

    returncode: int
    stdout: str
    stderr: str


class Program:
    """`celonis-chat`, for one line at a time; closed at the end of the block."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(  # noqa: S603 - our own program, with words from the tests
            [sys.executable, "-c", _DRIVER],
            env={"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def run(
        self, words: Sequence[str], *, folder: Path, environ: Mapping[str, str] | None = None, typed: str = ""
    ) -> Done:
        """Runs one line.

        Args:
            words: Behind the program's name.
            folder: Where; also the person's home.
            environ: All of its environment, but for the path and the home.
            typed: Its standard input.
        """
        told = {
            "words": list(words),
            "environ": {"PATH": "/usr/bin:/bin", "HOME": str(folder), **(environ or {})},
            "folder": str(folder),
            "typed": typed,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()
        return Done(*json.loads(self._process.stdout.readline()))
