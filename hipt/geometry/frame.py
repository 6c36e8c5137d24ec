"""Where a slide's level-0 pixels are counted from, and what pictures of it show.

OpenSlide counts from the corner of the whole slide. QuPath shows only the part that was scanned,
and counts from the corner of that. For MIRAX, Leica SCN and Ventana slides the two differ by the
header's `openslide.bounds-x` and `bounds-y`; for all others they are the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hipt.config.config import Extent, Origin

IntBox = tuple[int, int, int, int]
"""x, y, width, height in level-0 pixels."""

MOST_MISFIT = 0.02
"""A picture whose width / height differs by more, as a share, does not show the whole slide."""


def shift(bounds: Sequence[int], source: Origin, target: Origin) -> tuple[int, int]:
    """x, y to add to level-0 coordinates as one program counts them, for those of another.

    Args:
        bounds: x, y (and more) of the scanned part, level-0 pixels as OpenSlide counts them.
        source: whose coordinates there are.
        target: whose coordinates are wanted.
    """
    corner = {"openslide": (0, 0), "qupath": (int(bounds[0]), int(bounds[1]))}
    (x0, y0), (x1, y1) = corner[source], corner[target]
    return x0 - x1, y0 - y1


@dataclass(frozen=True)
class Frame:
    """A slide's size, and how masks and label maps that others made lie on it."""

    width_px: int
    height_px: int
    bounds: IntBox
    """The scanned part, level-0 pixels as OpenSlide counts them."""
    origin: Origin = "qupath"
    """Whose pixels outlines are in."""
    shows: Extent = "slide"
    """What pictures show."""

    @property
    def shown(self) -> IntBox:
        """The part of level 0 that pictures show."""
        return self._part(self.shows)

    @property
    def partly_scanned(self) -> bool:
        """Whether the scanned part is not the whole slide."""
        return tuple(self.bounds) != self._part("slide")

    @property
    def shift(self) -> tuple[int, int]:
        """x, y to add to coordinates of outlines for those of OpenSlide."""
        return shift(self.bounds, self.origin, "openslide")

    def ambiguous(self, width_px: int, height_px: int) -> bool:
        """Whether a picture may as well show the whole slide as the scanned part, by its shape."""
        return self.partly_scanned and all(
            self._fits(width_px, height_px, extent) for extent in ("slide", "scan")
        )

    def misfit(self, width_px: int, height_px: int) -> str:
        """Why a picture of this size cannot show the part; empty where it can."""
        if self._fits(width_px, height_px, self.shows):
            return ""
        other: Extent = "scan" if self.shows == "slide" else "slide"
        shown = {"slide": "the slide is", "scan": "what was scanned of the slide is"}
        width, height = self.shown[2:]
        text = (
            f"is {width_px} x {height_px} px (width / height {width_px / height_px:.3f}), "
            f"{shown[self.shows]} {width} x {height} px ({width / height:.3f}); "
        )
        if self.partly_scanned and self._fits(width_px, height_px, other):
            width, height = self._part(other)[2:]
            return text + (
                f"{shown[other]} {width} x {height} px: if that is what it shows, set "
                f"slides.pictures_show: {other}"
            )
        return text + f"it has to show the whole {self.shows}, nothing cut off or stretched"

    def _part(self, extent: Extent) -> IntBox:
        x, y, width, height = self.bounds
        return (x, y, width, height) if extent == "scan" else (0, 0, self.width_px, self.height_px)

    def _fits(self, width_px: int, height_px: int, extent: Extent) -> bool:
        """Whether one factor makes both sides of a part these, rounded down, up or to the nearest.

        A side that rounds to nothing is 1 px.
        """
        sides = list(zip((width_px, height_px), self._part(extent)[2:], strict=True))
        for cut in (0.0, 0.5, 1.0):  # what rounding took off a side at most, up to none
            least = max(side / (px + cut) for px, side in sides)
            most = min(side / (px + cut - 1) if px > 1 else math.inf for px, side in sides)
            if least <= most * (1 + MOST_MISFIT):
                return True
        return False
