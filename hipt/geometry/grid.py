"""The grid of regions and patches over a slide's tissue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hipt.config.config import TileConfig
from hipt.geometry.resolution import ReadPlan, on_level

Box = tuple[float, float, float, float]
"""x, y, width, height in level-0 pixels."""


@dataclass(frozen=True)
class TissueMask:
    """A tissue mask and the part of the slide that it covers."""

    mask: npt.NDArray[np.bool_]  # [h, w]
    scale_x: float
    """Level-0 pixels per pixel of the mask."""
    scale_y: float

    def bounding_box(self) -> Box | None:
        """The tissue's extent in level-0 pixels; None without tissue."""
        if not self.mask.any():
            return None
        ys, xs = np.flatnonzero(self.mask.any(1)), np.flatnonzero(self.mask.any(0))
        left, top = xs[0] * self.scale_x, ys[0] * self.scale_y
        right, bottom = (xs[-1] + 1) * self.scale_x, (ys[-1] + 1) * self.scale_y
        return left, top, right - left, bottom - top

    def cumulated(self) -> npt.NDArray[np.float64]:
        """[h+1, w+1] tissue area up to each pixel corner, in pixels of the mask."""
        area = np.zeros((self.mask.shape[0] + 1, self.mask.shape[1] + 1))
        np.cumsum(np.cumsum(self.mask, axis=0, dtype=np.float64), axis=1, out=area[1:, 1:])
        return area


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

    One grid per slide without overlap, from the corner of the tissue's bounding box (or of the
    slide). Regions may stick out at the right and bottom. A slide with tissue keeps at least its
    best region, so that a biopsy smaller than a region is one region and not a lost slide.

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
    corners = _corners(_clipped(box, slide) if cfg.anchor == "tissue" else slide, plan, cfg)
    side = plan.patch_read_px * cfg.grid
    share = _tissue_share(tissue, corners, side)  # (R,)
    enough = share >= max(cfg.min_tissue, np.finfo(float).tiny)
    if not enough.any():
        enough[np.argmax(share)] = share.max() > 0
    kept = corners[enough]
    area = float(tissue.mask.sum()) * tissue.scale_x * tissue.scale_y
    inside = float(share[enough].sum()) * side * side / area
    patches = _tissue_share(
        tissue, patch_corners(kept, plan.patch_read_px, cfg.grid), side // cfg.grid
    )
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


def _corners(box: Box, plan: ReadPlan, cfg: TileConfig) -> npt.NDArray[np.int64]:
    """(R, 2) top-left corners x, y of the regions that cover a box, row by row.

    They begin on a pixel of the level that is read; and so do all patches, which are whole pixels.
    """
    side = plan.patch_read_px * cfg.grid
    x0, y0 = (on_level(value, plan.downsample) for value in box[:2])
    xs = np.arange(x0, max(box[0] + box[2], x0 + 1), side, dtype=np.int64)
    ys = np.arange(y0, max(box[1] + box[3], y0 + 1), side, dtype=np.int64)
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


def _tissue_share(
    tissue: TissueMask, xy: npt.NDArray[np.int64], side: int
) -> npt.NDArray[np.float64]:
    """Share of each square at these (N, 2) corners that is tissue, by exact area."""
    area = tissue.cumulated()
    scale = np.array([tissue.scale_x, tissue.scale_y])
    low, high = xy / scale, (xy + side) / scale  # (N, 2) in pixels of the mask
    total = (
        _area_up_to(area, high[:, 0], high[:, 1])
        - _area_up_to(area, low[:, 0], high[:, 1])
        - _area_up_to(area, high[:, 0], low[:, 1])
        + _area_up_to(area, low[:, 0], low[:, 1])
    )
    return np.asarray(np.clip(total * scale.prod() / side**2, 0.0, 1.0))


def _area_up_to(
    area: npt.NDArray[np.float64], x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Tissue area left of x and above y; exact between corners, since it is bilinear there."""
    x, y = np.clip(x, 0, area.shape[1] - 1), np.clip(y, 0, area.shape[0] - 1)
    x0, y0 = (
        np.minimum(x.astype(int), area.shape[1] - 2),
        np.minimum(y.astype(int), area.shape[0] - 2),
    )
    fx, fy = x - x0, y - y0
    top = area[y0, x0] * (1 - fx) + area[y0, x0 + 1] * fx
    bottom = area[y0 + 1, x0] * (1 - fx) + area[y0 + 1, x0 + 1] * fx
    return np.asarray(top * (1 - fy) + bottom * fy)
