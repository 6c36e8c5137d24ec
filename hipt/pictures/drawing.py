"""Resize pictures, and draw on them."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import numpy.typing as npt
import shapely

RGB = npt.NDArray[np.uint8]  # [h, w, 3]

CONTOUR_COLOUR = (0, 140, 60)
"""Green: a colour that stained tissue does not have."""

GRID_COLOUR = (0, 90, 200)
"""Blue, told from the contour by its straight lines as well."""


def shrunk(rgb: RGB, longest_px: int) -> RGB:
    """A picture whose long side is at most so long; never enlarged."""
    scale = longest_px / max(rgb.shape[:2])
    if scale >= 1:
        return rgb
    height, width = (max(1, round(side * scale)) for side in rgb.shape[:2])
    return reduced(rgb, width, height)


def enlarged(rgb: RGB, longest_px: int) -> RGB:
    """A picture enlarged by a whole number, so that its long side has at least so many pixels."""
    factor = -(-longest_px // max(rgb.shape[:2]))
    if factor <= 1:
        return rgb
    size = (rgb.shape[1] * factor, rgb.shape[0] * factor)
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def reduced(rgb: RGB, width_px: int, height_px: int) -> RGB:
    """A smaller picture by exact area means, whole-number factor or not."""
    return np.asarray(
        cv2.resize(rgb, (width_px, height_px), interpolation=cv2.INTER_AREA), np.uint8
    )


def reduce_into(out: RGB, rgb: RGB) -> None:
    """Fill a contiguous picture with the exact area means of a larger one."""
    cv2.resize(rgb, (out.shape[1], out.shape[0]), dst=out, interpolation=cv2.INTER_AREA)


def draw_contours(rgb: RGB, shapes: shapely.MultiPolygon, scale: float) -> RGB:
    """A copy of a picture with polygons and their holes on it.

    Args:
        rgb: the picture.
        shapes: the polygons.
        scale: pixels of the picture per unit of the polygons.
    """
    out = rgb.copy()
    rings = [ring for part in shapes.geoms for ring in (part.exterior, *part.interiors)]
    lines = [np.round(np.asarray(ring.coords) * scale).astype(np.int32) for ring in rings]
    cv2.polylines(out, lines, True, CONTOUR_COLOUR, _line_px(out), cv2.LINE_AA)
    return out


def draw_grid(rgb: RGB, boxes: Iterable[tuple[float, float, float, float]]) -> RGB:
    """A copy of a picture with boxes (x, y, width, height in its pixels) on it."""
    out = rgb.copy()
    for x, y, width, height in boxes:
        low, high = (round(x), round(y)), (round(x + width), round(y + height))
        cv2.rectangle(out, low, high, GRID_COLOUR, _line_px(out), cv2.LINE_AA)
    return out


def _line_px(rgb: RGB) -> int:
    """A line's width that can be seen on a picture of this size."""
    return 1 + int(max(rgb.shape[:2])) // 700
