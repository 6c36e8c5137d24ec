"""Figures for papers, on disk beside the page."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from hipt.pictures.figure import pdf_bytes, svg_text
from hipt.store.whole import whole


def write_figure(folder: Path, name: str, figure: Figure) -> None:
    """Write a figure as `<name>.pdf` and `<name>.svg`, each whole or not at all."""
    with whole(folder / f"{name}.pdf") as part:
        part.write_bytes(pdf_bytes(figure))
    with whole(folder / f"{name}.svg") as part:
        part.write_text(svg_text(figure, name), encoding="utf-8")
