"""CLAM, single branch: attention whose extremes also have to be told apart instance by instance.

Legend: B bags, M instances, D width of an instance, W width, S sampled at each end, K outputs.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from hipt.nn.mil.bags import Bags
from hipt.nn.mil.model import Output, Sizes, xavier
from hipt.nn.mil.pooling import uniform
from hipt.nn.mil.single import Abmil

GATE = 256
SAMPLES = 8
"""How many instances of most attention, and of least, the instance loss takes."""


class ClamSb(Abmil):
    """Gated attention with instance clustering.

    The instances of most attention shall be called positive by the classifier of the bag's
    label, those of least negative. The other labels' classifiers are left alone, which is
    CLAM's `subtyping` off.

    Source: Lu et al., Nature Biomedical Engineering 2021; layers from HIPT's code (CLAM_SB).
    Differs: a bag with fewer than 8 instances takes all of them at both ends; CLAM stops there.
    """

    bag_weight: ClassVar[float] = 0.7

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes, GATE, sizes.dropout)
        width = sizes.width or sizes.in_dim
        self.instances = nn.ModuleList(nn.Linear(width, 2) for _ in range(sizes.outputs))
        xavier(self)

    def forward(self, bags: Bags, labels: Tensor | None = None) -> Output:
        """Answer for bags.

        Args:
            bags: B of them.
            labels: (B,) long, which the instance loss needs; without them it is 0.

        Returns:
            The loss is 0.3 of the instance loss, the mean over bags.
        """
        self.check(bags)
        x = self.embed(bags.features)  # (B, M, W)
        pooled, attention = self.pool(x, bags.mask)
        loss = x.new_zeros(())
        if labels is not None:
            each = self._instance_loss(x, attention, bags.mask, labels)  # (B,)
            loss = (1 - self.bag_weight) * (uniform(bags.mask.any(1), x.dtype) * each).sum()
        return Output(self.classifier(pooled), attention, loss)

    def _instance_loss(self, x: Tensor, attention: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
        """The mean over both ends of each bag: (B,)."""
        most, is_most = _extreme(x, attention, mask)  # (B, S, W), (B, S)
        least, is_least = _extreme(x, -attention, mask)
        ends = torch.cat([most, least], dim=1)  # (B, 2S, W)
        scores = torch.stack([judge(ends) for judge in self.instances], dim=1)  # (B, K, 2S, 2)
        own = torch.take_along_dim(scores, labels[:, None, None, None], dim=1)[:, 0]  # (B, 2S, 2)
        target = torch.cat([torch.ones_like(is_most), torch.zeros_like(is_least)], dim=1).long()
        losses = smooth_svm(own, target)  # (B, 2S)
        there = torch.cat([is_most, is_least], dim=1)
        return (uniform(there, x.dtype) * losses).sum(-1)


def smooth_svm(scores: Tensor, labels: Tensor, temperature: float = 1.0) -> Tensor:
    """The smooth top-1 SVM loss with a margin of 1.

    t log sum_j exp((s_j + [j != y]) / t) - s_y: the hinge loss with its maximum made smooth.

    Args:
        scores: (..., C).
        labels: (...) long, y.
        temperature: t, above 0.

    Returns:
        (...).

    Source: Berrada et al., ICLR 2018, k = 1.
    """
    right = torch.arange(scores.shape[-1], device=scores.device) == labels.unsqueeze(-1)
    rivals = ((scores + ~right) / temperature).logsumexp(-1)
    return temperature * rivals - (scores * right).sum(-1)


def _extreme(x: Tensor, keys: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The S instances of the largest keys, and which of them are there: (B, S, W), (B, S)."""
    ranked = keys.masked_fill(~mask, -torch.inf).topk(min(SAMPLES, mask.shape[1]), dim=1)
    return torch.take_along_dim(x, ranked.indices.unsqueeze(-1), dim=1), ranked.values.isfinite()
