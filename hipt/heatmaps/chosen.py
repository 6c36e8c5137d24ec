"""Which slides get heatmaps, in a file: their ids would not fit on a job's command line.

Linux takes 128 KiB in one argument, and a job is one argument of a shell. Standard library only,
since Snakemake writes the file when a run starts.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hipt.errors import HiptError
from hipt.store.whole import whole

HEADER = "slide_id"


def write_mapped(path: Path, slide_ids: Iterable[str]) -> None:
    """Write the ids, one a line, whole or not at all; nothing is written where nothing changed."""
    text = "\n".join([HEADER, *slide_ids]) + "\n"
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    with whole(path) as part:
        part.write_text(text, encoding="utf-8")


def read_mapped(path: Path) -> frozenset[str]:
    """The ids.

    Raises:
        HiptError: if there is no such file, or it is another one.
    """
    try:
        header, *slide_ids = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        header, slide_ids = "", []
    if header != HEADER:
        raise HiptError(
            f"{path}: is not the list of slides that get heatmaps ({HEADER}, then one id a line); "
            "start with `snakemake`, which writes it"
        )
    return frozenset(slide_ids)
