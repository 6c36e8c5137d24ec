"""Which slides get heatmaps, in a file: their ids would not fit on a job's command line.

Linux takes 128 KiB in one argument, and a job is one argument of a shell. Standard library only,
since Snakemake writes the file when a run starts.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hipt.errors import HiptError
from hipt.store.csv_rows import csv_text, read_written
from hipt.store.whole import whole

HEADER = ("slide_id",)


def write_mapped(path: Path, slide_ids: Iterable[str]) -> None:
    """Write the ids, one a line, whole or not at all; nothing is written where nothing changed."""
    text = csv_text(HEADER, ((slide_id,) for slide_id in slide_ids)).encode()
    if path.exists() and path.read_bytes() == text:
        return
    with whole(path) as part:
        part.write_bytes(text)


def read_mapped(path: Path) -> frozenset[str]:
    """The ids.

    Raises:
        HiptError: if there is no such file, or it is another one.
    """
    try:
        return frozenset(slide_id for (slide_id,) in read_written(path, HEADER))
    except (OSError, ValueError):
        raise HiptError(
            f"{path}: is not the list of slides that get heatmaps (slide_id, then one id a line); "
            "start with `snakemake`, which writes it"
        ) from None
