"""Regions without stage 2: a region's vector is the mean of its patches' vectors, by their tissue.

Glass says nothing of tissue, and regions at its edge are mostly glass: the mean of all patches
would tell regions apart by how much of them is empty, and biopsies from resections.

Legend: T patches of a region, C width of a patch's vector.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hipt.store.tables import PatchEmbeddings

IDENTITY = "mean"
"""In place of the identity of stage 2's weights."""

Floats = npt.NDArray[np.float32]


def tissue_shares(patches: PatchEmbeddings, region: int) -> Floats:
    """(T,) what each patch of a region counts; they sum to 1.

    A patch counts by the tissue that it shows, one that could not be read not at all. Where no
    patch counts, all count alike.
    """
    rows = patches.region(region)
    weights = rows["tissue"].to_numpy() * rows["readable"].to_numpy(zero_copy_only=False)
    total = weights.sum(dtype=np.float64)
    shares = weights / total if total else np.full(len(weights), 1 / len(weights))
    return np.asarray(shares, np.float32)


def region_mean(patches: PatchEmbeddings, region: int) -> Floats:
    """(C,) the vector of a region."""
    shares = tissue_shares(patches, region)[:, None]
    return np.asarray((shares * patches.grid(region)).sum(0, dtype=np.float64), np.float32)
