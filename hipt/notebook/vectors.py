"""Vectors of slides as tensors.

Legend: R regions of a slide, T patches in a region, N = R·T patches, C and D widths of a patch's
and a region's vector.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from hipt.store.tables import PatchEmbeddings, matrix, read_region_embeddings

Level = Literal["regions", "patches"]

STEP_OF: dict[Level, str] = {"regions": "embed_regions", "patches": "embed_patches"}
"""The step that makes the vectors of a level."""


def region_vectors(path: Path) -> Tensor:
    """(R, D) float32 vectors in a slide's file of embed_regions.

    Raises:
        HiptError: if it is absent or damaged.
    """
    return torch.from_numpy(np.array(matrix(read_region_embeddings(path)["embedding"])))


def patch_vectors(path: Path) -> Tensor:
    """(N, C) float16 vectors in a slide's file of embed_patches, region by region.

    Raises:
        HiptError: if it is absent or damaged.
    """
    shard = PatchEmbeddings(path)
    grids = [shard.grid(i) for i in range(len(shard))]  # (T, C) each
    empty = np.empty((0, shard.dim), np.float16)
    return torch.from_numpy(np.concatenate([empty, *grids]))


class Bags(Dataset[tuple[str, Tensor]]):
    """The vectors of many slides, one slide at a time: memory holds what is kept of it.

    A map-style dataset of torch, so that `DataLoader(bags, batch_size=None, num_workers=4)` reads
    ahead; bags have different lengths.
    """

    def __init__(self, level: Level, paths: Mapping[str, Path]) -> None:
        """The files of slides, by their ids; none is opened yet."""
        self.level = level
        self.slides = list(paths)
        self._paths = list(paths.values())

    def __len__(self) -> int:
        """How many slides."""
        return len(self.slides)

    def __getitem__(self, index: int) -> tuple[str, Tensor]:
        """The slide_id, and its (R, D) float32 or (N, C) float16 vectors.

        Raises:
            IndexError: beyond the last slide.
            HiptError: if its file is absent or damaged.
        """
        read = region_vectors if self.level == "regions" else patch_vectors
        return self.slides[index], read(self._paths[index])

    def __iter__(self) -> Iterator[tuple[str, Tensor]]:
        """Every slide once, in the order of the slide table."""
        return (self[index] for index in range(len(self)))
