"""What an objective's magnification says of a resolution."""

from __future__ import annotations

import math

FARTHEST = 2.2
"""How many times a resolution may be off what its objective means. 2: scans saved at half of their
resolution keep the objective. And 10 %: scanners of one magnification differ by that."""

FARTHEST_OF_LENSES = 4.0
"""The same where the objective is the lens alone, behind which cameras with small pixels sit."""

LENSES = ("mirax", "zeiss")
"""Formats, as OpenSlide names them, that state the lens."""

PARTS = ("dicom",)
"""Formats of which a file may hold a coarser level alone, with the slide's objective."""

NOTED = 1.8
"""From here on, a note says how many times they differ."""


def usual_mpp(objective: float) -> float:
    """The micrometres per pixel that scanners have with an objective: 0.5 at 20x, 0.25 at 40x."""
    return 10 / objective


def times_apart(mpp: float, objective: float | None) -> float:
    """How many times a resolution is coarser or finer than its objective means; 1: not at all.

    Args:
        mpp: um/px.
        objective: magnification; None: not known, and nothing contradicts.
    """
    if objective is None:
        return 1.0
    ratio = mpp / usual_mpp(objective)
    return max(ratio, 1 / ratio)


def limits(mpp: float, objective: float | None, vendor: str) -> tuple[float, float]:
    """From how many times on a resolution is remarkable, and beyond how many it cannot be.

    Args:
        mpp: um/px.
        objective: magnification; None: not known.
        vendor: the format, as OpenSlide names it.
    """
    if vendor in LENSES:
        return FARTHEST_OF_LENSES, FARTHEST_OF_LENSES
    if vendor in PARTS and objective is not None and mpp > usual_mpp(objective):
        return math.inf, math.inf
    return NOTED, FARTHEST
