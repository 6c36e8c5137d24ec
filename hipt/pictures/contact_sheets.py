"""Contact sheets: small pictures in rows, one row for each class or group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hipt.pictures.collage import FRAME_PX, below, beside, bordered, framed, on_white
from hipt.pictures.drawing import RGB, shrunk
from hipt.pictures.lettering import LEAST_PX, fitting_px, text_line

_LEAST_LETTERS = 30
"""Least width of a sheet, in sizes of its letters, so that headings have room."""

_CAPTION_LETTERS = 14
"""Least width of a caption, in sizes of its letters: TCGA's ids differ in their middle."""


class SheetRow(NamedTuple):
    """A row of a contact sheet."""

    heading: str
    pictures: Sequence[RGB]
    captions: Sequence[str]
    """One for each picture; of several lines if there are line breaks in it. Of a line that is too
    long its middle is left out, so a number at its end stays."""


def contact_sheet(rows: Sequence[SheetRow], tile_px: int) -> RGB:
    """Rows of framed pictures, each row under its heading, each picture above its caption.

    Args:
        rows: at least one; one without pictures says `none`.
        tile_px: side of the squares that hold the pictures. Larger ones are made smaller as a
            whole, smaller ones stay as they are, in the middle.

    Returns:
        uint8 [h, w, 3], on white.

    Raises:
        ValueError: if there is no row, or a row has not one caption per picture.
    """
    if not rows:
        raise ValueError("a contact sheet of no rows")
    size = max(LEAST_PX, tile_px // 14)
    most = max(len(row.pictures) for row in rows)
    width = max(most * (_cell_px(tile_px, size) + size) - size, _LEAST_LETTERS * size)
    parts = [_row(row, tile_px, size, width) for row in rows]
    around = {"top": size, "bottom": size, "left": size, "right": size}
    return bordered(below(parts, 2 * size), **around)


def _row(row: SheetRow, tile_px: int, size_px: int, width_px: int) -> RGB:
    """A heading and the pictures under it."""
    heading_px = fitting_px(row.heading, width_px, round(1.3 * size_px))
    cells = [
        _cell(picture, caption.split("\n"), tile_px, size_px)
        for picture, caption in zip(row.pictures, row.captions, strict=True)
    ]
    pictures = beside(cells, size_px) if cells else text_line("none", width_px, size_px)
    return below([text_line(row.heading, width_px, heading_px), pictures], size_px // 3)


def _cell(picture: RGB, lines: Sequence[str], tile_px: int, size_px: int) -> RGB:
    """A picture in the middle of its square, and its caption."""
    width = _cell_px(tile_px, size_px)
    shown = on_white(framed(shrunk(picture, tile_px)), tile_px + 2 * FRAME_PX, width)
    return below([shown, *(text_line(line, width, size_px, "centre") for line in lines)])


def _cell_px(tile_px: int, size_px: int) -> int:
    """Width of a picture's square, or of its caption where that is wider."""
    return max(tile_px + 2 * FRAME_PX, _CAPTION_LETTERS * size_px)
