"""Tissue against glass on a thumbnail: classical, and each criterion explainable.

Everything happens in optical density (Beer-Lambert) relative to the slide's own glass. Stain
absorbs one colour more than another; dust, bubbles, cover-slip edges and scanner borders absorb all
alike. So what separates is the density's spread over the channels, its *chroma*.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import shapely

from hipt.config.config import SegmentConfig
from hipt.geometry.channels import channels, extremes
from hipt.geometry.extent import is_stained, tissue_extent
from hipt.geometry.ink import find_ink
from hipt.geometry.masks import Mask, grown

RGB = npt.NDArray[np.uint8]  # [h, w, 3]
Density = npt.NDArray[np.float32]  # [h, w, 3]

_GLASS = ((200, 50, 0.5), (200, 15, 0.0))
"""Least value, largest spread of the channels, and least share of one colour: tinted, plain."""
_GLASS_SHARE = 0.001
_GLASS_NOISE = 6
_GLASS_SAMPLE = 1_500_000  # values: of larger thumbnails every second row, every third, ...
_GLASS_DEFAULT = 245.0


@dataclass(frozen=True)
class Tissue:
    """What is on a slide."""

    mask: Mask
    ink_fraction: float
    """Share of what is stained that was taken as ink."""


def find_tissue(rgb: RGB, mpp: float, cfg: SegmentConfig) -> Tissue:
    """The tissue on a thumbnail.

    Args:
        rgb: the whole slide, uint8 [h, w, 3].
        mpp: its resolution, um/px.
        cfg: the criteria.
    """
    density = optical_density(rgb, glass_colour(rgb))
    lowest, highest = extremes(density)
    chroma = np.asarray(highest - lowest, np.float32)
    stained = is_stained(chroma, mpp, cfg)
    ink = find_ink(density, stained, mpp, cfg)
    pen = grown(ink.pen, cfg.ink_margin_um / mpp)
    if pen.any():
        chroma[pen] = 0
        stained = is_stained(chroma, mpp, cfg) & ~pen
    tissue = tissue_extent(chroma, stained, ink.dark & ~pen, mpp, cfg) & ~pen
    return Tissue(tissue, float(ink.pen.sum() / max(1, (ink.pen | tissue).sum())))


def glass_colour(rgb: RGB) -> npt.NDArray[np.float64]:
    """The colour of empty glass: the most frequent bright and nearly colourless one, (3,).

    Tinted glass (a yellowish lamp, a bluish slide) counts where it is one flat colour, as tissue
    never is. A slide without either is all tissue: then a usual glass is taken.
    """
    step = 1 + rgb.size // _GLASS_SAMPLE
    rgb = np.ascontiguousarray(rgb[::step])
    *apart, low, high = channels(rgb)
    for least, spread, flat in _GLASS:
        bright = (low >= least) & (high - low <= spread)
        if bright.sum() < _GLASS_SHARE * low.size:
            continue
        colours = [channel[bright] for channel in apart]  # (N,) each
        mode = [int(np.bincount(values, minlength=256).argmax()) for values in colours]
        away = [np.abs(v.astype(np.int16) - m) for v, m in zip(colours, mode, strict=True)]
        if (np.maximum.reduce(away) <= _GLASS_NOISE).mean() >= flat:
            return np.array(mode, float)
    return np.full(3, _GLASS_DEFAULT)


def optical_density(rgb: RGB, glass: npt.NDArray[np.float64]) -> Density:
    """-log10 of the light that comes through, relative to glass; at least 0, [h, w, 3]."""
    values = (np.arange(256)[:, None] + 1.0) / (glass + 1.0)  # (256, 3)
    table = np.clip(-np.log10(values), 0, None).astype(np.float32)
    return np.asarray(cv2.LUT(rgb, table.reshape(256, 1, 3)))


def contours(mask: Mask) -> shapely.MultiPolygon:
    """The mask as polygons with holes, in pixels of the mask, along pixel edges.

    Their area is exactly the mask's number of pixels; parts that touch at a corner are two.
    """
    ends = np.concatenate([_edges(mask), _edges(mask.T)[..., ::-1]]).astype(float)
    lines = np.asarray(shapely.linestrings(ends))
    faces = shapely.get_parts(shapely.polygonize(lines))
    x, y = shapely.get_coordinates(shapely.point_on_surface(faces)).astype(int).T
    return shapely.MultiPolygon(faces[mask[y, x]])


def _edges(mask: Mask) -> npt.NDArray[np.int64]:
    """(N, 2, 2) x, y of both ends of the lines between rows that have tissue on one side.

    A line ends where it turns, and where tissue goes over to its other side.
    """
    side = np.diff(np.pad(mask, 1).astype(np.int8), axis=0)  # [h+1, w+2], nothing at both ends
    before, after = side[:, :-1], side[:, 1:]  # of each corner of a pixel
    change = before != after
    rows, starts = np.nonzero(change & (after != 0))
    ends = np.nonzero(change & (before != 0))[1]
    return np.stack([starts, rows, ends, rows], axis=1).reshape(-1, 2, 2)


def tissue_mm2(mask: Mask, mpp: float) -> float:
    """Area of the mask."""
    return float(mask.sum()) * mpp**2 / 1e6
