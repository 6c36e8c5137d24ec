"""The rooms of hipt that a change touches: what CI gives `HIPT_ALL`, `1` for all.

`python -m tests.touched` prints them for what was committed since `HIPT_BASE`, a merge's first
parent or the last tag; where there is none of these, all.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from tests.test_floors import ARROWS

ROOT = Path(__file__).parent.parent
ALL = "1"
UNREAD = ("docs", "benchmarks")
"""Folders that no whole test reads, like text at the top; but for what is typed."""
TYPED = ("docs/tutorials/", "docs/from_trident.md", "docs/offline.md")
PAGES = "pages"
"""Stands among the rooms for what whole tests type."""


def touched(paths: Iterable[str]) -> str:
    """The rooms that lie in or above changed files, as `HIPT_ALL` takes them; empty for none."""
    rooms: set[str] = set()
    for path in map(PurePosixPath, paths):
        if str(path).startswith(TYPED):
            rooms.add(PAGES)
            continue
        if path.parts[0] in UNREAD or path.suffix == ".md":
            continue
        if path.parts[0] not in ("hipt", "tests") or path.parts[1] not in ARROWS:
            return ALL
        rooms.add(path.parts[1])
    while above := {room for room, below in ARROWS.items() if below & rooms} - rooms:
        rooms |= above
    return ",".join(sorted(rooms))


def changed(folder: Path, base: str = "") -> list[str] | None:
    """The files that were changed since a commit of a repository; None where none is known."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    merged = git("rev-parse", "--quiet", "--verify", "HEAD^2") and "HEAD^1"
    start = base or merged or git("describe", "--tags", "--abbrev=0", "HEAD^")
    return git("diff", "--name-only", f"{start}...HEAD").splitlines() if start else None


if __name__ == "__main__":
    paths = changed(ROOT, os.environ.get("HIPT_BASE", ""))
    sys.stdout.write(ALL if paths is None else touched(paths))
