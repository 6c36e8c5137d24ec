"""Which slide is worked on in which batch: a ledger that only grows.

A batch is formed once and never changes, so that a new slide touches no other slide's jobs. A
line also records the digest of the slide's sheet row: a slide that leaves the sheet keeps its last
one, and its batch sees no change. Standard library only, since Snakemake reads it while parsing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hipt.cohort.sheet import SlideRow
from hipt.errors import HiptError
from hipt.store.csv_rows import read_written, write_csv

HEADER = ("slide_id", "batch", "row_digest")
_BATCH = re.compile(r"b[0-9]{1,9}")


MOST_BATCHES = 128
"""Most batches that are formed at once: Snakemake plans jobs, and thousands of them take long."""


@dataclass(frozen=True)
class Ledger:
    """Batch and row digest of every slide that was ever in the sheet, in order of arrival."""

    batch_of: Mapping[str, str] = field(default_factory=dict)
    digest_of: Mapping[str, str] = field(default_factory=dict)

    def members(self) -> dict[str, dict[str, str]]:
        """Per batch, its slides' digests."""
        batches: dict[str, dict[str, str]] = {}
        for slide_id, batch in self.batch_of.items():
            batches.setdefault(batch, {})[slide_id] = self.digest_of[slide_id]
        return batches


def read_ledger(path: Path) -> Ledger:
    """The ledger on disk; empty where there is none.

    Raises:
        HiptError: if the file is not a ledger.
    """
    if not path.exists():
        return Ledger()
    try:
        lines = read_written(path, HEADER)
        batch_of = {slide: batch for slide, batch, _ in lines}
        if len(batch_of) < len(lines) or not all(map(_BATCH.fullmatch, batch_of.values())):
            raise ValueError("a slide stands there twice, or in no batch")
    except ValueError:
        raise HiptError(
            f"{path}: is not the ledger of batches (columns {', '.join(HEADER)}); restore it, or "
            "delete it: batches are then formed anew, and finished slides are kept"
        ) from None
    return Ledger(batch_of, {slide: digest for slide, _, digest in lines})


def updated(ledger: Ledger, digests: Mapping[str, str], batch_size: int) -> Ledger:
    """The ledger with the sheet's present rows in it.

    Args:
        ledger: as it was.
        digests: row digest per slide of the sheet, in the sheet's order.
        batch_size: slides per new batch; more where there would be over MOST_BATCHES at once.

    Returns:
        Known slides in their batches; new ones in new batches, in the sheet's order.
    """
    new = [slide for slide in digests if slide not in ledger.batch_of]
    batch_size = max(batch_size, -(-len(new) // MOST_BATCHES))
    first = 1 + max((int(name[1:]) for name in ledger.batch_of.values()), default=-1)
    names = {slide: f"b{first + i // batch_size:04d}" for i, slide in enumerate(new)}
    return Ledger({**ledger.batch_of, **names}, {**ledger.digest_of, **digests})


def in_batch(ledger: Ledger, batch: str, rows: Sequence[SlideRow]) -> list[SlideRow]:
    """The rows of a batch's slides that are still in the sheet, in order of arrival.

    Raises:
        HiptError: if there is no such batch.
    """
    if batch not in ledger.batch_of.values():
        raise HiptError(f"batch {batch} is not in the ledger of batches; start with `snakemake`")
    by_id = {row.slide_id: row for row in rows}
    members = (slide for slide, name in ledger.batch_of.items() if name == batch)
    return [by_id[slide] for slide in members if slide in by_id]


def write_ledger(path: Path, ledger: Ledger) -> None:
    """Write the ledger, whole or not at all; nothing is written where nothing changed."""
    if path.exists() and read_ledger(path) == ledger:
        return
    write_csv(path, HEADER, ((s, b, ledger.digest_of[s]) for s, b in ledger.batch_of.items()))
