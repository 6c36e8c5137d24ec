"""Models that look at each instance on its own: the mean, the best one, gated attention.

Legend: B bags, M instances, D width of an instance, W width, K outputs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hipt.nn.mil.bags import Bags
from hipt.nn.mil.model import BagModel, Sizes, dense, xavier
from hipt.nn.mil.pooling import GatedAttention, uniform, weighted

GATE = 128
"""Width of the attention of Ilse et al.'s published code."""


class Mean(BagModel):
    """The mean of embedded instances, then a linear layer."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes)
        width = sizes.width or sizes.in_dim
        self.embed = dense(sizes.in_dim, width, sizes.dropout)
        self.classifier = nn.Linear(width, sizes.outputs)

    def answer(self, bags: Bags) -> tuple[Tensor, Tensor]:
        """Logits (B, K) and equal weights (B, M)."""
        attention = uniform(bags.mask, bags.features.dtype)
        pooled = weighted(attention, self.embed(bags.features))  # (B, W)
        return self.classifier(pooled), attention


class Max(BagModel):
    """The logits of the one instance that is surest.

    Surest: with two classes of the second; with more of any class.

    Source: Chen et al., CVPR 2022, its MIL baseline; layers from its code (MIL_fc, MIL_fc_mc).
    Differs: compares log-odds instead of probabilities, which have the same order but, near 1,
    all round to 1.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes)
        width = sizes.width or sizes.in_dim
        self.embed = dense(sizes.in_dim, width, sizes.dropout)
        self.classifier = nn.Linear(width, sizes.outputs)
        xavier(self)

    def answer(self, bags: Bags) -> tuple[Tensor, Tensor]:
        """Logits (B, K) and 1 for the chosen instance (B, M)."""
        logits = self.classifier(self.embed(bags.features))  # (B, M, K)
        chosen = sureness(logits).masked_fill(~bags.mask, -torch.inf).argmax(-1, keepdim=True)
        places = torch.arange(bags.mask.shape[1], device=chosen.device)
        attention = ((places == chosen) & bags.mask).to(logits.dtype)  # (B, M)
        return weighted(attention, logits), attention


class Abmil(BagModel):
    """Gated attention over embedded instances.

    Source: Ilse et al., ICML 2018, gated attention; one ReLU layer embeds the instances.
    """

    def __init__(self, sizes: Sizes, gate: int = GATE, gate_dropout: float = 0.0) -> None:
        """Build the model.

        Args:
            sizes: as for each model.
            gate: width of the attention.
            gate_dropout: share of the gate's units dropped in training; Ilse et al. have none.
        """
        super().__init__(sizes)
        width = sizes.width or sizes.in_dim
        self.embed = dense(sizes.in_dim, width, sizes.dropout)
        self.pool = GatedAttention(width, gate, gate_dropout)
        self.classifier = nn.Linear(width, sizes.outputs)

    def answer(self, bags: Bags) -> tuple[Tensor, Tensor]:
        """Logits (B, K) and the weights of instances (B, M)."""
        pooled, attention = self.pool(self.embed(bags.features), bags.mask)  # (B, W), (B, M)
        return self.classifier(pooled), attention


def sureness(logits: Tensor) -> Tensor:
    """Log-odds of the second of two classes, or of the likeliest of more: (..., K) -> (...)."""
    K = logits.shape[-1]
    if K == 1:
        return logits[..., 0]
    if K == 2:
        return logits[..., 1] - logits[..., 0]
    ranked = logits.topk(K, dim=-1).values
    return ranked[..., 0] - ranked[..., 1:].logsumexp(-1)
