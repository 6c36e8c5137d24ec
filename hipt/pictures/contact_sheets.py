"""Contact sheets: small pictures in rows, one row for each class or group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from hipt.pictures.canvas import FRAME_PX, LEAST_PX, Canvas, fitting_px, line_px
from hipt.pictures.drawing import RGB, shrunk
from hipt.pictures.figure import style

_LEAST_LETTERS = 30
"""Least width of a sheet, in sizes of its letters, so that headings have room."""

_CAPTION_LETTERS = 15
"""Least width of a caption, in sizes of its letters: TCGA's ids differ in their middle."""


class SheetRow(NamedTuple):
    """A row of a contact sheet."""

    heading: str
    pictures: Sequence[RGB]
    captions: Sequence[str]
    """One for each picture; of several lines if there are line breaks in it. Of a line that is too
    long its middle is left out, so a number at its end stays."""


def contact_sheet(rows: Sequence[SheetRow], tile_px: int) -> Figure:
    """Rows of framed pictures, each row under its heading, each picture above its caption.

    Args:
        rows: at least one; one without pictures says `none`.
        tile_px: side of the squares that hold the pictures. Larger ones are made smaller as a
            whole, smaller ones stay as they are, in the middle.

    Raises:
        ValueError: if there is no row, or a row has not one caption per picture.
    """
    if not rows:
        raise ValueError("a contact sheet of no rows")
    size = max(LEAST_PX, tile_px // _CAPTION_LETTERS)
    most = max(len(row.pictures) for row in rows)
    width = max(most * (_place_px(tile_px, size) + size) - size, _LEAST_LETTERS * size)
    heights = [_row_px(row, tile_px, size) for row in rows]
    with style():
        canvas, top = Canvas(width + 2 * size, sum(heights)), size
        for row, height in zip(rows, heights, strict=True):
            heading_px = fitting_px(row.heading, width, _heading_px(size))
            canvas.line(row.heading, size, top, width, heading_px)
            _put_pictures(canvas, row, top + line_px(_heading_px(size)), tile_px, size)
            top += height
    return canvas.figure


def _heading_px(size_px: int) -> int:
    """Size of the letters of headings."""
    return round(1.3 * size_px)


def _place_px(tile_px: int, size_px: int) -> int:
    """Width of a picture's square, or of its caption where that is wider."""
    return max(tile_px + 2 * FRAME_PX, _CAPTION_LETTERS * size_px)


def _row_px(row: SheetRow, tile_px: int, size_px: int) -> int:
    """Height of a row, with the white below it."""
    lines = max((caption.count("\n") + 1 for caption in row.captions), default=1)
    square = tile_px + 2 * FRAME_PX if row.pictures else 0
    return line_px(_heading_px(size_px)) + square + lines * line_px(size_px) + 2 * size_px


def _put_pictures(canvas: Canvas, row: SheetRow, top: int, tile_px: int, size_px: int) -> None:
    """Put the pictures of a row side by side, each in the middle of its square."""
    left, place = size_px, _place_px(tile_px, size_px)
    if not row.pictures:
        canvas.line("none", left, top, _LEAST_LETTERS * size_px, size_px)
    for picture, caption in zip(row.pictures, row.captions, strict=True):
        small = shrunk(picture, tile_px)
        spare_y, spare_x = tile_px - small.shape[0], place - small.shape[1]
        canvas.picture(small, left + spare_x // 2, top + FRAME_PX + spare_y // 2)
        for number, text in enumerate(caption.split("\n")):
            below = top + tile_px + 2 * FRAME_PX + number * line_px(size_px)
            canvas.line(text, left, below, place, size_px, "center")
        left += place + size_px
