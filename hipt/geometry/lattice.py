"""Where maps of a slide lie, and how their values are ranked.

Legend: N patches of a slide, R regions, T patches in a region, W windows, H heads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

NO_PATCH = -1
"""In a lattice: a place without a patch."""


def lattice(corners: Ints, side_px: int) -> Ints:
    """[rows, columns] number of the patch at each place of a slide's grid, or NO_PATCH.

    Args:
        corners: (N, 2) x, y of patches, level-0 pixels.
        side_px: their side, level-0 pixels.

    Raises:
        ValueError: if a patch lies between the places of one grid, or two share one.
    """
    away = corners - corners.min(0)
    if (away % side_px).any():
        raise ValueError("the patches do not lie on one grid")
    column, row = (away // side_px).T
    patch_at = np.full((row.max() + 1, column.max() + 1), NO_PATCH, np.int64)
    patch_at[row, column] = np.arange(len(corners))
    if (patch_at != NO_PATCH).sum() != len(corners):
        raise ValueError("two patches lie at the same place")
    return patch_at


def windows(places: Ints, grid: int, shift: int) -> Ints:
    """(W, T) patches of every full window, row by row, on a grid of windows that is shifted.

    A window is a region's square, moved: what ViT4096 sees of the slide if the grid of regions
    starts `shift` patches further right and down. Windows that lack a patch are left out.

    Args:
        places: [rows, columns] from `lattice`, whose corner is a region's.
        grid: patches along a window's side; T is its square.
        shift: patches, 0 to grid - 1.
    """
    rows, columns = ((side - shift) // grid for side in places.shape)
    if rows < 1 or columns < 1:
        return np.zeros((0, grid * grid), np.int64)
    inside = places[shift : shift + rows * grid, shift : shift + columns * grid]
    cut = inside.reshape(rows, grid, columns, grid).swapaxes(1, 2).reshape(-1, grid * grid)
    return np.asarray(cut[(cut != NO_PATCH).all(1)])


def percentiles(values: npt.NDArray[Any]) -> Floats:
    """Each value's rank among all, in (0, 1]; equal values share their mean rank.

    Source: the paper's maps rank attention so, per region; here per slide.
    """
    return np.asarray(rankdata(values) / max(1, len(values)), np.float64)


def on_lattice(places: Ints, values: npt.NDArray[Any]) -> Floats:
    """[rows, columns] a map of (N,) values, NaN where no patch is."""
    padded = np.append(np.asarray(values, np.float64), np.nan)
    return padded[places]


def at_pixels(
    values: Floats, shape: tuple[int, int], across: tuple[float, float], down: tuple[float, float]
) -> Floats:
    """[height, width] a map spread over a picture, NaN beside the map.

    Args:
        values: [rows, columns] the map.
        shape: height and width of the picture.
        across: where the map begins, and how wide a column is, pixels of the picture.
        down: likewise for rows.
    """
    padded = np.pad(values, 1, constant_values=np.nan)
    sides = zip(shape, (down, across), values.shape, strict=True)
    row, column = (
        np.clip(np.floor((np.arange(pixels) + 0.5 - start) / step), -1, places).astype(np.int64) + 1
        for pixels, (start, step), places in sides
    )
    return np.asarray(padded[np.ix_(row, column)])
