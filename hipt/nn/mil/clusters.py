"""DeepAttnMISL: phenotypes, each embedded by layers of its own, and attention over them.

Legend: B bags, M instances, P phenotypes, D width of an instance, W width, K outputs.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hipt.nn.mil.bags import Bags
from hipt.nn.mil.model import BagModel, Sizes, dense
from hipt.nn.mil.pooling import GatedAttention, uniform

CLUSTERS = 10
"""P: clusters in `Bags.clusters` are 0 to 9."""

GATE = 256


class DeepAttnMisl(BagModel):
    """Attention over the mean vectors of phenotype clusters.

    Source: Yao et al., Medical Image Analysis 2020; layers from HIPT's code (MIL_Cluster_FC).
    Differs: a phenotype that a bag lacks gets no attention, as in Yao et al.'s code; HIPT's lets
    it take part as a vector of zeros.
    """

    clustered: ClassVar[bool] = True

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes)
        width, dropout = sizes.width or sizes.in_dim, sizes.dropout
        self.phis = nn.ModuleList(
            nn.Sequential(dense(sizes.in_dim, width, dropout), dense(width, width, dropout))
            for _ in range(CLUSTERS)
        )
        self.phi = dense(width, width, dropout)
        self.pool = GatedAttention(width, GATE, dropout)
        self.rho = dense(width, GATE, dropout)
        self.classifier = nn.Linear(GATE, sizes.outputs)

    def answer(self, bags: Bags) -> tuple[Tensor, Tensor]:
        """Logits (B, K) and each phenotype's weight, shared out among its instances (B, M)."""
        assert bags.clusters is not None  # `check` has seen to it
        members = F.one_hot(bags.clusters, CLUSTERS).bool() & bags.mask.unsqueeze(-1)  # (B, M, P)
        members = members.transpose(1, 2)  # (B, P, M)
        share = uniform(members, bags.features.dtype)
        means = torch.stack(
            [(share[:, i : i + 1] @ phi(bags.features))[:, 0] for i, phi in enumerate(self.phis)],
            dim=1,
        )  # (B, P, W)
        pooled, weights = self.pool(self.phi(means), members.any(-1))  # (B, W), (B, P)
        attention = (weights.unsqueeze(1) @ share).squeeze(1)
        return self.classifier(self.rho(pooled)), attention
