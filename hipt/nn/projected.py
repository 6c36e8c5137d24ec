"""A network whose vectors are projected once more: the image part of models of pictures and text.

Legend: B patches, W width of the network's vectors, D of those that it gives.
"""

from __future__ import annotations

from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn


class Projected(nn.Module):
    """Two layers after a network, and vectors of length 1.

    Source: KEEP's `modeling_keep.py`, whose names its parts have, as its file does.
    """

    def __init__(self, network: nn.Module, width: int, dim: int) -> None:
        """Wrap a network of vectors `width` wide, for vectors `dim` wide."""
        super().__init__()
        self.visual = network
        self.visual_head = nn.Sequential(nn.Linear(width, dim), nn.GELU(), nn.Linear(dim, dim))

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, 3, px, px) -> (B, D)."""
        vectors = cast(Tensor, self.visual(pictures))  # (B, W)
        return F.normalize(self.visual_head(vectors), dim=-1)
