"""Figures as matplotlib draws them, in one style, and as the same bytes each time.

Texts stay texts in SVG, so that a browser draws every script with its own fonts. In PDF and PNG a
letter needs a font of this machine that has it: those of `FAMILIES` that are installed are tried
in their order.
"""

from __future__ import annotations

import io
import re
import textwrap
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, findSystemFonts, fontManager, get_font
from matplotlib.text import Text

from hipt.pictures.drawing import RGB

FAMILIES = (
    *("DejaVu Sans", "Noto Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR"),
    *("WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Droid Sans Fallback", "Noto Sans Arabic"),
    *("Noto Sans Devanagari", "Noto Sans Hebrew", "Noto Sans Thai", "Unifont"),
)
"""Fonts for letters, each for what those before it do not have."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#5a5a5a")
"""Of curves, in their order: colours that colour-blind people tell apart (Okabe and Ito)."""

DASHES = ("-", "--", "-.", ":", (0, (8, 2)), (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)))
"""Of curves, in their order: they are told apart in black and white too."""

MM_PER_INCH = 25.4

COLUMN_MM = 85.0
"""Width of a column of a paper."""

LINE_LETTERS, LINE_MM = 48, 4.4
"""Letters that fit into a line below a plot of a column, and how high it is."""

SOFT = "#767676"
"""Of what is only there to compare with."""

_PAPER_TYPE = 42  # TrueType: text in the PDF can be searched and edited
_PIXELS_PER_INCH = 200


@contextmanager
def style() -> Iterator[None]:
    """How figures look that are made and written inside of this."""
    with mpl.rc_context(_settings()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        yield


def new_figure(width_mm: float, height_mm: float) -> Figure:
    """An empty figure; call it inside of `style()`."""
    return Figure(figsize=(width_mm / MM_PER_INCH, height_mm / MM_PER_INCH), layout="constrained")


def look(i: int) -> dict[str, Any]:
    """Colour and dashes of the i-th curve, as `Axes.plot` takes them; there are seven."""
    return {"color": COLOURS[i], "linestyle": DASHES[i]}


def rule(axes: Axes) -> None:
    """Thin level lines, behind what is drawn."""
    axes.set_axisbelow(True)
    axes.grid(axis="y", color="#dddddd", linewidth=0.4)


def wrapped(text: str) -> str:
    """A text in lines that fit below a plot of one column; wide letters count twice."""
    wide = any(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return textwrap.fill(text, LINE_LETTERS // 2 if wide else LINE_LETTERS)


def legend_below(figure: Figure) -> None:
    """Put what is labelled below the plot, and make the figure as much higher."""
    lines = figure.axes[0].get_legend_handles_labels()[1]
    width, height = figure.get_size_inches()
    more_mm = sum(LINE_MM * (1 + line.count("\n")) for line in lines)
    figure.set_size_inches(width, height + more_mm / MM_PER_INCH)
    figure.legend(loc="outside lower left", handlelength=3.2)


def svg_text(figure: Figure, name: str) -> str:
    """A figure as an SVG document.

    Args:
        figure: the figure.
        name: of letters, digits and `-`; ids inside begin with it, so that several figures can
            stand on one page.
    """
    buffer = io.StringIO()
    with style(), mpl.rc_context({"svg.hashsalt": name, "svg.id": name}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", buffer.getvalue())


def pdf_bytes(figure: Figure) -> bytes:
    """A figure as a PDF document of one page."""
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format="pdf", metadata={"CreationDate": None, "Producer": None})
    return buffer.getvalue()


def rgb_of(figure: Figure) -> RGB:
    """A figure as pixels, [h, w, 3]."""
    canvas: Any = FigureCanvasAgg(figure)
    with style():
        canvas.draw()
    return np.asarray(cv2.cvtColor(np.asarray(canvas.buffer_rgba()), cv2.COLOR_RGBA2RGB), np.uint8)


def missing_scripts(figure: Figure) -> list[str]:
    """Scripts of a figure's texts with letters that no font here has: in pixels and PDF boxes.

    Returns:
        Their names as Unicode spells them (`CJK`, `HANGUL`, ..., or `SYMBOL`), each once.
    """
    texts: Any = figure.findobj(Text)
    letters = {letter for item in texts for letter in item.get_text() if not letter.isascii()}
    return sorted({_script(letter) for letter in letters if ord(letter) not in _known_letters()})


def _script(letter: str) -> str:
    """The script of a letter."""
    if unicodedata.category(letter).startswith("S"):
        return "SYMBOL"
    return unicodedata.name(letter, "unknown").split()[0]


@cache
def _known_letters() -> frozenset[int]:
    """The letters that the fonts of figures have."""
    fonts = (get_font(findfont(name)) for name in _families())
    return frozenset(letter for font in fonts for letter in font.get_charmap())


@cache
def _families() -> tuple[str, ...]:
    """Those of FAMILIES that are installed, those too that matplotlib's own list is too old for."""
    listed = {font.fname for font in fontManager.ttflist}
    for path in findSystemFonts():
        if path not in listed:
            with suppress(OSError, RuntimeError):  # no font that it can read
                fontManager.addfont(path)
    installed = set(fontManager.get_font_names())
    return tuple(name for name in FAMILIES if name in installed)


@cache
def _settings() -> dict[Any, Any]:
    """Matplotlib's settings for all figures."""
    return {
        "font.family": list(_families()),
        "font.size": 8.0,
        "axes.titlesize": 9.0,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.6,
        "lines.linewidth": 1.2,
        "legend.frameon": False,
        "figure.dpi": _PIXELS_PER_INCH,
        "savefig.dpi": _PIXELS_PER_INCH,
        "pdf.fonttype": _PAPER_TYPE,
        "svg.fonttype": "none",
        "text.parse_math": False,  # a `$` in an id is a dollar
    }
