"""Where things lie on a slide, level-0 pixels: outlines of tissue, regions, patches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import shapely

from hipt.errors import HiptError
from hipt.exchange.annotations import read_contours
from hipt.store.schemas import MANIFEST
from hipt.store.tables import PatchEmbeddings, read_table
from hipt.view.answers import RefusedError

Ring = list[list[float]]


def outlines(path: Path, bounds: Sequence[int] | None) -> list[dict[str, Any]]:
    """The polygons of a slide's tissue, to a tenth of a pixel.

    Args:
        path: the file that segment wrote.
        bounds: of the scanned part; None: not known, all of the slide.

    Raises:
        HiptError: if the file is damaged.
    """
    return [
        {"outer": _ring(area.exterior), "holes": [_ring(hole) for hole in area.interiors]}
        for area in read_contours(path, bounds or (0, 0)).geoms
    ]


def _ring(ring: shapely.LinearRing) -> Ring:
    points: Ring = shapely.get_coordinates(ring).round(1).tolist()
    return points


@dataclass(frozen=True)
class Grid:
    """The regions and patches of a slide: its manifest, R regions of T patches."""

    table: pa.Table
    regions: int

    @property
    def per_region(self) -> int:
        """T."""
        return len(self.table) // max(self.regions, 1)

    @property
    def patch_px(self) -> int:
        """Side of a patch, level-0 pixels."""
        return int(self.table["read_px"][0].as_py()) if len(self.table) else 0

    @property
    def region_px(self) -> int:
        """Side of a region, level-0 pixels."""
        return math.isqrt(self.per_region) * self.patch_px

    def all_regions(self) -> dict[str, Any]:
        """Size, and number, corner and share of tissue of every region."""
        first = self.table.take(np.arange(self.regions) * self.per_region)
        names = {"region": "region", "x": "region_x", "y": "region_y", "tissue": "region_tissue"}
        return {"size": float(self.region_px)} | _columns(first, names)

    def patches(self, region: int) -> pa.Table:
        """The patches of a region.

        Raises:
            RefusedError: 404, if there is no such region.
        """
        if not 0 <= region < self.regions:
            raise RefusedError(404, f"of {self.regions} regions none is region {region}")
        return self.table.slice(region * self.per_region, self.per_region)

    def all_patches(self, region: int, embeddings: Path) -> dict[str, Any]:
        """Size, and number, corner, tissue of every patch of a region, and whether it was embedded.

        Raises:
            RefusedError: 404, if there is no such region.
            HiptError: if the embeddings are damaged.
        """
        rows = self.patches(region)
        embedded = [False] * len(rows)
        if embeddings.exists():
            made = PatchEmbeddings(embeddings).region(region)
            both = zip(made["computed"].to_pylist(), made["readable"].to_pylist(), strict=True)
            embedded = [computed and readable for computed, readable in both]
        names = {name: name for name in ("patch", "x", "y", "tissue")}
        return {"size": float(self.patch_px)} | _columns(rows, names) | {"embedded": embedded}


def read_grid(path: Path) -> Grid:
    """A slide's manifest.

    Raises:
        HiptError: if it is absent or damaged.
    """
    table = read_table(path, MANIFEST)
    regions = 1 + int(table["region"][-1].as_py()) if len(table) else 0
    if regions and len(table) % regions:
        raise HiptError(f"{path}: its regions have not equally many patches")
    return Grid(table, regions)


def sides_px(path: Path) -> tuple[int, int]:
    """Side of a slide's regions and of its patches, level-0 pixels, from its manifest.

    Raises:
        HiptError: if it is absent or damaged.
    """
    table = read_table(path, MANIFEST, ("region", "read_px"))
    if not len(table):
        return 0, 0
    side = int(table["read_px"][0].as_py())
    return math.isqrt(len(table) // (1 + int(table["region"][-1].as_py()))) * side, side


def _columns(table: pa.Table, names: dict[str, str]) -> dict[str, list[Any]]:
    """Columns as lists, under other names."""
    found = {name: table[column].to_pylist() for name, column in names.items()}
    return found | {"tissue": [round(share, 4) for share in found["tissue"]]}
