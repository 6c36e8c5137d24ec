"""Many vectors to one: means and gated attention that see no padding.

Legend: ... any leading dimensions, M instances, D width, A width of the gate.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Weights of instances; all are 0 where there is none.

    Args:
        scores: (..., M).
        mask: (..., M) bool, True where an instance is.

    Returns:
        (..., M), sums to 1 over the instances, 0 elsewhere.
    """
    lowest = torch.finfo(scores.dtype).min
    return scores.masked_fill(~mask, lowest).softmax(-1) * mask


def uniform(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """The same weight for each instance: (..., M) bool -> (..., M) of that dtype."""
    there = mask.to(dtype)
    return there / there.sum(-1, keepdim=True).clamp(min=1)


def weighted(weights: Tensor, vectors: Tensor) -> Tensor:
    """Weighted sums: (..., M) and (..., M, D) -> (..., D)."""
    return (weights.unsqueeze(-2) @ vectors).squeeze(-2)


class GatedAttention(nn.Module):
    """A weighted mean, its weights from softmax(w . (tanh(V h) * sigmoid(U h))).

    The bias of the last layer moves all scores alike and so changes nothing; the published
    models have it, and their number of parameters counts it.

    Source: Ilse et al., ICML 2018, gated attention. Biases and dropout as HIPT's code has them.
    """

    def __init__(self, dim: int, hidden: int, dropout: float) -> None:
        """Build the layers.

        Args:
            dim: D.
            hidden: A.
            dropout: share of the gate's units dropped in training.
        """
        super().__init__()
        self.content = nn.Sequential(nn.Linear(dim, hidden), nn.Tanh(), nn.Dropout(dropout))
        self.gate = nn.Sequential(nn.Linear(dim, hidden), nn.Sigmoid(), nn.Dropout(dropout))
        self.score = nn.Linear(hidden, 1)

    def forward(self, vectors: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Pool.

        Args:
            vectors: (..., M, D).
            mask: (..., M) bool, True where an instance is.

        Returns:
            (..., D) pooled vectors and (..., M) weights.
        """
        gated = self.content(vectors) * self.gate(vectors)  # (..., M, A)
        weights = masked_softmax(self.score(gated).squeeze(-1), mask)
        return weighted(weights, vectors), weights
