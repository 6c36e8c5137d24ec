"""Draw a finished run in one picture: a slide with its tissue, a heatmap, and what is alike.

    python docs/result_picture.py RESULTS PICTURE.jpg

`make demo-real` ends with it. The slide is the one with the most tissue among those with a map.
"""

from __future__ import annotations

import base64
import sys
from itertools import zip_longest
from pathlib import Path

import cv2
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hipt.config.config import TileConfig
from hipt.errors import HiptError
from hipt.layout import Results
from hipt.pictures.drawing import RGB
from hipt.pictures.figure import new_figure, rgb_of, style
from hipt.report.facts import LOOKED_AT
from hipt.report.neighbours import neighbours

MAP = "component1.png"
"""What patch vectors of a slide differ in most."""

PATCHES = 4
"""How many are shown with their neighbours."""

WHITE = np.full((1, 1, 3), 255, np.uint8)

PANEL_MM, HEIGHT_MM = 93.0, 55.0
"""Of the slide and of its map; neighbours take two thirds of a panel."""


def draw(results: Results) -> Figure:
    """The picture of a run; neighbours are left out where slides are of one case.

    Raises:
        HiptError: if no slide has a map.
    """
    table = pl.read_parquet(results.slides).filter(status="ok").sort("tissue_mm2")
    maps = [results.maps(slide_id) / MAP for slide_id in table["slide_id"]]
    largest = next((path for path in reversed(maps) if path.exists()), None)
    if largest is None:
        raise HiptError(f"{results.root}: no slide has the map {MAP}; there is nothing to draw")
    levels = neighbours(table.select(LOOKED_AT).to_dicts(), results, TileConfig())
    patches = next((found for found in levels if found["level"] == "patch"), None)
    ratios = (1, 1, 0.68) if patches else (1, 1)
    with style():
        figure = new_figure(PANEL_MM * sum(ratios), HEIGHT_MM)
        left, middle, *right = figure.subfigures(1, len(ratios), width_ratios=ratios)
        overview = results.overview("segment", largest.parent.name)
        show(left.subplots(), decoded(overview.read_bytes()), "Tissue")
        show(middle.subplots(), decoded(largest.read_bytes()), "What its patches differ in most")
        if patches:
            rows = patches["rows"][:PATCHES]
            right[0].suptitle("Patches, and their nearest of other slides", fontsize="medium")
            grid = right[0].subplots(len(rows), max(map(len, rows)), squeeze=False)
            for line, row in zip(grid, rows, strict=True):
                for axes, picture in zip_longest(line, row):
                    data = picture and picture["data"].partition(",")[2]
                    show(axes, decoded(base64.b64decode(data)) if data else WHITE)
    return figure


def decoded(data: bytes) -> RGB:
    """A picture file's pixels, (H, W, 3)."""
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def show(axes: Axes, rgb: RGB, title: str = "") -> None:
    """A picture without numbers at its edges."""
    axes.imshow(rgb, interpolation="lanczos")
    axes.set_title(title, fontsize="medium")
    axes.axis("off")


if __name__ == "__main__":
    out = Path(sys.argv[2])
    try:
        rgb = rgb_of(draw(Results(Path(sys.argv[1]))))
    except HiptError as error:
        sys.exit(str(error))
    cv2.imwrite(str(out), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])
