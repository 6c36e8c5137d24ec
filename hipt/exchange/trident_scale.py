"""Magnifications from which TRIDENT computes the side of a patch that was really read.

TRIDENT takes the side from two magnifications and ignores `patch_size_level0`. A slide has 38.02x,
not 38x or 40x, and a patch's side is rounded to whole pixels of its level: so the ratio is written
that gives exactly this side.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

UM_PER_PX_AT_1X = 10.0
"""What TRIDENT takes a pixel for: 0.5 um at 20x."""

_CLOSE = 1e-9
_TRIED = 16


def magnifications(side_px: int, patch_px: int, mpp: float) -> tuple[int | float, int | float]:
    """The slide's magnification and that of its patches, as TRIDENT wants them.

    Whole numbers are int, as TRIDENT writes them; all others are float.

    Args:
        side_px: side of a patch, level-0 pixels.
        patch_px: side of a patch as the model sees it.
        mpp: resolution at which it sees it, um/px.
    """
    target = _whole(UM_PER_PX_AT_1X / mpp)
    for level0 in _near(target * side_px / patch_px):
        if set(trident_sides(patch_px, level0, target)) == {side_px}:
            return level0, target
    # beyond any slide: a ratio of whole numbers is exact however it is computed
    return side_px, patch_px


def trident_sides(
    patch_px: int, level0: float, target: float
) -> tuple[float | int, float | int, int]:
    """The side of a patch in level-0 pixels, in all ways in which TRIDENT's programs compute it."""
    pixel_sizes = (UM_PER_PX_AT_1X / target) / (UM_PER_PX_AT_1X / level0)
    return (
        int(patch_px * level0 / target),
        patch_px * level0 // target,
        round(patch_px * pixel_sizes),
    )


def _near(value: float) -> Iterator[int | float]:
    """A number, and the next larger ones: what is rounded down must not lie below its number."""
    yield _whole(value)
    for _ in range(_TRIED):
        value = math.nextafter(value, math.inf)
        yield value


def _whole(value: float) -> int | float:
    """A number as int where it is one but for rounding."""
    near = round(value)
    return near if near and math.isclose(value, near, rel_tol=_CLOSE) else value
