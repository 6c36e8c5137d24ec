"""Ids that CLAM reads as something else: pandas, unless told otherwise, makes numbers of digits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from hipt.cohort.sheet import SlideRow
from hipt.errors import some_of

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_MISSING = frozenset(
    {"#N/A", "#NA", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"}
)
"""What pandas takes for an empty cell."""

LISTED = 3
"""Ids that are named in a warning."""


def misread_ids(rows: Iterable[SlideRow]) -> dict[str, str]:
    """What pandas makes of the ids of slides, by slide_id; slides whose ids it keeps are absent.

    A slide_id that becomes a number is one, since splits of it are padded and break; a case_id is
    one where the number is written in another way.
    """
    notes = {}
    for row in rows:
        slide, case = _read_as(row.slide_id), _read_as(row.case_id)
        problems = [f"slide_id '{row.slide_id}' is read as {slide}"] if slide else []
        if case and row.case_id not in (case, row.slide_id):
            problems.append(f"case_id '{row.case_id}' is read as {case}")
        if problems:
            notes[row.slide_id] = (
                "in columns of such ids, by pandas and so by CLAM, its "
                f"{' and its '.join(problems)}"
            )
    return notes


def warning_of(notes: Mapping[str, str]) -> str:
    """The slides of `misread_ids` in one sentence; empty without any."""
    if not notes:
        return ""
    named = some_of(list(notes), LISTED)
    first = next(iter(notes.values()))
    return (
        f"dataset.csv: ids of {len(notes):,} slides ({named}) are digits alone or words for "
        f"nothing: {first}; have it read as text (dtype=str), splits too, or put a letter in front "
        "of the ids in the sheet"
    )


def _read_as(text: str) -> str:
    """What pandas makes of a cell in a column of such; empty where it stays text."""
    if text in _MISSING:
        return "missing"
    if not _NUMBER.fullmatch(text):
        return ""
    return str(int(text)) if text.isdigit() else repr(float(text))
