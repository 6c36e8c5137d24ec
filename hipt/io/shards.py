"""A slide's file: whole or absent, and carrying what it was made from.

A shard's metadata holds one JSON text under the key `hipt`: its provenance. The fingerprint in it
is a digest of everything that decides the shard's content, so that a job which finds a shard with
the right fingerprint keeps it.
"""

from __future__ import annotations

import errno
import fcntl
import glob
import hashlib
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
    writer of the same file left is removed.

    Raises:
        OSError: what writing raised; on a full disk it names `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    held, part = _held_part(path)
    try:
        with held:
            yield part
            with part.open("rb") as written:
                os.fsync(written.fileno())
            part.replace(path)
    except OSError as error:
        if error.errno in NO_SPACE:
            error.filename = str(path)
        raise
    finally:
        part.unlink(missing_ok=True)


def _held_part(path: Path) -> tuple[IO[bytes], Path]:
    """A new part of a file, locked so that nobody sweeps it away."""
    while True:
        part = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.part{path.suffix}")
        held = part.open("xb")
        with suppress(OSError):  # a file system without locks: then nothing is ever swept
            fcntl.flock(held, fcntl.LOCK_EX)
        if os.fstat(held.fileno()).st_nlink:
            return held, part
        held.close()  # swept by another writer before the lock


def _sweep(path: Path) -> None:
    """Remove parts of a file whose writers are dead: a living writer holds a lock on its own."""
    for part in path.parent.glob(f".{glob.escape(path.stem)}.*.part{path.suffix}"):
        with suppress(OSError), part.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.unlink()


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
            return cls(**json.loads(text))
        except TypeError as error:
            raise ValueError(f"not a provenance: {error}") from None
