"""The sheet's masks: whether they are where it says."""

from __future__ import annotations

from collections.abc import Sequence

from hipt.cohort.sheet import SlideRow
from hipt.errors import HiptError, some_of

MOST_LISTED = 3
"""Masks that a sentence names."""


def missing_masks(rows: Sequence[SlideRow]) -> str:
    """A sentence on masks that are not there; empty where all are.

    Raises:
        HiptError: if none is: then the paths start somewhere else.
    """
    named = [(row, row.mask) for row in rows if row.mask is not None and not row.exclude]
    gone = [(row, mask) for row, mask in named if not mask.is_file()]
    if not gone:
        return ""
    some = some_of([f"{row.slide_id} ({mask})" for row, mask in gone], MOST_LISTED)
    count = f"{len(gone):,} of {len(named):,} masks"
    if len(gone) == len(named):
        problem = f"none of the sheet's {len(named):,} masks is there: {some}"
        raise HiptError(f"{problem}; correct its column mask, or slides.root")
    return f"{count} are not there, and their slides will end as unreadable: {some}"
