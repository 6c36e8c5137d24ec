"""DSMIL: each class' critical instance, and all instances by how they resemble it.

Legend: B bags, M instances, D width of an instance, Q width of a query, V of a value, K outputs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hipt.nn.mil.bags import Bags
from hipt.nn.mil.model import BagModel, Sizes
from hipt.nn.mil.pooling import masked_softmax

QUERY = 128


class Dsmil(BagModel):
    """The mean of two streams' logits.

    Source: Li et al., CVPR 2021; layers from HIPT's code (MILNet), which has no dropout and
    trains on the mean of both streams.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes)
        width, K = sizes.width or sizes.in_dim, sizes.outputs
        self.instance = nn.Linear(sizes.in_dim, K)
        self.query = nn.Linear(sizes.in_dim, QUERY)
        self.value = nn.Linear(sizes.in_dim, width)
        self.bag = nn.Linear(K * width, K)  # the convolution of the paper, whose kernel is a bag

    def answer(self, bags: Bags) -> tuple[Tensor, Tensor]:
        """Logits (B, K) and attention (B, M), the mean over classes."""
        x, there = bags.features, bags.mask.unsqueeze(1)  # (B, M, D), (B, 1, M)
        scores = self.instance(x).transpose(1, 2)  # (B, K, M)
        critical = scores.masked_fill(~there, -torch.inf).argmax(-1, keepdim=True)  # (B, K, 1)
        best = torch.take_along_dim(scores, critical, dim=2).squeeze(-1)  # (B, K)
        query = self.query(torch.take_along_dim(x, critical, dim=1))  # (B, K, Q)
        likeness = query @ self.query(x).transpose(1, 2) / QUERY**0.5  # (B, K, M)
        attention = masked_softmax(likeness, there)
        values = attention @ self.value(x)  # (B, K, V)
        return (self.bag(values.flatten(1)) + best) / 2, attention.mean(1)
