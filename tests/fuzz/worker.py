"""A process that reads damaged files, one after the other, under a limit of memory.

It is told `[target, number]` per line, and answers with one line of JSON for each. What must never
happen while something is read (a program started, a pickle's class looked up, a connection, a file
opened for writing) is noticed by an audit hook.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from hipt.errors import HiptError, SlideError
from tests.fuzz.targets import TARGETS, Target

FORBIDDEN = ("subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect",
             "pickle.find_class", "shutil.", "os.remove", "os.rename", "os.rmdir", "os.link",
             "os.symlink", "os.chmod")  # fmt: skip
LONGEST_SENTENCE = 1000
ROOM_MIB = 2048
"""Address space that reading may take beyond what the process has."""


class Watch:
    """Remembers what was done that must not be done."""

    def __init__(self) -> None:
        self.on = False
        self.seen: list[str] = []
        self._own = f"('{tempfile.gettempdir()}/"
        """Torch makes and removes a folder there before it refuses its oldest kind of file."""
        sys.addaudithook(self._look)

    def _look(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event.startswith(FORBIDDEN) and not str(args[:1]).startswith(self._own):
            self.seen.append(f"{event} {args[:1]}")
        elif event == "open" and isinstance(args[2], int):
            writing = args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if writing and args[0] != os.devnull:
                self.seen.append(f"{event} {args[0]!r}")


def memory_kib(field: str) -> int:
    """A line of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1])


def judged(error: BaseException | None, named: str) -> tuple[str, str]:
    """How reading ended: accepted, sentence, status, or other with what is wrong."""
    if error is None:
        return "accepted", ""
    text = str(error)
    if not isinstance(error, HiptError):
        return "other", f"{type(error).__name__}: {text[:300]}"
    if not text.isprintable():
        return "other", f"a sentence with control characters: {text[:300]!r}"
    if len(text) > LONGEST_SENTENCE:
        return "other", f"a sentence of {len(text)} characters: {text[:300]}"
    if isinstance(error, SlideError):
        return "status", text  # stands in the slide's row
    if named not in text:
        return "other", f"a sentence that does not name {named}: {text[:300]}"
    return "sentence", text


class Readers:
    """Reads what is asked for, and says how that ended."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._watch, self._limit = folder, Watch(), 0

    def answer(self, target: Target, number: int) -> tuple[str, str, float, float]:
        """How reading an input ended, seconds, and the most memory that it took, MiB."""
        path = self._put(target, target.input(number))
        before = sorted(self._folder.rglob("*"))
        if number == 0:  # what a reader imports is no part of the measure
            with suppress(Exception):
                target.read(path)
            self._limit = (memory_kib("VmSize") + 1024 * ROOM_MIB) * 1024
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
        held, start = memory_kib("VmRSS"), time.monotonic()
        kind, text = judged(self._read(target, path), target.named or path.name)
        seconds, peak = time.monotonic() - start, memory_kib("VmHWM") - held
        if self._watch.seen:
            kind, text = "other", f"did what a reader must not do: {self._watch.seen[0]}"
        elif not target.writes and sorted(self._folder.rglob("*")) != before:
            kind, text = "other", "left a file"
        return kind, text, seconds, max(0, peak) / 1024

    def _put(self, target: Target, data: bytes) -> Path:
        """The input as a file, with what belongs beside it."""
        shutil.rmtree(self._folder, ignore_errors=True)
        path = self._folder / target.file
        path.parent.mkdir(parents=True)
        target.prepare(self._folder)
        path.write_bytes(data)
        return path

    def _read(self, target: Target, path: Path) -> Exception | None:
        """Read under the limit, watched; the error that ended it."""
        self._watch.on, self._watch.seen = not target.writes, []
        limit = self._limit if target.capped and self._limit else resource.RLIM_INFINITY
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        try:
            target.read(path)
        except Exception as error:  # noqa: BLE001 - which kinds there are is the question
            return error
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            self._watch.on = False
        return None


def main() -> None:
    """Answer until nobody asks."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries in C write there what they like
    readers = Readers(Path.cwd() / "in")
    for line in sys.stdin:
        name, number = json.loads(line)
        print(json.dumps(readers.answer(TARGETS[name], number)), file=answers, flush=True)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    main()
