"""The lists of slides that other tools want beside their features."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hipt.cohort.sheet import SlideRow
from hipt.store.csv_rows import write_csv


def write_lists(name: str, tree: Path, rows: Sequence[SlideRow]) -> None:
    """Write a format's lists of the exported slides."""
    if write := _LISTS.get(name):
        write(tree, rows)


def _clam_lists(tree: Path, rows: Sequence[SlideRow]) -> None:
    """What was processed; and cases with all labels of the sheet, for CLAM's `label_col`."""
    done = [(row.slide_id, 0, "processed") for row in rows]
    write_csv(tree / "process_list_autogen.csv", ("slide_id", "process", "status"), done)
    labels = list(dict.fromkeys(label for row in rows for label in row.labels))
    lines = [(r.case_id, r.slide_id, *(r.labels.get(name, "") for name in labels)) for r in rows]
    write_csv(tree / "dataset.csv", ("case_id", "slide_id", *labels), lines)


def _stamp_list(tree: Path, rows: Sequence[SlideRow]) -> None:
    """Which file is of which patient."""
    lines = [(row.case_id, f"{row.slide_id}.h5") for row in rows]
    write_csv(tree / "slide_table.csv", ("PATIENT", "FILENAME"), lines)


_LISTS: Mapping[str, Callable[[Path, Sequence[SlideRow]], None]] = {
    "clam": _clam_lists,
    "stamp": _stamp_list,
}
