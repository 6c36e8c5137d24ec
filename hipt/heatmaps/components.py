"""What a slide's patch vectors tell apart, where there is neither stage 2 nor a task to look into.

Legend: N patches of a slide, C width of a patch's vector.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hipt.heatmaps.table import COMPONENTS

MOST = 10_000
"""Patches that the directions are found from, evenly over the slide's."""


def principal_components(vectors: Tensor, counts: Tensor) -> dict[str, npt.NDArray[np.float32]]:
    """The slide's patches along the first principal components of its vectors.

    Patches that the encoder sees alike have like values. Which end is which says nothing: the
    number of most weight in a direction is made positive, so that equal vectors give equal maps.

    Args:
        vectors: (N, C).
        counts: (N,) how much each patch counts: glass not at all.

    Returns:
        (N,) by name; 0 for patches that do not count.
    """
    counted = counts > 0
    step = 1 + int(counted.sum()) // MOST
    inside, weight = vectors[counted][::step].double(), counts[counted][::step].double()
    mean = (weight @ inside) / weight.sum()
    spread = (inside - mean) * weight.sqrt()[:, None]
    directions = torch.linalg.eigh(spread.T @ spread).eigenvectors.T.flip(0)[: len(COMPONENTS)]
    largest = directions.abs().argmax(1, keepdim=True)
    directions = directions * directions.gather(1, largest).sign()  # (K, C)
    maps = torch.zeros(len(vectors), len(COMPONENTS))
    along = vectors @ directions.T.float() - (directions @ mean).float()  # (N, K)
    maps[:, : len(directions)] = torch.where(counted[:, None], along, 0)
    return dict(zip(COMPONENTS, maps.numpy().T.copy(), strict=True))
