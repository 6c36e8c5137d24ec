"""Runs targets in a process of their own, which is started anew when one takes it down."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

ROOT = Path(__file__).parents[2]
LONGEST_S = 60.0
"""A file that keeps a reader busy for longer has hung it up."""


class Outcome(NamedTuple):
    """How one input ended."""

    number: int
    kind: str
    """accepted, sentence, status or other."""
    text: str
    seconds: float
    peak_mib: float


class Readers:
    """A process that reads damaged files; to be used in a `with` block."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def outcomes(self, target: str, count: int) -> Iterator[Outcome]:
        """The inputs 0, 1, ... of a target."""
        for number in range(count):
            yield Outcome(number, *self._ask(target, number))

    def _ask(self, target: str, number: int) -> tuple[str, str, float, float]:
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps([target, number]) + "\n")
        process.stdin.flush()
        if not select.select([process.stdout], [], [], LONGEST_S)[0]:
            self._end()
            return "other", f"not done after {LONGEST_S:.0f} s", LONGEST_S, 0.0
        line = process.stdout.readline()
        if not line:
            process.wait()
            self._end()
            return "other", f"took the process down (exit {process.returncode})", 0.0, 0.0
        kind, text, seconds, peak = json.loads(line)
        return kind, text, seconds, peak

    def _start(self) -> subprocess.Popen[str]:
        (self._folder / "tmp").mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-W", "ignore", "-X", "faulthandler", "-m", "tests.fuzz.worker"]
        environment = {
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": "/nonexistent",
        }
        environment |= {"OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
        environment |= {"POLARS_MAX_THREADS": "1", "PATH": "/usr/bin:/bin"}
        environment["TMPDIR"] = str(self._folder / "tmp")
        with (self._folder / "stderr").open("ab") as said:
            self._process = subprocess.Popen(
                command,
                cwd=self._folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
            )
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
        self._process = None
