"""Where the grid of regions starts so that it covers a slide's tissue with the fewest regions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hipt.config.config import TileConfig
from hipt.geometry.tissue_mask import TissueMask

Place = tuple[int, int]
"""x, y in level-0 pixels."""

_MOST_LOSS_PPM = 10_000
"""Millionths of a slide's tissue that fewer regions may cost: a speck does not hold the grid."""


def least_tissue(cfg: TileConfig) -> float:
    """The tissue share from which a region is kept; above 0, whatever `min_tissue` is."""
    return max(cfg.min_tissue, float(np.finfo(float).tiny))


def best_start(
    tissue: TissueMask, start: Place, end: tuple[float, float], patch_px: int, cfg: TileConfig
) -> Place:
    """The start of the grid, moved back by whole patches, that is best of all for the tissue.

    Of the `grid` x `grid` starts up to a region less a patch further up and left, those count whose
    kept regions hold no less of the slide's tissue than those of `start`, or at most a hundredth of
    it less. The one with the fewest kept regions is best; then the one whose kept regions hold the
    most tissue, in millionths of it; then the one that moves least up, then left. So there are
    never more regions than from `start`.

    Args:
        tissue: the mask.
        start: corner of the area that is covered.
        end: its opposite corner, level-0 pixels; no region begins there or beyond.
        patch_px: side of a patch, level-0 pixels.
        cfg: patches per region, least tissue.
    """
    share = _share_by_start(tissue, start, end, patch_px, cfg.grid)  # [rows, g, columns, g]
    kept = share >= least_tissue(cfg)
    regions, held = kept.sum((0, 2)), (share * kept).sum((0, 2))  # [g, g]
    held = np.where(regions, held, share.max((0, 2)))  # where none is enough, the best is kept
    regions = np.maximum(regions, 1)
    ppm = np.rint(held.ravel() * ((patch_px * cfg.grid) ** 2 / tissue.area_px * 1e6)).astype(int)
    best = np.lexsort((-ppm, regions.ravel(), ppm < ppm[0] - _MOST_LOSS_PPM))[0]
    up, left = divmod(int(best), cfg.grid)
    return start[0] - left * patch_px, start[1] - up * patch_px


def _share_by_start(
    tissue: TissueMask, start: Place, end: tuple[float, float], patch_px: int, grid: int
) -> npt.NDArray[np.float64]:
    """[rows, grid, columns, grid] tissue share of each region, by the patches its grid is moved.

    Every square of a region's size on the lattice of patches belongs to one start of the grid:
    squares a region apart to the same one.
    """
    x, y = (
        np.arange(first - (grid - 1) * patch_px, max(last, first + 1), patch_px, dtype=np.int64)
        for first, last in zip(start, end, strict=True)
    )
    squares_y, squares_x = np.meshgrid(y, x, indexing="ij")
    corners = np.stack([squares_x.ravel(), squares_y.ravel()], axis=1)
    rows, columns = -(-len(y) // grid), -(-len(x) // grid)
    share = np.zeros((rows * grid, columns * grid))
    share[: len(y), : len(x)] = tissue.share(corners, patch_px * grid).reshape(len(y), len(x))
    return share.reshape(rows, grid, columns, grid)[:, ::-1, :, ::-1]
