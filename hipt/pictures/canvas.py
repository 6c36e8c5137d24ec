"""A figure laid out in pixels: pictures lie on it as they are, and lines of text fit their room."""

from __future__ import annotations

import io
import unicodedata
from bisect import bisect_right
from functools import cache
from math import ceil
from typing import Any, Literal

import cv2
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.transforms import Affine2D

from hipt.pictures.drawing import RGB
from hipt.pictures.figure import style

INK = "#222222"
"""The colour of letters."""

LEAST_PX = 11
"""Size of the smallest letters that can still be read."""

FRAME_PX = 1
"""Width of the line around a picture; it lies outside of the picture."""

_FRAME_COLOUR = "#969696"
_PER_INCH = 256  # a power of two: whole pixels stay whole numbers
_POINTS_PER_INCH = 72
_ELLIPSIS = "…"


class PixelFigure(Figure):
    """A figure that notebooks show: without pyplot nothing else tells them how."""

    def _repr_png_(self) -> bytes:
        """A PNG, pixel by pixel."""
        buffer = io.BytesIO()
        with style():
            self.savefig(buffer, format="png", dpi="figure")
        return buffer.getvalue()


class Canvas:
    """A white figure whose coordinates are its pixels, x to the right and y down.

    Make it and draw on it inside of `hipt.pictures.figure.style()`.
    """

    def __init__(self, width_px: int, height_px: int) -> None:
        size = (width_px / _PER_INCH, height_px / _PER_INCH)
        self.figure = PixelFigure(figsize=size, dpi=_PER_INCH)
        down = Affine2D().scale(1 / width_px, -1 / height_px).translate(0, 1)
        self._pixels = down + self.figure.transFigure

    def picture(self, rgb: RGB, left: int, top: int) -> None:
        """Put a picture here as it is, in a frame of FRAME_PX around it."""
        height, width = rgb.shape[:2]
        sides = (left - FRAME_PX, top - FRAME_PX, width + 2 * FRAME_PX, height + 2 * FRAME_PX)
        self._box(*sides, _FRAME_COLOUR)
        self.figure.add_artist(_Picture(rgb, left, top)).set_transform(self._pixels)

    def bar(self, left: int, top: int, width: int, height: int) -> None:
        """Put a bar in INK here."""
        self._box(left, top, width, height, INK)

    def line(
        self,
        text: str,
        left: int,
        top: int,
        width_px: int,
        size_px: int,
        align: Literal["left", "center", "right"] = "left",
    ) -> None:
        """Put a line of text here, its middle left out where it is too long.

        Args:
            text: anything; what cannot be printed is a space.
            left: where its room begins.
            top: upper edge of the line, which is `line_px(size_px)` high.
            width_px: of its room.
            size_px: of the letters.
            align: where the text stands in its room.
        """
        x = left + width_px * {"left": 0, "center": 0.5, "right": 1}[align]
        shown = shortened(text, width_px, size_px)
        baseline, points = top + round(1.05 * size_px), _points(size_px)
        at = self.figure.text(x, baseline, shown, transform=self._pixels, color=INK)
        at.set(ha=align, va="baseline", fontsize=points)

    def _box(self, left: int, top: int, width: int, height: int, colour: str) -> None:
        """Put a filled rectangle here."""
        box = Rectangle((left, top), width, height, facecolor=colour, linewidth=0)
        box.set_transform(self._pixels)
        self.figure.add_artist(box)


class _Picture(Artist):
    """A picture pixel by pixel; matplotlib's own images are copied and resampled several times."""

    def __init__(self, rgb: RGB, left: int, top: int) -> None:
        super().__init__()
        self.set_zorder(2)  # over its frame
        height, width = rgb.shape[:2]
        self._corners = (left, top + height), (left + width, top)
        self._rgb = rgb

    def draw(self, renderer: Any) -> None:  # noqa: ANN401 (matplotlib names no type)
        """As it is in pixels; where the renderer can scale, as large as its place."""
        (left, bottom), (right, top) = self.get_transform().transform(self._corners)
        rgba = cv2.flip(cv2.cvtColor(self._rgb, cv2.COLOR_RGB2RGBA), 0)  # its lowest row first
        context = renderer.new_gc()
        if renderer.option_scale_image():
            size = Affine2D().scale(right - left, top - bottom)
            renderer.draw_image(context, left, bottom, rgba, size)
        else:
            renderer.draw_image(context, round(left), round(bottom), rgba)
        context.restore()


def line_px(size_px: int) -> int:
    """Height of a line with letters of a size."""
    return -(-7 * size_px // 5)


def text_px(text: str, size_px: int) -> int:
    """Width of a text, pixels."""
    font = FontProperties(size=_points(size_px))
    width: float = _renderer().get_text_width_height_descent(text, font, ismath=False)[0]
    return ceil(width)


def shortened(text: str, width_px: int, size_px: int) -> str:
    """A text as a line shows it: with an ellipsis in its middle where it is too long."""
    shown = _printable(text)
    if _fits(shown, width_px, size_px):
        return shown
    most = range(min(len(shown), width_px))  # a letter has at least one pixel
    kept = bisect_right(most, width_px, key=lambda n: text_px(_ends(shown, n), size_px))
    return _ends(shown, max(0, kept - 1))


def fitting_px(text: str, width_px: int, size_px: int) -> int:
    """The largest size in which a text fits a line whole; not below half of it, nor LEAST_PX."""
    shown, least = _printable(text), max(LEAST_PX, size_px // 2)
    sizes = range(size_px, least, -1)
    return next((size for size in sizes if _fits(shown, width_px, size)), min(size_px, least))


def _printable(text: str) -> str:
    """A text of one line, without what steers a printer."""
    letters = unicodedata.normalize("NFC", text)
    return "".join(letter if letter.isprintable() else " " for letter in letters)


def _fits(shown: str, width_px: int, size_px: int) -> bool:
    """Whether a line holds a text."""
    return len(shown) <= width_px and text_px(shown, size_px) <= width_px


def _ends(shown: str, kept: int) -> str:
    """So many letters of a text from both its ends."""
    return shown[: (kept + 1) // 2] + _ELLIPSIS + shown[len(shown) - kept // 2 :]


def _points(px: float) -> float:
    """Pixels as points."""
    return px * _POINTS_PER_INCH / _PER_INCH


@cache
def _renderer() -> Any:  # noqa: ANN401 (matplotlib names no types here)
    """What knows how wide letters are."""
    renderer: Any = RendererAgg
    return renderer(1, 1, _PER_INCH)
