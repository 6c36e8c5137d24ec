"""A slide's heatmaps as people see and share them: figures, pyramids, tiles for QuPath.

Legend: N patches of a slide, H heads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from matplotlib.figure import Figure

from hipt.cohort.batch_run import Row
from hipt.exchange.qupath import write_tiles
from hipt.geometry.lattice import at_pixels, lattice, on_lattice, percentiles
from hipt.heatmaps.pyramids import write_pyramid
from hipt.heatmaps.scales import AVERAGE, RANK, RANK_IN_REGION, from_0_to_1, legend, title
from hipt.heatmaps.table import COMPONENTS, CellMaps, SlideMaps
from hipt.layout import Results
from hipt.pictures.drawing import RGB, draw_contours, enlarged, shrunk
from hipt.pictures.heat import Legend, figure, overlay
from hipt.store.figures import pixels
from hipt.store.images import read_rgb, write_png

LEAST_PX = 800
"""Least long side of a figure's picture: those of small slides are enlarged."""

HEAD_PX = 700
"""Longest side of a head's picture among the others."""

PANEL_PX = 500
"""Longest side of a picture in a figure for papers: three of them fill a page's width."""

ABREAST = 3
"""Pictures side by side."""

Floats = npt.NDArray[np.float32]


def draw(slide: SlideMaps, row: Row, results: Results) -> None:
    """Write a slide's pictures and tiles, each whole or not at all.

    Args:
        slide: the maps.
        row: what the indices say of the slide: mpp, width_px, bounds.
        results: where the overview lies, and the pictures go.
    """
    folder = results.maps(slide.slide_id)
    overview = read_rgb(results.overview("segment", slide.slide_id))
    view = _View(slide, row, enlarged(overview, LEAST_PX))
    for name in slide.maps:
        picture = view.of(name)
        write_pyramid(folder / f"{name}.tif", picture, view.um_per_px)
        write_png(folder / f"{name}.png", pixels(view.alone(name, picture)))
    small = _View(slide, row, shrunk(overview, HEAD_PX))
    if heads := {name: small.of(name) for name in slide.heads}:
        shown = small.figure(heads, "attention of stage 2, head by head", RANK)
        write_png(folder / "heads.png", pixels(shown))
    measured: dict[str, npt.NDArray[Any]] = dict(slide.maps)
    measured |= {f"{name}, percentile": 100 * percentiles(slide.maps[name]) for name in slide.maps}
    measured |= slide.heads
    tiles = folder / "qupath.geojson"
    write_tiles(tiles, slide.corners, slide.side_px, measured, row["bounds"])


def drawn(
    slide: SlideMaps, row: Row, overview: RGB, name: str, outline: shapely.MultiPolygon
) -> Figure:
    """One map or head of a slide over its overview, with its outline, colour bar and scale bar.

    Args:
        slide: the maps.
        row: what the slide table says of the slide: mpp, width_px.
        overview: the whole slide, as large as it is to be shown.
        name: of the map or head.
        outline: the tissue's, level-0 pixels.

    Raises:
        KeyError: if there is no such map.
    """
    view = _View(slide, row, overview)
    scale = overview.shape[1] / row["width_px"]
    return view.alone(name, draw_contours(view.of(name), outline, scale))


def draw_closer(region: CellMaps, path: Path, title: str, side_um: float) -> None:
    """Write a region, `side_um` wide, and its maps down to cells, beside each other."""
    pictures = {
        "H&E": region.picture,
        "patches, seen by stage 2": overlay(region.picture, _ranked(region.patches)),
        "cells in their patch, seen by stage 1": overlay(region.picture, _ranked(region.cells)),
        "both together": overlay(region.picture, _ranked(region.product)),
    }
    um_per_px = side_um / region.picture.shape[1]
    shown = figure(pictures, RANK_IN_REGION, title=title, um_per_px=um_per_px, columns=2)
    write_png(path, pixels(shown), title)


def side_by_side(slide: SlideMaps, row: Row, results: Results) -> Iterator[tuple[str, Figure]]:
    """A slide's maps for a paper: beside each other those whose colours mean the same.

    Args:
        slide: the maps.
        row: what the slide table says of the slide: mpp, width_px.
        results: where the overview lies.

    Yields:
        `attention`, `components` or `<task>.contribution`, and the figure.

    Raises:
        HiptError: if the overview is absent or damaged.
    """
    overview = read_rgb(results.overview("segment", slide.slide_id))
    view = _View(slide, row, shrunk(overview, PANEL_PX))
    groups: dict[str, list[str]] = {}
    for name in slide.maps:
        task, _, kind = (*name.split(".", 2), "", "")[:3]
        group = f"{task}.{kind}" if name in slide.ends else AVERAGE
        if name in COMPONENTS:
            group = "components"
        groups.setdefault(group, []).append(name)
    for group, names in groups.items():
        pictures = {"H&E": view.picture} | {name: view.of(name) for name in names}
        yield group, view.figure(pictures, group, legend(slide, names[0]))


def _ranked(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """[h, w] percentiles of a whole map."""
    return percentiles(values.ravel()).reshape(values.shape)


class _View:
    """A slide's overview, and where its patches lie on it."""

    def __init__(self, slide: SlideMaps, row: Row, picture: RGB) -> None:
        self.picture = picture
        self._slide = slide
        self._px = row["width_px"] / picture.shape[1]  # level-0 pixels per pixel
        self.um_per_px = row["mpp"] * self._px
        self._places = lattice(slide.corners, slide.side_px)

    def of(self, name: str) -> RGB:
        """The picture under one of the slide's maps or heads."""
        values = from_0_to_1(self._slide, name)
        return self._under(values, diverging=name in self._slide.ends)

    def figure(self, pictures: Mapping[str, RGB], title: str, legend: Legend) -> Figure:
        """Pictures of the view's size, with what a reader needs."""
        title = f"{self._slide.slide_id}: {title}"
        return figure(pictures, legend, title=title, um_per_px=self.um_per_px, columns=ABREAST)

    def alone(self, name: str, picture: RGB) -> Figure:
        """One map's picture, with what a reader needs."""
        return self.figure({"": picture}, title(name), legend(self._slide, name))

    def _under(self, values: npt.NDArray[np.float64], *, diverging: bool) -> RGB:
        """The picture under (N,) values in 0..1."""
        corners, side = self._slide.corners, self._slide.side_px
        x, y = ((float(start) / self._px, side / self._px) for start in corners.min(0))
        height, width = self.picture.shape[:2]
        placed = at_pixels(on_lattice(self._places, values), (height, width), x, y)
        return overlay(self.picture, placed, diverging=diverging)
