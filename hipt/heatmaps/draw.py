"""A slide's heatmaps as people see and share them: figures, pyramids, tiles for QuPath.

Legend: N patches of a slide, H heads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hipt.cohort.batch_run import Row
from hipt.exchange.qupath import write_tiles
from hipt.geometry.lattice import at_pixels, on_lattice, percentiles
from hipt.heatmaps.cells import CellMaps
from hipt.heatmaps.pyramids import write_pyramid
from hipt.layout import Results
from hipt.pictures.drawing import RGB, enlarged, shrunk
from hipt.pictures.heat import figure, overlay, side_by_side
from hipt.store.images import read_rgb, write_png

AVERAGE = "attention"
"""The map of stage 2 alone, the mean of its heads."""

LEAST_PX = 800
"""Least long side of a figure's picture: those of small slides are enlarged."""

HEAD_PX = 700
"""Longest side of a head's picture among the others."""

WHOLE = ("0 %", "100 %")
RANK = "percentile within the slide"
CONTRIBUTION = "contribution to the answer"
"""What colours show, as legends say it."""

Floats = npt.NDArray[np.float32]

MEANING = {
    AVERAGE: "attention of stage 2, mean of heads",
    "region": "attention of the slide model to regions",
    "product": "attention to regions times attention inside them",
    "contribution": "what the answer comes from",
}
"""What a map shows, by the last part of its name."""


@dataclass(frozen=True)
class SlideMaps:
    """All maps of one slide."""

    slide_id: str
    manifest: pa.Table
    """One row per patch, in its order."""
    places: npt.NDArray[np.int64]
    """[rows, columns] from `hipt.geometry.lattice.lattice`."""
    attention: Floats
    """(N, H) of stage 2."""
    maps: Mapping[str, Floats]
    """(N,) each; `<task>.<model>.<kind>`, and AVERAGE."""
    ends: Mapping[str, tuple[str, str]]
    """Of the signed maps, what values below and above 0 speak for."""


def draw(found: SlideMaps, row: Row, results: Results) -> None:
    """Write a slide's pictures and tiles, each whole or not at all.

    Args:
        found: the maps.
        row: what the indices say of the slide: mpp, width_px, read_px, bounds.
        results: where the overview lies, and the pictures go.
    """
    folder = results.maps(found.slide_id)
    overview = read_rgb(results.overview("segment", found.slide_id))
    view = _View(found, row, enlarged(overview, LEAST_PX))
    for name, values in found.maps.items():
        signed = name in found.ends
        heat = _from_0_to_1(values) if signed else percentiles(values)
        picture = overlay(view.picture, view.placed(heat), diverging=signed)
        write_pyramid(folder / f"{name}.tif", picture, view.um_per_px)
        shown = figure(
            picture,
            title=f"{found.slide_id}: {_title(name)}",
            legend=CONTRIBUTION if signed else RANK,
            ticks=found.ends.get(name, WHOLE),
            um_per_px=view.um_per_px,
            diverging=signed,
        )
        write_png(folder / f"{name}.png", shown)
    write_png(folder / "heads.png", _heads(found, _View(found, row, shrunk(overview, HEAD_PX))))
    measured: dict[str, npt.NDArray[Any]] = dict(found.maps)
    measured |= {f"{name}, percentile": 100 * percentiles(found.maps[name]) for name in found.maps}
    measured |= {f"head {k}": found.attention[:, k] for k in range(found.attention.shape[1])}
    corners = np.stack([found.manifest["x"].to_numpy(), found.manifest["y"].to_numpy()], 1)
    write_tiles(folder / "qupath.geojson", corners, row["read_px"], measured, row["bounds"])


def draw_closer(found: CellMaps, path: Path, title: str, side_um: float) -> None:
    """Write a region, `side_um` wide, and its maps down to cells, beside each other."""
    shown = [("H&E", found.picture)] + [
        (name, overlay(found.picture, _ranked(values)))
        for name, values in (
            ("patches, seen by stage 2", found.patches),
            ("cells in their patch, seen by stage 1", found.cells),
            ("both together", found.product),
        )
    ]
    pictures = side_by_side([one for _, one in shown], [name for name, _ in shown], columns=2)
    shown_with = figure(
        pictures,
        title=title,
        legend="percentile within the region",
        ticks=WHOLE,
        um_per_px=side_um / found.picture.shape[1],
    )
    write_png(path, shown_with, title)


def _ranked(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """[h, w] percentiles of a whole map."""
    return percentiles(values.ravel()).reshape(values.shape)


class _View:
    """The slide's overview, and where its patches lie on it."""

    def __init__(self, found: SlideMaps, row: Row, picture: RGB) -> None:
        self.picture = picture
        self._places = found.places
        self._px = row["width_px"] / picture.shape[1]  # level-0 pixels per pixel
        self.um_per_px = row["mpp"] * self._px
        corner = (found.manifest["x"].to_numpy().min(), found.manifest["y"].to_numpy().min())
        self._corner = (float(corner[0]), float(corner[1]))
        self._side = float(row["read_px"])

    def placed(self, values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """[h, w] a map of (N,) values at the overview's pixels, NaN where no patch is."""
        map_ = on_lattice(self._places, values)
        height, width = self.picture.shape[:2]
        x, y = ((c / self._px, self._side / self._px) for c in self._corner)
        return at_pixels(map_, (height, width), x, y)


def _from_0_to_1(values: Floats) -> npt.NDArray[np.float64]:
    """Signed values, 0 in the middle; the highest hundredth is cut off."""
    most = float(np.quantile(np.abs(values), 0.99)) or 1.0
    return np.asarray((np.clip(values / most, -1, 1) + 1) / 2, np.float64)


def _title(name: str) -> str:
    """What a map shows."""
    if name == AVERAGE:
        return MEANING[name]
    task, model, kind, *answer = name.split(".")
    of = f" of class {answer[0]}" if answer else ""
    return f"{task}, {model}: {MEANING[kind]}{of}"


def _heads(found: SlideMaps, view: _View) -> RGB:
    """Every head of stage 2 beside the others."""
    heads = range(found.attention.shape[1])
    pictures = [
        overlay(view.picture, view.placed(percentiles(found.attention[:, k]))) for k in heads
    ]
    return figure(
        side_by_side(pictures, [f"head {k}" for k in heads], columns=3),
        title=f"{found.slide_id}: attention of stage 2, head by head",
        legend=RANK,
        ticks=WHOLE,
        um_per_px=view.um_per_px,
    )
