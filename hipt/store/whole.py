"""A slide's file: whole or absent, and carrying what it was made from.

A shard's metadata holds one JSON text under the key `hipt`: its provenance. The fingerprint in it
is a digest of everything that decides the shard's content, so that a job which finds a shard with
the right fingerprint keeps it.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import itertools
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from hipt import __version__

KEY = "hipt"
"""The metadata key under which a file carries its provenance."""

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


def fingerprint(**facts: object) -> str:
    """32 hex digits over everything that decides a shard's content.

    Args:
        facts: JSON-like values; the order of keys does not matter.
    """
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Provenance:
    """What a file was made by and from. No dates and no paths: equal runs give equal bytes."""

    step: str
    step_version: int
    fingerprint: str
    settings: Mapping[str, Any]
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Fingerprints, digests of what it was made from."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """The slide's row of the batch's index, so that a kept shard can give it again."""
    software: Mapping[str, str] = field(default_factory=dict)
    """Versions, device and precision, where they may show in the numbers."""
    version: str = __version__

    def to_json(self) -> str:
        """The text that files carry."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> Provenance:
        """The provenance that a file carries.

        Raises:
            ValueError: if the text is not one.
        """
        try:
            made = cls(**json.loads(text))
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"not a provenance: {error}") from None
        tables = (made.settings, made.inputs, made.facts, made.software)
        if not all(isinstance(table, dict) for table in tables):
            raise ValueError("not a provenance: settings or facts are no tables")
        return made
