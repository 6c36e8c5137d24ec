"""Classes of squares on a picture whose grey values are classes, and how they are arranged."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.signedinteger[Any]]

UNLABELLED = 0
"""The grey value that is no class."""


def class_counts(
    labels: npt.NDArray[Any], corners: npt.NDArray[np.float64], side: tuple[float, float]
) -> Counts:
    """(N, 256) pixels of each grey value in each square; what lies off the map has none.

    Args:
        labels: [h, w] the map.
        corners: (N, 2) x, y of the squares, pixels of the map.
        side: width and height of a square, pixels of the map; at least one pixel is looked at.
    """
    low = np.round(corners).astype(np.int64)
    high = np.maximum(low + 1, np.round(corners + np.array(side)).astype(np.int64))
    counts = np.zeros((len(corners), 256), np.int32)
    low, high = np.maximum(low, 0), np.maximum(high, 0)
    for i, ((x0, y0), (x1, y1)) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        counts[i] = np.bincount(labels[y0:y1, x0:x1].ravel(), minlength=256)
    return counts


def main_classes(counts: Counts, least_share: float) -> npt.NDArray[np.int64]:
    """(N,) class that fills enough of each square; 0 where none does, or the square lies outside.

    Args:
        counts: (N, 256) from `class_counts`.
        least_share: of the square's pixels on the map that must be of one class; above 0.5.
    """
    filled = counts.max(1) >= least_share * np.maximum(counts.sum(1), 1)
    return np.where(filled, counts.argmax(1), UNLABELLED)


def segregation(counts: Counts) -> npt.NDArray[np.float64]:
    """(R,) how far the classes of a region keep to places of their own, nats.

    The mutual information of place and class. A mixture of classes may have any value from 0 (every
    place holds the region's mixture) to the mixture's entropy (every place holds one class).

    Args:
        counts: [R, T, K] pixels of each class in each of a region's places.

    Source: Theil and Finizza, J. Math. Sociol. 1971 (the mutual information index).
    """
    whole = counts.sum(1)  # (R, K)
    size = counts.sum(2)  # (R, T)
    inside = (size * _entropy(counts)).sum(1) / np.maximum(size.sum(1), 1)
    return np.asarray(_entropy(whole) - inside, np.float64)


def _entropy(counts: Counts) -> npt.NDArray[np.float64]:
    """(...) entropy of the last axis' shares, nats; 0 where nothing is counted."""
    shares = counts / np.maximum(counts.sum(-1, keepdims=True), 1)
    return np.asarray(-(shares * np.log(np.where(shares > 0, shares, 1))).sum(-1), np.float64)
