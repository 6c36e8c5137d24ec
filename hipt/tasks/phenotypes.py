"""Phenotypes: clusters of region vectors, found in the training part alone (DeepAttnMISL)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.cluster.vq import kmeans2, vq

MOST = 20_000
"""Regions that the clusters are found from."""

Vectors = npt.NDArray[np.floating[Any]]


def phenotype_centres(vectors: Vectors, count: int, seed: int) -> npt.NDArray[np.float64]:
    """(count, D) centres of clusters, fewer if there are fewer regions.

    Args:
        vectors: (N, D) regions of the training part.
        count: clusters wanted.
        seed: decides the draw and the start (k-means++).

    Source: Yao et al., Med. Image Anal. 2020.
    """
    rng = np.random.default_rng(seed)
    some = np.sort(rng.permutation(len(vectors))[:MOST])
    drawn = np.asarray(vectors, np.float64)[some]
    distinct = min(count, len(np.unique(drawn, axis=0)))
    centres, _ = kmeans2(drawn, distinct, minit="++", rng=rng)
    return np.asarray(centres, np.float64)


def phenotypes(vectors: Vectors, centres: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """(N,) the nearest centre of each vector."""
    return np.asarray(vq(np.asarray(vectors, np.float64), centres)[0], np.int64)
