"""The right moment: a step's process is found, and stopped when something has happened."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.workflow.project import Project

PATIENCE_S = 240


def wait_for(happened: Callable[[], object], what: str) -> None:
    """Look again and again; fails after minutes."""
    until = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < until, f"never came: {what}"
        time.sleep(0.05)


def processes(project: Project, step: str) -> list[tuple[int, str]]:
    """The processes that work on a step in a project's folder: number, and the output's stem."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_text().split("\0")
            if words[1:4] == ["-m", "hipt", step] and (folder / "cwd").samefile(project.folder):
                found.append((int(folder.name), Path(words[words.index("--out") + 1]).stem))
        except (OSError, ValueError):
            continue
    return found


def freeze(project: Project, step: str, when: Callable[[str], bool]) -> tuple[int, str]:
    """Stop a step's process when something has happened; it may run 5 ms between two looks.

    Returns:
        The stopped process, and the stem of what it makes.
    """
    wait_for(lambda: processes(project, step), f"a process of {step}")
    pid, stem = processes(project, step)[0]
    os.kill(pid, signal.SIGSTOP)
    until = time.monotonic() + PATIENCE_S
    while not when(stem):
        assert time.monotonic() < until, f"{step} {stem} never came so far"
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.005)
        os.kill(pid, signal.SIGSTOP)
    return pid, stem
