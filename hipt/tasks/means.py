"""One vector for each slide or case of a task: the mean over its regions, or over its patches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hipt.errors import HiptError
from hipt.layout import Results
from hipt.store.tables import PatchEmbeddings, matrix
from hipt.tasks.features import Features, bag
from hipt.tasks.units import Units

Means = npt.NDArray[np.float64]  # [N, D]


def region_means(units: Units, features: Features) -> Means:
    """[N, D] plain mean over all regions of each unit; a case's slides count by their regions.

    Raises:
        HiptError: if a slide's regions cannot be read.
    """
    bags = (bag(features, slides).vectors for slides in units.slides)
    return np.stack([vectors.mean(0, dtype=np.float64) for vectors in bags])


def patch_means(units: Units, results: Results) -> Means:
    """[N, D] plain mean over all readable patches of each unit, background among them.

    Where background was sampled, the samples' mean counts for each patch that it stands for.

    Raises:
        HiptError: if a slide's patches cannot be read, or a unit has none that is readable.
    """
    return np.stack([_patch_mean(slides, results) for slides in units.slides])


def _patch_mean(slides: Sequence[str], results: Results) -> Means:
    """(D,) mean over the readable patches of some slides, region by region."""
    total, patches = np.zeros(1), 0
    for slide_id in slides:
        shard = PatchEmbeddings(results.shard("embed_patches", slide_id))
        for index in range(len(shard)):
            region = shard.region(index)
            readable = np.asarray(region.column("readable"), bool)
            vectors = matrix(region.column("embedding"))[readable]  # (patches, D)
            total = total + vectors.sum(0, dtype=np.float64)
            patches += len(vectors)
    if not patches:
        raise HiptError(
            f"{results.shard('embed_patches', slides[0])}: no patch could be read; exclude the "
            "slide in the sheet"
        )
    return total / patches
