"""The grid of regions and patches over a slide's tissue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hipt.config.config import TileConfig
from hipt.geometry.anchor import best_start, least_tissue
from hipt.geometry.resolution import ReadPlan, on_level
from hipt.geometry.tissue_mask import Box, TissueMask


@dataclass(frozen=True)
class Grid:
    """The regions that are kept, and their patches."""

    columns: dict[str, npt.NDArray[Any]]
    """The manifest's columns, one entry per patch, region-major; without slide_id."""
    regions: int
    tissue_in_regions: float
    """Share of the slide's tissue area that lies in kept regions, 0 to 1."""


def region_grid(tissue: TissueMask, slide: Box, plan: ReadPlan, cfg: TileConfig) -> Grid:
    """The regions of a slide that hold enough tissue, each with all its patches.

    One grid per slide without overlap, which starts where `anchor` says. Regions may stick out of
    the slide. A slide with tissue keeps at least its best region, so that a biopsy smaller than a
    region is one region and not a lost slide.

    Args:
        tissue: the mask.
        slide: the part of level 0 that has pixels.
        plan: how patches are read.
        cfg: region and patch side, least tissue, anchor.

    Returns:
        The grid; it has no regions where there is no tissue.

    Source: Chen et al., CVPR 2022 (regions of 4096 px, patches of 256 px, 20x).
    Differs: a region is kept by its tissue share; the paper's four-point test is CLAM's.
    """
    box = tissue.bounding_box()
    if box is None:
        nowhere, side = np.zeros((0, 2), np.int64), plan.patch_read_px
        return Grid(manifest_columns(nowhere, np.zeros(0), slide, side, cfg.grid), 0, 0.0)
    side = plan.patch_read_px * cfg.grid
    corners = _corners(slide if cfg.anchor == "slide" else _clipped(box, slide), tissue, plan, cfg)
    share = tissue.share(corners, side)  # (R,)
    enough = share >= least_tissue(cfg)
    if not enough.any():
        enough[np.argmax(share)] = share.max() > 0
    kept = corners[enough]
    inside = float(share[enough].sum()) * side * side / tissue.area_px
    patches = tissue.share(patch_corners(kept, plan.patch_read_px, cfg.grid), plan.patch_read_px)
    columns = manifest_columns(kept, patches, slide, plan.patch_read_px, cfg.grid)
    return Grid(columns, len(kept), min(1.0, inside))


def places(corners: npt.NDArray[np.number[Any]]) -> npt.NDArray[np.float32]:
    """(R, 2) places of regions of one grid, counted in its steps from the first column and row.

    Args:
        corners: (R, 2) x, y of top-left corners, pixels. The step is the least distance of two
            columns or rows, so that sparse regions may seem nearer than they are.
    """
    away = np.asarray(corners, np.float64) - np.min(corners, axis=0)
    steps = np.concatenate([np.diff(np.unique(axis)) for axis in away.T])
    return np.asarray(away / steps.min(initial=np.inf) if steps.size else away, np.float32)


def _clipped(box: Box, slide: Box) -> Box:
    """The part of a box that lies on the slide."""
    left, top = max(box[0], slide[0]), max(box[1], slide[1])
    right = min(box[0] + box[2], slide[0] + slide[2])
    bottom = min(box[1] + box[3], slide[1] + slide[3])
    return left, top, max(0.0, right - left), max(0.0, bottom - top)


def _corners(
    box: Box, tissue: TissueMask, plan: ReadPlan, cfg: TileConfig
) -> npt.NDArray[np.int64]:
    """(R, 2) top-left corners x, y of the regions that cover a box, row by row.

    They begin on a pixel of the level that is read; and so do all patches, which are whole pixels.
    """
    start = on_level(box[0], plan.downsample), on_level(box[1], plan.downsample)
    end = box[0] + box[2], box[1] + box[3]
    if cfg.anchor == "best":
        start = best_start(tissue, start, end, plan.patch_read_px, cfg)
    xs, ys = (
        np.arange(first, max(last, first + 1), plan.patch_read_px * cfg.grid, dtype=np.int64)
        for first, last in zip(start, end, strict=True)
    )
    grid_y, grid_x = np.meshgrid(ys, xs, indexing="ij")
    return np.stack([grid_x.ravel(), grid_y.ravel()], axis=1)


def patch_corners(corners: npt.NDArray[np.int64], side: int, grid: int) -> npt.NDArray[np.int64]:
    """(R*P, 2) corners of the patches of the regions at these (R, 2) corners, row by row in each.

    Args:
        corners: x, y of the regions, level-0 pixels.
        side: side of a patch, level-0 pixels.
        grid: patches along a region's side.
    """
    row, column = np.divmod(np.arange(grid**2), grid)
    offsets = np.stack([column, row], axis=1) * side  # (P, 2)
    return np.asarray((corners[:, None, :] + offsets[None]).reshape(-1, 2))


def manifest_columns(
    corners: npt.NDArray[np.int64],
    share: npt.NDArray[np.float64],
    slide: Box,
    side: int,
    grid: int,
) -> dict[str, npt.NDArray[Any]]:
    """The manifest's columns for regions at these (R, 2) corners.

    Args:
        corners: x, y of the regions, level-0 pixels.
        share: (R*P,) tissue share of each patch.
        slide: the part of level 0 that has pixels.
        side: side of a patch, level-0 pixels.
        grid: patches along a region's side.
    """
    count, patches = len(corners), grid**2
    xy = patch_corners(corners, side, grid)
    region_share = share.reshape(count, patches).mean(1) if count else np.zeros(0)
    return {
        "region": np.repeat(np.arange(count, dtype=np.int32), patches),
        "patch": np.tile(np.arange(patches, dtype=np.int16), count),
        "region_x": np.repeat(corners[:, 0], patches),
        "region_y": np.repeat(corners[:, 1], patches),
        "x": xy[:, 0],
        "y": xy[:, 1],
        "read_px": np.full(len(xy), side, np.int64),
        "tissue": share.astype(np.float32),
        "region_tissue": np.repeat(region_share, patches).astype(np.float32),
        "inside": _inside(xy, side, slide).astype(np.float32),
    }


def _inside(xy: npt.NDArray[np.int64], side: int, slide: Box) -> npt.NDArray[np.float64]:
    """Share of each square at these (N, 2) corners that lies on the slide."""
    low = np.array(slide[:2])
    high = low + slide[2:]
    overlap = np.clip(np.minimum(xy + side, high) - np.maximum(xy, low), 0, None)
    return np.asarray(overlap.prod(1) / side**2)
