"""Classes of squares on a picture whose grey values are classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

UNLABELLED = 0
"""The grey value that is no class."""


def square_classes(
    labels: npt.NDArray[Any],
    corners: npt.NDArray[np.float64],
    side: tuple[float, float],
    least_share: float,
) -> npt.NDArray[np.int64]:
    """(N,) class that fills enough of each square; 0 where none does, or the square lies outside.

    Args:
        labels: [h, w] the map.
        corners: (N, 2) x, y of the squares, pixels of the map.
        side: width and height of a square, pixels of the map; at least one pixel is looked at.
        least_share: of the square's pixels on the map that must be of one class; above 0.5.
    """
    low = np.round(corners).astype(np.int64)
    high = np.maximum(low + 1, np.round(corners + np.array(side)).astype(np.int64))
    low = np.maximum(low, 0)
    found = np.full(len(corners), UNLABELLED, np.int64)
    for i, ((x0, y0), (x1, y1)) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        square = labels[y0 : max(y1, 0), x0 : max(x1, 0)]
        if square.size:
            counts = np.bincount(square.ravel())
            if counts.max() >= least_share * square.size:
                found[i] = counts.argmax()
    return found
