"""Which slides of a sheet are one, before anything is computed: by their files alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hipt.cohort.same_content import alike, content_mark, group_name
from hipt.cohort.sheet import SlideRow, size_and_time
from hipt.errors import SlideError, some_of
from hipt.slides.companions import with_companions
from hipt.slides.identity import identity

FILES_AT_ONCE = 8
"""Files read side by side: on network disks, waiting is all that reading is."""

LISTED = 10
"""Most groups of slides that are named."""


def copies(content: Mapping[str, str]) -> Iterator[str]:
    """A sentence on the slides that are one under several names; none where all differ.

    Args:
        content: see `content_marks`.
    """
    groups = alike(content)
    if not groups:
        return
    named = some_of([group_name(group) for group in groups], LISTED, "; ")
    yield (
        f"{sum(map(len, groups)):,} slides are {len(groups):,} by their content ({named}); "
        "tasks keep their cases on one side"
    )


def path_marks(rows: Sequence[SlideRow]) -> dict[str, str]:
    """What tells slides apart without a look at their files: path and mask, by slide."""
    return {
        row.slide_id: content_mark(_unslashed(row.path), _unslashed(row.mask) if row.mask else "")
        for row in rows
        if not row.exclude
    }


def _unslashed(path: Path) -> str:
    """A path as a mark, which has a slash of its own."""
    return str(path).replace("/", "\0")


def content_marks(rows: Sequence[SlideRow]) -> dict[str, str]:
    """The mark of the content of those slides that may be another one's copy, by slide.

    Excluded slides, and files of a size of their own, are not read.
    """
    rows = [row for row in rows if not row.exclude]
    with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
        by_size: dict[int, list[SlideRow]] = defaultdict(list)
        stats = pool.map(size_and_time, (row.path for row in rows))
        for row, stat in zip(rows, stats, strict=True):
            if stat and stat[0]:
                by_size[stat[0]].append(row)
        alike_rows = [row for group in by_size.values() if len(group) > 1 for row in group]
        return {
            row.slide_id: mark
            for row, mark in zip(alike_rows, pool.map(_mark, alike_rows), strict=True)
        }


def _mark(row: SlideRow) -> str:
    """The mark of a slide's content; empty where it cannot be read."""
    try:
        own = with_companions(row.path, identity(row.path))
        return content_mark(own, identity(row.mask) if row.mask else "")
    except SlideError:
        return ""
