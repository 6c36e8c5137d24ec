"""A slide's heatmaps as layers: which there are, their values by cell, their colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hipt.geometry.lattice import lattice, on_lattice
from hipt.heatmaps.scales import CONTRIBUTION, RANK, from_0_to_1, most_of, title
from hipt.heatmaps.table import COMPONENTS, HEAD, SlideMaps
from hipt.pictures.heat import coloured
from hipt.store.images import png_bytes
from hipt.view.answers import RefusedError, finite, quoted

HEADS, STAGE_2, PATCHES = "stage 2 heads", "stage 2", "patch vectors"
"""Groups of the maps that are of no task; without stage 2 they are components of patch vectors."""

COLOURS = 256
"""Steps of a colour bar."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Map:
    """One map of a slide, cell by cell of the grid of its patches."""

    x: int
    """Left edge, level-0 pixels."""
    y: int
    """Top edge."""
    step_px: int
    """Side of a cell, level-0 pixels."""
    shown: Floats
    """[rows, columns] what colours stand for, from 0 to 1; NaN where there is none."""
    measured: Floats
    """[rows, columns] the numbers of the table."""
    most: float
    """The value at the upper end of a signed map; of others 0."""

    def png(self) -> bytes:
        """A pixel per cell, transparent where there is no value."""
        rgb = coloured(self.shown, diverging=bool(self.most))
        alpha = np.where(np.isnan(self.shown), 0, 255).astype(np.uint8)
        return png_bytes(np.dstack([rgb, alpha]))

    def values(self) -> dict[str, Any]:
        """Where the cells lie, and what is said of each.

        `values` are in the unit of the colours; `measured` are the numbers of the table.
        """
        low, high = (-self.most, self.most) if self.most else (0, 100)
        values = self.measured if self.most else 100 * self.shown
        rows, columns = self.shown.shape
        return {
            **{"x": self.x, "y": self.y, "step": self.step_px, "columns": columns, "rows": rows},
            **{"values": _listed(values), "low": low, "high": high},
            "measured": _listed(np.where(np.isnan(self.shown), np.nan, self.measured)),
        }


def colour_bar(*, signed: bool) -> bytes:
    """The colours of maps from low to high, a pixel each, as PNG."""
    return png_bytes(coloured(np.linspace(0, 1, COLOURS)[None], diverging=signed))


def layers(slide: SlideMaps) -> list[dict[str, Any]]:
    """All maps of a slide: first those of stage 2, then those of tasks, model by model."""
    return [_layer(slide, name) for name in [*slide.heads, *slide.maps]]


def map_of(slide: SlideMaps, name: str) -> Map:
    """One map of a slide.

    Raises:
        RefusedError: 404, if it has none of that name, or its patches lie on no grid.
    """
    if name not in slide.layers:
        raise RefusedError(404, f"slide {quoted(slide.slide_id)} has no layer {quoted(name)}")
    try:
        places = lattice(slide.corners, slide.side_px)
    except ValueError as error:
        raise RefusedError(404, f"this slide cannot be mapped: {error}") from None
    x, y = slide.corners.min(0).tolist()
    values = slide.layers[name]
    most = most_of(values) if name in slide.ends else 0.0
    shown = on_lattice(places, from_0_to_1(slide, name))
    return Map(x, y, slide.side_px, shown, on_lattice(places, values), most)


def _layer(slide: SlideMaps, name: str) -> dict[str, Any]:
    """What the page has to know of a map before it is drawn."""
    signed = name in slide.ends
    most = most_of(slide.maps[name]) if signed else 0.0
    task, dot, _ = name.partition(".")
    return {
        "name": name,
        "label": title(name),
        "kind": "map",
        "group": task if dot else _group(name),
        "signed": signed,
        "low": -most if signed else 0,
        "high": most if signed else 100,
        "unit": CONTRIBUTION if signed else f"% ({RANK.text})",
        "ends": list(slide.ends[name]) if signed else list(RANK.ends),
    }


def _group(name: str) -> str:
    """Which maps one of no task stands among."""
    if name in COMPONENTS:
        return PATCHES
    return HEADS if name.startswith(HEAD) else STAGE_2


def _listed(values: Floats) -> list[float | None]:
    """Row by row, to six digits."""
    return [finite(float(f"{value:.6g}")) for value in values.ravel().tolist()]
