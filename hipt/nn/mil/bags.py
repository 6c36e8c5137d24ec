"""Bags: the regions of slides or cases, padded to one length so that they pass together.

Legend: B bags, M instances (regions) of the longest bag, D width of a region's vector; or, where
regions come as grids, T patches per region, row by row, and C width of a patch's vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


@dataclass(frozen=True, eq=False)
class Bags:
    """A batch of bags; what lies under False in `mask` changes no answer, if finite.

    Attributes:
        features: (B, M, D) region vectors, or (B, M, T, C) grids of patch vectors.
        mask: (B, M) bool, True where an instance is.
        positions: (B, M, 2) rows and columns in units of a region's side. Slides of one case
            have to be set apart, or their regions count as neighbours.
        clusters: (B, M) long, the phenotype of each instance, from 0 on.
    """

    features: Tensor
    mask: Tensor
    positions: Tensor | None = None
    clusters: Tensor | None = None

    def __post_init__(self) -> None:
        """Refuse shapes that do not fit each other."""
        if self.features.ndim not in (3, 4):
            raise ValueError(f"features have to be (B, M, D) or (B, M, T, C): {_of(self.features)}")
        size = self.features.shape[:2]
        if self.mask.shape != size or self.mask.dtype != torch.bool:
            raise ValueError(f"the mask has to be bool {tuple(size)}: {_of(self.mask)}")
        if self.positions is not None and self.positions.shape != (*size, 2):
            raise ValueError(f"positions have to be {(*size, 2)}: {_of(self.positions)}")
        if self.clusters is not None and self.clusters.shape != size:
            raise ValueError(f"clusters have to be {tuple(size)}: {_of(self.clusters)}")

    def to(self, device: torch.device | str) -> Bags:
        """The same bags on another device."""
        return Bags(
            self.features.to(device),
            self.mask.to(device),
            None if self.positions is None else self.positions.to(device),
            None if self.clusters is None else self.clusters.to(device),
        )


def pad(
    features: Sequence[Tensor],
    positions: Sequence[Tensor] | None = None,
    clusters: Sequence[Tensor] | None = None,
) -> Bags:
    """Bags of different lengths as one batch, filled up with zeros.

    Args:
        features: per bag (m, D) or (m, T, C).
        positions: per bag (m, 2), or None.
        clusters: per bag (m,), or None.

    Returns:
        B bags of M = max m instances.

    Raises:
        ValueError: if there is no bag, or a bag's parts differ in length.
    """
    if not features:
        raise ValueError("there is no bag to pad")
    lengths = [len(bag) for bag in features]
    for name, parts in (("positions", positions), ("clusters", clusters)):
        if parts is not None and [len(part) for part in parts] != lengths:
            raise ValueError(f"{name} and features differ in length")
    places = torch.arange(max(lengths), device=features[0].device)
    mask = places < torch.tensor(lengths, device=places.device)[:, None]  # (B, M)
    return Bags(
        pad_sequence(list(features), batch_first=True),
        mask,
        None if positions is None else pad_sequence(list(positions), batch_first=True),
        None if clusters is None else pad_sequence(list(clusters), batch_first=True),
    )


def _of(tensor: Tensor) -> str:
    """A tensor's type and shape, for a message."""
    return f"got {tensor.dtype} {tuple(tensor.shape)}"
