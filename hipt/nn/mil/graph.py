"""DeepGraphConv: three graph isomorphism layers over neighbouring regions, then attention.

Legend: B bags, M instances, D width of an instance or 2 of a position, W width, K outputs.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from hipt.nn.mil.bags import Bags
from hipt.nn.mil.model import BagModel, Sizes, dense
from hipt.nn.mil.pooling import GatedAttention

WIDTH = 256
NEIGHBOURS = 8


class GinLayer(nn.Module):
    """ReLU(MLP(own vector + sum of the neighbours')).

    Source: Xu et al., ICLR 2019, with epsilon 0.
    """

    def __init__(self, in_dim: int, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(in_dim, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        )

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        """(B, M, D) and (B, M, M) of 0 and 1 -> (B, M, W)."""
        out: Tensor = self.mlp(x + adjacency @ x)
        return out


class Dgcn(BagModel):
    """Graph layers along the slide's grid where positions are given, else among like vectors.

    Source: Li et al., MICCAI 2018; layers from HIPT's code (DeepGraphConv).
    Differs: edges go both ways, and all neighbours at the distance of the eighth count, so that
    no answer hangs on the order of instances.
    """

    placed: ClassVar[bool] = True

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes)
        width = sizes.width or WIDTH
        self.layers = nn.ModuleList(GinLayer(dim, width) for dim in (sizes.in_dim, width, width))
        self.pool = GatedAttention(width, width, sizes.dropout)
        self.rho = dense(width, width, sizes.dropout)
        self.classifier = nn.Linear(width, sizes.outputs)

    def answer(self, bags: Bags) -> tuple[Tensor, Tensor]:
        """Logits (B, K) and the weights of instances (B, M)."""
        x = bags.features
        points = x if bags.positions is None else bags.positions
        edges = nearest(points.to(x.dtype), bags.mask).to(x.dtype)
        for layer in self.layers:
            x = layer(x, edges)  # (B, M, W)
        pooled, attention = self.pool(x, bags.mask)  # (B, W), (B, M)
        return self.classifier(self.rho(pooled)), attention


@torch.no_grad()
def nearest(points: Tensor, mask: Tensor) -> Tensor:
    """Who is among whose eight nearest; ties with the eighth count.

    Args:
        points: (B, M, D).
        mask: (B, M) bool, True where an instance is.

    Returns:
        (B, M, M) bool, symmetric, False on the diagonal and on padding.
    """
    M = mask.shape[1]
    pairs = mask.unsqueeze(1) & mask.unsqueeze(2)
    pairs = pairs & ~torch.eye(M, dtype=torch.bool, device=mask.device)  # (B, M, M)
    exact = "donot_use_mm_for_euclid_dist"  # what is equally far has to come out equal
    far = torch.cdist(points, points, compute_mode=exact).masked_fill(~pairs, torch.inf)
    limit = far.topk(min(NEIGHBOURS, M), dim=-1, largest=False).values[..., -1:]  # (B, M, 1)
    near = (far <= limit) & pairs
    return near | near.transpose(1, 2)
