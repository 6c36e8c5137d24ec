"""A batch at work: slide after slide, each with a verdict, then the index with all of them."""

from __future__ import annotations

import csv
import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from hipt.errors import TROUBLE, HiptError, SlideError
from hipt.io.provenances import read_provenance
from hipt.io.results import Results
from hipt.io.shards import whole
from hipt.io.tables import read_table, write_rows
from hipt.store.schemas import INDICES

log = logging.getLogger(__name__)

Row = dict[str, Any]

MANY_FAILURES = 8
"""This many troubled slides, if they are more than half a batch, have a common cause."""


def kept_facts(shard: Path, fingerprint: str, companions: Sequence[Path] = ()) -> Row | None:
    """The facts of a shard that is there, whole, and has the right fingerprint; else None.

    Args:
        shard: the slide's file.
        fingerprint: the one that it must carry.
        companions: files written before the shard that must be there too.
    """
    if not all(file.is_file() for file in (shard, *companions)):
        return None
    try:
        provenance = read_provenance(shard)
    except HiptError:
        return None
    return dict(provenance.facts) if provenance.fingerprint == fingerprint else None


def read_index(path: Path) -> list[Row]:
    """A batch's index as rows.

    Raises:
        HiptError: if it is absent, damaged, or of another version.
    """
    rows: list[Row] = read_table(path, INDICES[path.parts[-3]]).to_pylist()
    return rows


class BatchRun:
    """The slides of one batch, one after the other.

    Each slide gets a row: `ok`, or the status and reason of the SlideError that ended it. The
    index is written when the block ends without another error. It holds nothing that varies between
    runs; seconds go to `results/benchmarks/<step>/<batch>.slides.csv`, where a slide whose shard is
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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._write_seconds()
        if error is None:
            self._refuse_many_failures()
            write_rows(self._index, self._rows, INDICES[self._step])

    def carry(self, row: Mapping[str, Any]) -> None:
        """Hand on the verdict of an earlier step."""
        self._rows.append({name: row[name] for name in ("slide_id", "status", "reason")})

    @contextmanager
    def slide(self, slide_id: str) -> Iterator[Row]:
        """One slide's work; yields the row to fill with facts.

        Raises:
            HiptError: where slide errors are to stop the run.
        """
        row: Row = {"slide_id": slide_id, "status": "ok", "reason": ""}
        start, written = time.monotonic(), self._written(slide_id)
        try:
            yield row
        except SlideError as error:
            if self._stop and error.status in TROUBLE:
                raise HiptError(
                    f"slide {slide_id}: {error.status}: {error.reason} "
                    "(slides.on_slide_error is 'stop')"
                ) from None
            row |= {"status": error.status, "reason": error.reason}
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

    def _refuse_many_failures(self) -> None:
        """Many broken slides at once mean that a disk or a setting is broken."""
        troubled = [row for row in self._worked if row["status"] in TROUBLE]
        if len(troubled) < MANY_FAILURES or 2 * len(troubled) <= len(self._worked):
            return
        status, count = Counter(row["status"] for row in troubled).most_common(1)[0]
        first = next(row for row in troubled if row["status"] == status)
        raise HiptError(
            f"{len(troubled)} of {len(self._worked)} slides of batch {self._index.stem} failed in "
            f"{self._step}, {count} as '{status}' (first: {first['slide_id']}: {first['reason']}); "
            "that many at once have a common cause: mend it and run again, finished slides are kept"
        )

    def _write_seconds(self) -> None:
        """Seconds per slide; slides not worked on this time keep theirs."""
        path = Results.of_index(self._index).seconds(self._step, self._index.stem)
        known = read_seconds(path) | self._seconds
        with whole(path) as part, part.open("w", encoding="utf-8", newline="") as file:
            lines = ((slide, f"{seconds:.3f}") for slide, seconds in sorted(known.items()))
            csv.writer(file, lineterminator="\n").writerows([("slide_id", "seconds"), *lines])


def read_seconds(path: Path) -> dict[str, float]:
    """Seconds per slide of one batch and step; empty where there are none, or they are damaged."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return {row["slide_id"]: float(row["seconds"]) for row in csv.DictReader(file)}
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return {}
