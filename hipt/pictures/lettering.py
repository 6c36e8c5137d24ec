"""Lines of text as pictures, in the font that Pillow carries: the same on every machine.

The font has little more than ASCII: accents are left off, some signs are written with others, the
micro sign is drawn, and any other letter is a box.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from functools import cache
from math import ceil
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from hipt.pictures.drawing import RGB

INK = (34, 34, 34)
"""The colour of letters."""

LEAST_PX = 11
"""Size of the smallest letters that can still be read."""

MICRO = "\N{MICRO SIGN}"

_OTHERWISE = str.maketrans(
    {
        **{"\N{GREEK SMALL LETTER MU}": MICRO, "\N{MULTIPLICATION SIGN}": "x"},
        **{"\N{EN DASH}": "-", "\N{MINUS SIGN}": "-", "\N{NON-BREAKING HYPHEN}": "-"},
        **{"\N{LESS-THAN OR EQUAL TO}": "<=", "\N{GREATER-THAN OR EQUAL TO}": ">="},
        **{"ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L"},
    }
)
_ELLIPSIS = "…"


def text_line(
    text: str, width_px: int, size_px: int, align: Literal["left", "centre", "right"] = "left"
) -> RGB:
    """A line of text on white, its middle left out where it is too long.

    Args:
        text: anything; what cannot be printed is a space.
        width_px: of the line, at least 1.
        size_px: of the letters.
        align: where the text stands in the line.

    Returns:
        uint8 [line_px(size_px), width_px, 3].
    """
    shown, font = shortened(text, width_px, size_px), _font(size_px)
    strip = Image.new("RGB", (width_px, line_px(size_px)), "white")
    pen = ImageDraw.Draw(strip)
    left = (width_px - _length(shown, size_px)) * {"left": 0, "centre": 0.5, "right": 1}[align]
    left, baseline = round(left), round(1.05 * size_px)
    pen.text((left, baseline), shown.replace(MICRO, "u"), INK, font, anchor="ls")
    for place, letter in enumerate(shown):
        if letter == MICRO:  # a u whose first stem goes on below the line
            stem = left + round(_length(shown[:place], size_px) + 0.07 * size_px)
            wide = max(1, round(0.09 * size_px))
            tail = (stem, baseline - wide, stem + wide - 1, baseline + round(0.2 * size_px))
            pen.rectangle(tail, INK)
    return np.asarray(strip)


def line_px(size_px: int) -> int:
    """Height of a line with letters of a size."""
    return -(-7 * size_px // 5)


def text_px(text: str, size_px: int) -> int:
    """Width of a line that a short text needs."""
    return ceil(_length(_printable(text), size_px)) + 1


def shortened(text: str, width_px: int, size_px: int) -> str:
    """A text as it is shown: with an ellipsis in its middle where it is too long for a line."""
    shown = _printable(text)
    if _fits(shown, width_px, size_px):
        return shown
    most = range(min(len(shown), width_px))  # a letter has at least one pixel
    kept = bisect_right(most, width_px, key=lambda n: ceil(_length(_ends(shown, n), size_px)))
    return _ends(shown, max(0, kept - 1))


def fitting_px(text: str, width_px: int, size_px: int) -> int:
    """The largest size in which a text fits a line whole; not below half of it, nor LEAST_PX."""
    shown, least = _printable(text), max(LEAST_PX, size_px // 2)
    sizes = range(size_px, least, -1)
    return next((size for size in sizes if _fits(shown, width_px, size)), min(size_px, least))


def _printable(text: str) -> str:
    """A text in letters that the font has, where there is a way to write them."""
    letters = unicodedata.normalize("NFD", text.translate(_OTHERWISE))
    bare = (letter for letter in letters if not unicodedata.combining(letter))
    return "".join(letter if letter.isprintable() else " " for letter in bare)


def _fits(shown: str, width_px: int, size_px: int) -> bool:
    """Whether a line holds a text."""
    return len(shown) <= width_px and _length(shown, size_px) <= width_px


def _ends(shown: str, kept: int) -> str:
    """So many letters of a text from both its ends."""
    return shown[: (kept + 1) // 2] + _ELLIPSIS + shown[len(shown) - kept // 2 :]


def _length(shown: str, size_px: int) -> float:
    """Width of a text, pixels."""
    return _font(size_px).getlength(shown.replace(MICRO, "u"))


@cache
def _font(size_px: int) -> ImageFont.FreeTypeFont:
    """Pillow's own font, laid out without the libraries that some machines lack."""
    font = ImageFont.load_default(size_px)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font.font_variant(layout_engine=ImageFont.Layout.BASIC)
