"""HIPT without transformers: gated attention over a region's patches, then over the regions.

Legend: B bags, M regions, T patches per region, C width of a patch's vector, W width, K outputs.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from hipt.nn.mil.bags import Bags
from hipt.nn.mil.model import BagModel, Sizes, dense
from hipt.nn.mil.pooling import GatedAttention

WIDTH = 256


class TwoLevel(BagModel):
    """The ablation `hipt_n`.

    Source: Chen et al., CVPR 2022; layers from its code (HIPT_None_FC).
    """

    grids: ClassVar[bool] = True

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes)
        width, dropout = sizes.width or WIDTH, sizes.dropout
        self.local_phi = dense(sizes.in_dim, width, dropout)
        self.local_pool = GatedAttention(width, width, dropout)
        self.phi = dense(width, width, dropout)
        self.pool = GatedAttention(width, width, dropout)
        self.rho = dense(width, width, dropout)
        self.classifier = nn.Linear(width, sizes.outputs)

    def answer(self, bags: Bags) -> tuple[Tensor, Tensor]:
        """Logits (B, K) and the weights of regions (B, M)."""
        patches = self.local_phi(bags.features)  # (B, M, T, W)
        every = torch.ones_like(patches[..., 0], dtype=torch.bool)  # (B, M, T)
        regions, _ = self.local_pool(patches, every)  # (B, M, W)
        pooled, attention = self.pool(self.phi(regions), bags.mask)  # (B, W), (B, M)
        return self.classifier(self.rho(pooled)), attention
