"""Figures as files: for papers as PDF and SVG, and as the pixels of other pictures."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path

from matplotlib.figure import Figure

from hipt.pictures.drawing import RGB
from hipt.pictures.figure import missing_scripts, pdf_bytes, rgb_of, svg_text
from hipt.store.whole import whole

log = logging.getLogger(__name__)
logging.getLogger("fontTools").setLevel(logging.WARNING)  # it tells of every letter of a PDF

KINDS = (".pdf", ".svg")
"""The files of a figure."""

EAST_ASIAN = frozenset({"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "FULLWIDTH"})
"""Scripts that one small font has together."""


def write_figure(folder: Path, name: str, figure: Figure) -> None:
    """Write a figure as `<name>.pdf` and `<name>.svg`, each whole or not at all."""
    _note_missing(figure)
    with whole(folder / f"{name}.pdf") as part:
        part.write_bytes(pdf_bytes(figure))
    with whole(folder / f"{name}.svg") as part:
        part.write_text(svg_text(figure, name), encoding="utf-8")


def pixels(figure: Figure) -> RGB:
    """A figure as the pixels of a picture, [h, w, 3]; boxes for letters of no font are logged."""
    _note_missing(figure)
    return rgb_of(figure)


def _note_missing(figure: Figure) -> None:
    """Log which scripts no font has, each once, and what to install for them."""
    for script in missing_scripts(figure):
        _note(script)


@cache
def _note(script: str) -> None:
    """The line about one script."""
    east = script in EAST_ASIAN
    font = "WenQuanYi Micro Hei" if east else "Unifont"
    package = "fonts-wqy-microhei" if east else "fonts-unifont"
    log.warning(
        "letters of %s are boxes in PNG, JPEG and PDF, since no font here has them; install %s "
        "(Debian: %s) and make these pictures again",
        *(script, font, package),
    )
