"""A grid of regions that fits patches which somebody else has cut."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hipt.config.config import TileConfig
from hipt.geometry.grid import Grid, manifest_columns, patch_corners
from hipt.geometry.tissue_mask import Box, Corners


@dataclass(frozen=True)
class ImportedGrid:
    """The regions, and what of the patches is not in them."""

    grid: Grid
    """Tissue is 1 where a patch is there, and 0 elsewhere."""
    total: int
    """Patches that were given."""
    twice: int
    """Of them, at a place that another one had already."""
    off_lattice: int
    """Of the rest, beside the lattice that most of them lie on."""
    outside: int
    """Of the rest, in regions with too few patches."""

    @property
    def remark(self) -> str:
        """What is not used, in words; empty where all is."""
        lost = {
            "given twice": self.twice,
            "beside the grid of most": self.off_lattice,
            "in regions with too few": self.outside,
        }
        parts = [f"{count} {why}" for why, count in lost.items() if count]
        return f"of {self.total} imported patches {', '.join(parts)}: not used" if parts else ""


def imported_grid(coords: Corners, side: int, slide: Box, cfg: TileConfig) -> ImportedGrid:
    """The regions of patches that are there already, from the corner of their bounding box.

    The lattice is the one that most patches lie on: equal remainders of x and of y by the side. A
    region is kept if its share of patches that are there is at least `min_tissue`; a slide with
    patches keeps at least its best region.

    Args:
        coords: (N, 2) corners of the patches, N at least 1.
        side: side of a patch, level-0 pixels.
        slide: the part of level 0 that has pixels.
        cfg: patches per region, least share.
    """
    places = np.unique(coords, axis=0)
    rest, counts = np.unique(places % side, axis=0, return_counts=True)
    fitting = places[(places % side == rest[np.argmax(counts)]).all(1)]
    first, region_px = fitting.min(0), side * cfg.grid
    cells, present = np.unique((fitting - first)[:, ::-1] // region_px, axis=0, return_counts=True)
    share = present / cfg.grid**2  # (R,), row by row
    enough = share >= cfg.min_tissue
    if not enough.any():
        enough[np.argmax(share)] = True
    corners = first + cells[enough][:, ::-1] * region_px
    used = int(present[enough].sum())
    there = rows_at(coords, patch_corners(corners, side, cfg.grid)) >= 0
    columns = manifest_columns(corners, there.astype(np.float64), slide, side, cfg.grid)
    return ImportedGrid(
        grid=Grid(columns, len(corners), used / len(fitting)),
        total=len(coords),
        twice=len(coords) - len(places),
        off_lattice=len(places) - len(fitting),
        outside=len(fitting) - used,
    )


def rows_at(coords: Corners, wanted: Corners) -> npt.NDArray[np.int64]:
    """(M,) the first row of `coords` (N, 2) that equals each of `wanted` (M, 2); -1 for none."""
    known, first = np.unique(_keys(coords), return_index=True)
    if not len(known):
        return np.full(len(wanted), -1, np.int64)
    keys = _keys(wanted)
    at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.where(known[at] == keys, first[at], -1).astype(np.int64)


def _keys(coords: Corners) -> npt.NDArray[np.int64]:
    """One number for each pair; pixels stay below 2^31."""
    return np.asarray(coords[:, 0] * 2**32 + coords[:, 1], np.int64)
