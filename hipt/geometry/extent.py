"""How far tissue reaches on a thumbnail: its outline, and fat with its pale walls.

A blur finds tissue surely, but widens it by as much as it smooths. So the outline is drawn anew, on
the chroma (the spread of optical density over the colours) before that blur: where it falls to a
share of what the tissue around has. Then pale tissue is added: fat, of which only cell walls show.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from hipt.config.config import SegmentConfig
from hipt.geometry.masks import Mask, closed, opened, without_small

Chroma = npt.NDArray[np.float32]  # [h, w]

_PALE_SHARE = 0.1
"""Fat has at least this share of walls around."""
_JOINED_UM = 16.0
"""Fat and what it lies beside are joined across this."""
_BESIDE = 0.6
"""An area full of walls goes on for this share of a cell's gap."""
_BRIDGE_UM = 32.0
"""What joins fat and tissue is wider than twice this."""
_WALL_UM = 40.0
"""What is around a wall: standard deviation of its weights."""
_SPUR_UM = 12.0
"""What is thinner than twice this is a thread of debris."""


def is_stained(chroma: Chroma, mpp: float, cfg: SegmentConfig) -> Mask:
    """Where stain is, found surely and drawn roughly."""
    smooth = _blurred(chroma, cfg.smooth_um / mpp)
    return np.asarray(smooth > chroma_threshold(smooth, cfg.min_chroma_od, cfg))


def chroma_threshold(chroma: Chroma, least: float, cfg: SegmentConfig) -> float:
    """Where stain begins: above what glass shows by chance, within bounds.

    Glass is the peak of the histogram near zero, and its width is measured on the peak's lower
    side, which tissue does not reach. A slide without such a peak is nearly all tissue: the lower
    bound holds. A slide that is nearly empty has the peak alone.

    Args:
        chroma: of the slide, [h, w].
        least: the lower bound.
        cfg: the upper bound, and how many widths.
    """
    bins = np.histogram(chroma, bins=256, range=(0, cfg.max_chroma_od))[0]
    peak = int(bins.argmax())
    width = cfg.max_chroma_od / 256
    mode = (peak + 0.5) * width
    below = chroma[chroma <= mode]
    if mode >= least or not below.size:
        return least
    spread = 1.4826 * float(np.median(mode - below))
    return float(np.clip(mode + cfg.glass_sigmas * spread, least, cfg.max_chroma_od))


def tissue_extent(
    chroma: Chroma, stained: Mask, dark: Mask, mpp: float, cfg: SegmentConfig
) -> Mask:
    """The tissue, with its outline where its colour ends.

    Args:
        chroma: spread of optical density over the colours, [h, w].
        stained: where stain was found, [h, w].
        dark: tissue without colour, [h, w].
        mpp: um/px.
        cfg: the criteria.
    """
    fine = _blurred(chroma, cfg.edge_smooth_um / mpp)
    reach_px = cfg.edge_reach_um / mpp
    own = _wide(chroma**2, reach_px) / np.maximum(_wide(chroma, reach_px), 1e-6)
    above = fine > np.minimum(cfg.edge_share * own, cfg.max_edge_od)
    side = 2 * int(reach_px) + 1
    inner = cv2.erode(stained.view(np.uint8), np.ones((side, side), np.uint8)) > 0
    solid = inner | (stained & above) | dark
    tissue = closed(solid, cfg.close_um / mpp)
    walls = _walls(chroma, fine, stained, mpp, cfg) & ~solid
    tissue = _with_fat(tissue, solid, walls, mpp, cfg)
    tissue = opened(tissue, _SPUR_UM / mpp)
    tissue = _with_enough(tissue, stained | dark, cfg.min_tissue_mm2, mpp)
    return ~without_small(~tissue, cfg.min_hole_mm2, mpp)


def _walls(chroma: Chroma, fine: Chroma, stained: Mask, mpp: float, cfg: SegmentConfig) -> Mask:
    """Where something pale is: above what glass shows, or above its surroundings as a wall is."""
    around = _wide(chroma, _WALL_UM / mpp)
    relief = fine - around
    glass = relief[::4, ::4][~stained[::4, ::4]]
    noise = 1.4826 * float(np.median(np.abs(glass))) if glass.size else 0.0
    least = float(np.clip(cfg.glass_sigmas * noise, cfg.min_wall_od, 2 * cfg.min_wall_od))
    pale = fine > chroma_threshold(fine[::2, ::2], cfg.min_pale_od, cfg)
    own = _wide(chroma**2, _WALL_UM / mpp) / np.maximum(around, 1e-6)
    above = fine > np.minimum(cfg.edge_share * own, cfg.max_edge_od)
    return np.asarray(((relief > least) | pale) & above)


def _with_fat(tissue: Mask, solid: Mask, walls: Mask, mpp: float, cfg: SegmentConfig) -> Mask:
    """The tissue, and areas full of walls, with the cells between them."""
    dense = _wide(walls.astype(np.float32), cfg.edge_reach_um / mpp) > _PALE_SHARE
    side = 2 * round(_BESIDE * cfg.fat_cell_um / mpp) + 1
    dense = cv2.dilate(dense.view(np.uint8), np.ones((side, side), np.uint8)) > 0
    fat = closed((walls | solid) & dense, cfg.fat_cell_um / mpp) & dense & ~tissue
    if not fat.any():
        return tissue
    large = tissue | without_small(fat, cfg.min_fat_mm2, mpp)
    between = fat & closed(large, cfg.fat_cell_um / mpp)
    return tissue | opened(closed(large | between, _JOINED_UM / mpp), _BRIDGE_UM / mpp)


def _with_enough(tissue: Mask, stained: Mask, least_mm2: float, mpp: float) -> Mask:
    """The connected parts that hold enough stain."""
    count, labels = cv2.connectedComponents(tissue.view(np.uint8), connectivity=8)
    inside = np.bincount(labels[stained], minlength=count)
    enough = inside * mpp**2 / 1e6 >= least_mm2
    enough[0] = False
    return np.asarray(enough[labels])


def _blurred(image: Chroma, sigma_px: float) -> Chroma:
    """Smoothed by a Gaussian."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), max(sigma_px, 0.1)), np.float32)


def _wide(image: Chroma, sigma_px: float) -> Chroma:
    """Smoothed by a wide Gaussian, on a smaller picture for speed."""
    factor = max(1, int(sigma_px / 2))
    height, width = image.shape
    size = (max(1, width // factor), max(1, height // factor))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), max(sigma_px / factor, 0.1))
    return np.asarray(
        cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.float32
    )
