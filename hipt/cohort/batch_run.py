"""A batch at work: slide after slide, each with a verdict, then the index with all of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Self

from hipt.cohort.failures import OneSlide, refuse_many
from hipt.errors import TROUBLE
from hipt.layout import Results
from hipt.store.csv_rows import read_written, write_csv
from hipt.store.provenance import Provenance
from hipt.store.schemas import INDICES
from hipt.store.shard import read_provenance
from hipt.store.tables import read_table, write_rows

log = logging.getLogger(__name__)

Row = dict[str, Any]

_SECONDS = ("slide_id", "seconds")


def kept_provenance(
    shard: Path, fingerprints: Collection[str], companions: Sequence[Path] = ()
) -> Provenance | None:
    """The provenance of a shard that is there, whole, and has a right fingerprint; else None.

    Args:
        shard: the slide's file.
        fingerprints: it must carry one of these.
        companions: files written before the shard that must be there too.
    """
    try:
        if not all(file.is_file() for file in (shard, *companions)):
            return None
        provenance = read_provenance(shard)
    except Exception:  # noqa: BLE001 (whatever cannot be read is made again)
        return None
    return provenance if provenance.fingerprint in fingerprints else None


def kept_facts(shard: Path, fingerprint: str, companions: Sequence[Path] = ()) -> Row | None:
    """The facts of a shard that is there, whole, and has the right fingerprint; else None."""
    provenance = kept_provenance(shard, [fingerprint], companions)
    return None if provenance is None else dict(provenance.facts)


def read_index(path: Path) -> list[Row]:
    """A batch's index as rows.

    Raises:
        HiptError: if it is absent, damaged, or of another version.
    """
    rows: list[Row] = read_table(path, INDICES[path.parts[-3]]).to_pylist()
    return rows


class BatchRun:
    """The slides of one batch, one after the other.

    Each slide gets a row: `ok`, or the status and reason of the SlideError that ended it, or
    `failed` with the error that nobody foresaw; its traceback lies in a file of its own. The index
    is written when the block ends without another error. It holds nothing that varies between runs;
    seconds go to `results/benchmarks/<step>/<batch>.slides.csv`, where a slide whose shard is
    kept keeps those of its making.
    """

    def __init__(self, index: Path, total: int, on_slide_error: Literal["record", "stop"]) -> None:
        self._index, self._total, self._stop = index, total, on_slide_error == "stop"
        self._step = index.parts[-3]
        self._rows: list[Row] = []
        self._worked: list[Row] = []
        self._seconds: dict[str, float] = {}
        self._start = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._write_seconds()
        if kind is None:
            refuse_many(self._worked, f"batch {self._index.stem} failed in {self._step}")
            write_rows(self._index, self._rows, INDICES[self._step])

    def carry(self, row: Mapping[str, Any]) -> None:
        """Hand on the verdict of an earlier step."""
        self._rows.append({name: row[name] for name in ("slide_id", "status", "reason")})

    @contextmanager
    def slide(self, slide_id: str) -> Iterator[Row]:
        """One slide's work; yields the row to fill with facts.

        Raises:
            HiptError: where slide errors are to stop the run, or the error is the machine's fault.
            Exception: the slide's own error, where slide errors are to stop the run.
        """
        row: Row = {"slide_id": slide_id, "status": "ok", "reason": ""}
        start, written = time.monotonic(), self._written(slide_id)
        trace = Results.of_index(self._index).traceback(self._step, slide_id)
        at_work = OneSlide(slide_id, trace, self._index, self._stop)
        try:
            yield row
        except Exception as error:  # noqa: BLE001 (no slide ends its batch)
            row |= at_work.ended(error)
        else:
            at_work.succeeded()
        self._rows.append(row)
        self._worked.append(row)
        unchanged = written is not None and written == self._written(slide_id)
        kept = unchanged and row["status"] not in TROUBLE
        if not kept:
            self._seconds[slide_id] = time.monotonic() - start
        self._say(row, kept)

    def _written(self, slide_id: str) -> int | None:
        """When a slide's shard was written; None where there is none."""
        shard = Results.of_index(self._index).shard(self._step, slide_id)
        return shard.stat().st_mtime_ns if shard.exists() else None

    def _say(self, row: Row, kept: bool) -> None:
        """A line per slide: verdict, seconds, and the time left for the batch."""
        done = len(self._rows)
        head = f"{done}/{self._total} {row['slide_id']}: {row['status']}"
        if row["reason"]:
            head += f": {row['reason']}"
        if kept:
            log.info("%s, kept as it is", head)
            return
        spent, made = time.monotonic() - self._start, len(self._seconds)
        left = spent / made * (self._total - done)
        log.info("%s, %.1f s, about %.0f s left", head, self._seconds[row["slide_id"]], left)

    def _write_seconds(self) -> None:
        """Seconds per slide; slides not worked on this time keep theirs."""
        path = Results.of_index(self._index).seconds(self._step, self._index.stem)
        known = read_seconds(path) | self._seconds
        lines = ((slide, f"{seconds:.3f}") for slide, seconds in sorted(known.items()))
        write_csv(path, _SECONDS, lines)


def read_seconds(path: Path) -> dict[str, float]:
    """Seconds per slide of one batch and step; empty where there are none, or they are damaged."""
    try:
        return {slide: float(seconds) for slide, seconds in read_written(path, _SECONDS)}
    except (OSError, ValueError):
        return {}
