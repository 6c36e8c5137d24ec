"""A slide as a deep zoom: which tiles there are, and their pixels.

Levels are numbered as in Deep Zoom: the last one is the slide itself, each one before it half as
wide and high, rounded up, down to one pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from numpy import full, uint8

from hipt.geometry.resolution import nominal
from hipt.pictures.drawing import reduced
from hipt.slides.slide import RGB, Slide, Thumbnail, UnreadableTileError
from hipt.view.answers import RefusedError

TILE_PX, OVERLAP_PX = 254, 1
"""Side of a tile, and what it shows beyond on each side that has a neighbour."""

FIRST_LEVEL = 7
"""At this level any slide is one tile."""

MOST_READ_PX = 1 << 22
"""Pixels of a level that are read at once: 16 MiB as OpenSlide hands them out."""

LEAST_PX = 16
"""What is damaged stays white in squares of this side at most."""

ROUGH = 1.005
"""Levels may be so much coarser than is wanted: their factors are 4.001 where 4 is meant."""

DEEP, SMALL_PX = 8, 2048
"""Where the slide has no level within this factor, its tiles are cut from a picture of all of it
with this longest side."""


@dataclass(frozen=True)
class DeepZoom:
    """The levels and tiles of a slide."""

    width_px: int
    height_px: int

    @property
    def last_level(self) -> int:
        """The level of the slide's own pixels."""
        return math.ceil(math.log2(max(self.width_px, self.height_px)))

    @property
    def first_level(self) -> int:
        """The level from which on it is worth looking."""
        return min(FIRST_LEVEL, self.last_level)

    def scale(self, level: int) -> int:
        """Level-0 pixels per pixel of a level."""
        return 1 << (self.last_level - level)

    def box(self, level: int, column: int, row: int) -> tuple[int, int, int, int]:
        """Left, top, width and height of a tile, pixels of its level.

        Raises:
            RefusedError: 404, if there is no such tile.
        """
        if not 0 <= level <= self.last_level:
            raise RefusedError(404, f"this slide has levels 0 to {self.last_level}, not {level}")
        sides = []
        for place, side in ((column, self.width_px), (row, self.height_px)):
            whole = -(-side // self.scale(level))
            start = max(0, place * TILE_PX - OVERLAP_PX)
            end = min(whole, (place + 1) * TILE_PX + OVERLAP_PX)
            if not 0 <= place * TILE_PX < whole:
                raise RefusedError(404, f"level {level} of this slide has no tile {column}, {row}")
            sides.append((start, end - start))
        (left, width), (top, height) = sides
        return left, top, width, height


def tile(slide: Slide, small: Thumbnail | None, scale: int, box: tuple[int, int, int, int]) -> RGB:
    """A tile's pixels; damaged parts are white.

    Args:
        slide: where to read.
        small: all of the slide, where `needs_small` says that it takes one.
        scale: level-0 pixels per pixel of the tile.
        box: of the tile, from `DeepZoom.box`.
    """
    left, top, width, height = box
    if small is not None and needs_small(slide, scale):
        return _cut(small, left * scale, top * scale, scale, (width, height))
    return piece(slide, left * scale, top * scale, scale, (width, height))


def needs_small(slide: Slide, scale: float) -> bool:
    """Whether tiles of a scale are cut from a picture of the whole slide.

    Each of them would be read from many pixels of a finer level, and all of them together from the
    whole slide, which its picture is read from once.
    """
    if scale < max(slide.info.width_px, slide.info.height_px) / SMALL_PX:
        return False
    return scale > DEEP * slide.factor(slide.coarsest(scale * ROUGH))


def small_picture(slide: Slide) -> Thumbnail:
    """All of a slide, in at most about SMALL_PX."""
    longest = max(slide.info.width_px, slide.info.height_px)
    return slide.thumbnail(max(1.0, longest / SMALL_PX))


def piece(slide: Slide, x: float, y: float, scale: float, size: tuple[int, int]) -> RGB:
    """A rectangle of a slide at any scale, by area means of the coarsest level that is fine enough.

    Args:
        slide: where to read.
        x: left edge, level-0 pixels; may lie outside, where all is white.
        y: top edge, likewise.
        scale: level-0 pixels per pixel that comes out; below 1 pixels are enlarged.
        size: width and height that come out.

    Returns:
        uint8 [height, width, 3]; damaged parts are white.
    """
    out: RGB = full((size[1], size[0], 3), 255, uint8)
    _fill(out, slide, x, y, scale)
    return out


def _fill(out: RGB, slide: Slide, x: float, y: float, scale: float) -> None:
    """Fill a picture; what is large or damaged in halves."""
    level = slide.coarsest(max(1.0, scale * ROUGH))
    factor = slide.factor(level)
    step = scale / nominal(factor)  # pixels of the level per pixel
    rows, columns = out.shape[:2]
    left, top = (round(at / nominal(factor)) for at in (x, y))
    width, height = (max(1, round(side * step)) for side in (columns, rows))
    most = 1  # of what is not read at once, pixels are looked at one by one in the end
    if width * height <= MOST_READ_PX:
        most = LEAST_PX
        try:
            pixels = slide.read(level, round(left * factor), round(top * factor), width, height)
        except UnreadableTileError:
            pass
        else:
            same = (width, height) == (columns, rows)
            out[:] = pixels if same else reduced(pixels, columns, rows)
            return
    if max(rows, columns) <= most:
        return
    if rows > columns:
        half = rows // 2
        _fill(out[:half], slide, x, y, scale)
        _fill(out[half:], slide, x, y + half * scale, scale)
    else:
        half = columns // 2
        _fill(out[:, :half], slide, x, y, scale)
        _fill(out[:, half:], slide, x + half * scale, y, scale)


def _cut(small: Thumbnail, x: float, y: float, scale: float, size: tuple[int, int]) -> RGB:
    """A rectangle of a slide from a picture of all of it."""
    height, width = small.pixels.shape[:2]
    (left, right), (top, bottom) = (
        (
            min(int(start / small.scale), whole - 1),
            min(max(math.ceil((start + side * scale) / small.scale), 1), whole),
        )
        for start, side, whole in ((x, size[0], width), (y, size[1], height))
    )
    return reduced(small.pixels[top:bottom, left:right], *size)
