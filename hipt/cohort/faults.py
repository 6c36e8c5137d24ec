"""Faults of several rows in one sentence: nobody should run once per row."""

from __future__ import annotations

from collections.abc import Sequence

from hipt.errors import HiptError, some_of

MOST_LISTED = 10
"""Places that a sentence names beside the first."""


def all_of(faults: Sequence[tuple[str, HiptError]], kind: str) -> HiptError:
    """The first sentence, and where the others are.

    Args:
        faults: place and sentence of each, at least one.
        kind: what a place is: `row` or `file`.
    """
    first, places = faults[0][1], [place for place, _ in faults[1:]]
    if not places:
        return first
    some = some_of(places, MOST_LISTED)
    plural = "s are" if len(places) > 1 else " is"
    return HiptError(f"{first} ({len(places):,} more {kind}{plural} at fault: {some})")
