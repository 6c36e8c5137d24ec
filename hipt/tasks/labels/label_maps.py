"""What the probe has to find: a column of the sheet, or maps of whole slides.

Standard library only, beside the settings, since Snakemake looks for the labels while parsing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from hipt.cohort.missing import Missing, looks_missing
from hipt.cohort.sheet import SlideRow
from hipt.config.config import MISSING
from hipt.errors import HiptError


def slide_labels(
    rows: Sequence[SlideRow], column: str | None, missing: Sequence[str] = MISSING
) -> dict[str, str]:
    """The slides that have a value in a column (a label, or `site`), with it; None: no slide.

    Raises:
        HiptError: if the sheet has no such column, or it is empty, or one of its values reads like
            one that is not known.
    """
    if column is None:
        return {}
    cells = [{"site": row.site, **row.labels} for row in rows]
    known = sorted({name for cell in cells for name in cell})
    if column not in known:
        raise HiptError(
            f"probe.column: the sheet has no column '{column}' (found: {', '.join(known)})"
        )
    labels = {row.slide_id: cell.get(column, "") for row, cell in zip(rows, cells, strict=True)}
    words = Missing(missing)
    labelled = {slide_id: label for slide_id, label in labels.items() if label not in words}
    if not labelled:
        raise HiptError(f"probe.column: the sheet's column '{column}' is empty; fill it in")
    if doubtful := next((label for label in labelled.values() if looks_missing(label)), None):
        raise HiptError(
            f"probe.column: {doubtful!r} in the sheet's column '{column}' reads like a value that "
            "is not known; add it to slides.missing, or write another word"
        )
    return labelled


def label_maps(
    rows: Sequence[SlideRow], folder: str | None, key: str = "probe.labels"
) -> dict[str, Path]:
    """The slides that have a map in a folder, with its path; None: no slide.

    Args:
        rows: the sheet.
        folder: where `<slide_id>.png` lie.
        key: the setting that names it.

    Raises:
        HiptError: if there is none.
    """
    if folder is None:
        return {}
    maps = {row.slide_id: Path(folder) / f"{row.slide_id}.png" for row in rows}
    readable = {slide_id: path for slide_id, path in maps.items() if path.is_file()}
    if not readable:
        raise HiptError(
            f"{key}: {folder} has no label map of any slide; put <slide_id>.png there, "
            f"e.g. {rows[0].slide_id}.png"
        )
    return readable


def target_maps(
    rows: Sequence[SlideRow], folder: str | None, target: Sequence[int]
) -> dict[str, Path]:
    """The slides whose heatmaps are compared with a map in a folder, with its path.

    Raises:
        HiptError: if only one of folder and target is named, or there is no map.
    """
    if (folder is None) != (not target):
        raise HiptError(
            "attend.labels and attend.target go together: name the folder of label maps, and the "
            "grey values that heatmaps should find"
        )
    return label_maps(rows, folder, "attend.labels")


def class_names(folder: str) -> dict[int, str]:
    """Names of a map's grey values, from `labels` in the folder's truth.json; empty without it.

    Raises:
        HiptError: if the file is damaged.
    """
    path = Path(folder) / "truth.json"
    if not path.is_file():
        return {}
    try:
        labels = json.loads(path.read_text(encoding="utf-8")).get("labels", {})
        named = {int(value): str(name) for value, name in labels.items()}
        "".join(named.values()).encode()  # a half of a pair cannot be written any more
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        reason = f"its labels are no JSON table of names by grey value ({error})"
        raise HiptError(f"{path}: {reason}; mend it, or take it away") from None
    return named
