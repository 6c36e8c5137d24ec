"""What is read of another tool's features, and what every file of them has to hold to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hipt.errors import SlideError

_SMALL_BYTES, _MOST_PACKED = 1 << 28, 200
"""Vectors of numbers shrink to a half at best; what shrinks to a 200th of much is no vectors."""

FARTHEST_PX = 2**31 - 1
"""No slide is larger."""


@dataclass(frozen=True)
class ForeignPatches:
    """Where the patches lie that somebody else embedded."""

    coords: npt.NDArray[np.int64]  # (N, 2) x, y of corners, level-0 pixels
    side_px: int
    """Side of a patch, level-0 pixels."""


@dataclass(frozen=True)
class ForeignHeader:
    """What the header of a file of features promises."""

    patches: int
    dim: int
    """Numbers of a vector."""
    side_px: int
    """Side of a patch, level-0 pixels."""


@dataclass(frozen=True)
class ForeignSlide:
    """What files of features say of the slide that they are of."""

    width_px: int
    height_px: int
    mpp: float | None
    """Level-0 resolution, um/px; None where they do not say it."""


def checked_coords(path: Path, corners: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """(N, 2) corners of a file's patches, level-0 pixels.

    Raises:
        SlideError: `unreadable`, if they are of another shape, fractions, or beyond any slide.
    """
    checked_count(path, corners.shape)
    if not np.array_equal(corners, np.round(corners)):
        raise unusable(path, "has coords that are not whole level-0 pixels")
    if (np.abs(corners.astype(np.float64)) > FARTHEST_PX).any():
        raise unusable(path, f"has coords beyond {FARTHEST_PX:,} px, where no slide has pixels")
    return corners.astype(np.int64)


def checked_count(path: Path, shape: tuple[int, ...]) -> int:
    """How many patches coordinates of a shape are of."""
    if len(shape) != 2 or shape[1] != 2:
        raise unusable(path, f"has coords of shape {shape}, wanted are (N, 2) numbers")
    return shape[0]


def checked_width(path: Path, shape: tuple[int, ...], count: int) -> int:
    """How many numbers a vector of features of a shape has."""
    if len(shape) != 2 or shape[0] != count or not shape[1]:
        raise unusable(path, f"has features of shape {shape} for {count} coords")
    return shape[1]


def checked_side(path: Path, side: float, stated: object) -> int:
    """The side of a patch, whole level-0 pixels."""
    if not 0 < side <= FARTHEST_PX:
        raise unusable(path, f"says of a patch's side {stated}, which is no number of pixels")
    return max(1, round(side))


def checked_slide(path: Path, size: object, mpp: object) -> ForeignSlide | None:
    """A slide's size and resolution, as a file states them; None where it states no size.

    Args:
        path: the file.
        size: width and height, level-0 pixels.
        mpp: um/px; None where it is not stated.
    """
    try:
        width, height = (round(float(side)) for side in size)  # type: ignore[attr-defined]
        scale = None if mpp is None else float(mpp)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    if not (0 < width <= FARTHEST_PX and 0 < height <= FARTHEST_PX):
        raise unusable(path, f"says of the slide's size {width} x {height} px, which none has")
    return ForeignSlide(width, height, scale if scale and math.isfinite(scale) else None)


def refuse_packed(path: Path, what: str, nbytes: int, stored: int) -> None:
    """Refuse an array that would fill the memory from next to nothing on disk."""
    if nbytes > max(_SMALL_BYTES, _MOST_PACKED * stored):
        raise unusable(
            path, f"has {what} in {stored:,} bytes, which nothing packs so small; make them again"
        )


def unusable(path: Path, problem: str) -> SlideError:
    """A slide's end."""
    return SlideError("unreadable", f"its imported features: {path}: {problem}")


def absent(path: Path) -> SlideError:
    """Likewise, where a file is not there."""
    return SlideError("missing", f"its imported features: {path}: no such file")
