"""Figures of the page, which lie beside it as PDF and SVG for papers too."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup
from matplotlib.figure import Figure

from hipt.pictures.figure import svg_text
from hipt.store.figures import write_figure

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Drawn:
    """A figure, and what is written around it."""

    name: str
    """Of its files and its place on the page: letters, digits, `_` and `-`."""
    title: str
    description: str
    """What it shows, in words, for whoever cannot see it."""
    note: str
    figure: Figure


def published(drawn: Drawn, folder: Path) -> dict[str, Any]:
    """Write a figure's files; returns what `report_figure.html.j2` shows."""
    write_figure(folder, drawn.name, drawn.figure)
    return {
        "id": drawn.name,
        "title": drawn.title,
        "description": drawn.description,
        "note": drawn.note,
        "svg": Markup(_inline(svg_text(drawn.figure, drawn.name), drawn.name)),
        "files": [f"{folder.name}/{drawn.name}.{suffix}" for suffix in ("pdf", "svg")],
    }


def remove_others(folder: Path, page: Path) -> None:
    """Remove what an earlier run drew: figures that the page does not link to. The log names them.

    Args:
        folder: results/figures; whatever in it is a PDF or SVG is the report's.
        page: the page, beside the folder.
    """
    text = page.read_text("utf-8")
    for path in sorted(folder.rglob("*")):
        link = quote(path.relative_to(page.parent).as_posix())
        if path.suffix in (".pdf", ".svg") and f'href="{link}"' not in text:
            path.unlink()
            log.info("%s: removed, since the report has it no more", path)


def _inline(document: str, name: str) -> str:
    """An SVG document as an element of a page, named by the title and description around it."""
    start = document.index("<svg")
    labels = f'role="img" aria-labelledby="{name}-title {name}-description"'
    element = re.sub(r"<metadata>.*?</metadata>", "", document[start:], count=1, flags=re.DOTALL)
    return element.replace("<svg", f"<svg {labels}", 1)
