"""A process of Python that tells of every connection and look-up, and is refused all of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]

_EVENTS = (
    *("socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo"),
    *("socket.gethostbyname", "urllib.Request", "os.fork", "os.posix_spawn"),
)
"""Python's own audit events; a child that is forked tells too, and that it is forked is one."""

_HOOK = f"""
import sys
def _told(event, args):
    if event in {_EVENTS!r}:
        with open({{file!r}}, "a") as out:
            out.write(event + "\\n")
        if event.startswith(("socket", "urllib")):
            raise OSError("no connection is allowed")
sys.addaudithook(_told)
"""


def watched(arguments: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python with `arguments`.

    Args:
        arguments: as on its command line.
        folder: its home, which remembers what was asked for.
    """
    hook = _HOOK.format(file=str(folder / "asked.txt"))
    (folder / "sitecustomize.py").write_text(hook)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
    }  # not that of a CI: silent there
    environment["PYTHONPATH"] = os.pathsep.join([str(folder), str(ROOT)])
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment, timeout=300
    )


def asked_for(folder: Path) -> set[str]:
    """The events."""
    file = folder / "asked.txt"
    return set(file.read_text().split()) if file.exists() else set()
