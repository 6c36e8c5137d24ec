"""Files that are whole or absent, whoever is killed while writing them."""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What writing raises where the disk, the quota or a limit is full."""


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, renamed to it on success and removed on failure.

    A reader sees the old file or the new one, never a part; two writers do not meet. What a killed
    writer of the same file left is used again or removed. The folder is never listed: that would
    take a time that grows with the square of the files in it.

    Raises:
        OSError: what writing raised; on a full disk it names `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    held, part = _held_part(path)
    with held:
        try:
            yield part
            with part.open("rb") as written:
                os.fsync(written.fileno())
            part.replace(path)  # from here on its name is free for another writer
        except BaseException as error:
            part.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.errno in NO_SPACE:
                error.filename = str(path)
            raise


def _held_part(path: Path) -> tuple[IO[bytes], Path]:
    """The first of a file's numbered parts that no living writer holds, empty and locked."""
    for number in itertools.count():
        part = _numbered(path, number)
        try:
            held = part.open("ab")
        except PermissionError:
            if part.exists():  # another user's
                continue
            raise
        try:
            locked = _locked(held, part)
        except OSError:  # a file system without locks: then no part is ever taken from its writer
            held.close()
            part.unlink(missing_ok=True)
            part = _numbered(path, secrets.token_hex(4))
            return part.open("xb"), part
        if locked:
            held.truncate(0)
            _sweep(path, number + 1)
            return held, part
        held.close()
    raise AssertionError("numbers do not end")


def _numbered(path: Path, number: int | str) -> Path:
    """One of the parts of a file."""
    return path.with_name(f".{path.stem}.{number}.part{path.suffix}")


def _locked(held: IO[bytes], part: Path) -> bool:
    """Whether an open part could be locked, and still has its name."""
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    try:
        return os.path.samestat(part.stat(), os.fstat(held.fileno()))
    except FileNotFoundError:  # renamed or removed by another writer before the lock
        return False


def _sweep(path: Path, number: int) -> None:
    """Remove the parts from a number on whose writers are dead, as far as numbers follow."""
    while (part := _numbered(path, number)).exists():
        with suppress(OSError), part.open("ab") as held:
            if _locked(held, part):
                part.unlink()
        number += 1
