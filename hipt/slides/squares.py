"""Squares of slides, made small to be looked at."""

from __future__ import annotations

import numpy as np

from hipt.errors import SlideError
from hipt.pictures.drawing import RGB, reduced
from hipt.slides.slide import Slide, UnreadableTileError

READ_PX = 1024
"""Longest side that is read at once."""


def square(slide: Slide, x: int, y: int, side_read_px: int, side_px: int) -> RGB:
    """A square of a slide, made small; read in parts, of which damaged ones stay white.

    Args:
        slide: where to read.
        x: left edge, level-0 pixels.
        y: top edge, level-0 pixels.
        side_read_px: side in level-0 pixels.
        side_px: side of what comes out.
    """
    level = slide.coarsest(side_read_px / side_px)
    factor = slide.factor(level)
    parts = 1
    while side_read_px / factor / parts > READ_PX and side_px % (2 * parts) == 0:
        parts *= 2
    step, out = side_px // parts, np.full((side_px, side_px, 3), 255, np.uint8)
    part_px = max(1, round(side_read_px / factor / parts))
    for r, c in np.ndindex(parts, parts):
        left, top = x + c * side_read_px // parts, y + r * side_read_px // parts
        try:
            pixels = slide.read(level, left, top, part_px, part_px)
        except (UnreadableTileError, SlideError):
            continue
        out[r * step : (r + 1) * step, c * step : (c + 1) * step] = reduced(pixels, step, step)
    return out
