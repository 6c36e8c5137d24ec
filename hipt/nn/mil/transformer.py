"""Transformer layers, post-norm as torch's own and pre-norm, that pass `torch.func.vmap`.

Legend: B bags, M instances, D width, H heads, F width of the feed-forward part.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hipt.nn.mil.pooling import masked_softmax

LAYER_SCALE = 0.1
"""What a pre-norm layer's branches are multiplied by at first; learned."""


class TransformerLayer(nn.Module):
    """Self-attention, a feed-forward part with ReLU, two norms; how they are joined is open.

    torch's own takes a nested-tensor path in evaluation that `vmap` refuses, and
    `F.scaled_dot_product_attention` has no batching rule on CPU: under `vmap` it is a loop.

    Source: Vaswani et al., NeurIPS 2017; weights start as torch's layer starts them.
    """

    def __init__(self, dim: int, heads: int, hidden: int, dropout: float) -> None:
        """Build the layer.

        Args:
            dim: D, a multiple of the heads.
            heads: H.
            hidden: F.
            dropout: share dropped in training of attention weights, hidden units and branches.

        Raises:
            ValueError: if the heads do not divide the width.
        """
        super().__init__()
        if dim % heads:
            raise ValueError(f"{heads} heads do not divide a width of {dim}")
        self.heads, self.dropout = heads, dropout
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.rise, self.fall = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        nn.init.xavier_uniform_(self.qkv.weight)
        nn.init.zeros_(self.qkv.bias)
        nn.init.zeros_(self.out.bias)

    def _attended(self, x: Tensor, mask: Tensor) -> Tensor:
        """Each instance's view of all: (B, M, D)."""
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, H, M, D/H)
            for part in self.qkv(x).chunk(3, dim=-1)
        )
        likeness = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5  # (B, H, M, M)
        weights = self._dropped(masked_softmax(likeness, mask[:, None, None, :]))
        out: Tensor = self.out((weights @ v).transpose(1, 2).flatten(2))
        return out

    def _fed_forward(self, x: Tensor) -> Tensor:
        """(B, M, D) -> (B, M, D), each instance by itself."""
        out: Tensor = self.fall(self._dropped(F.relu(self.rise(x))))
        return out

    def _dropped(self, x: Tensor) -> Tensor:
        """With dropout while training."""
        return F.dropout(x, self.dropout, self.training)


class PostNormLayer(TransformerLayer):
    """What `nn.TransformerEncoderLayer(norm_first=False)` computes."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, M, D) and (B, M) bool -> (B, M, D); no instance looks at padding."""
        x = self.norm1(x + self._dropped(self._attended(x, mask)))
        out: Tensor = self.norm2(x + self._dropped(self._fed_forward(x)))
        return out


class PreNormLayer(TransformerLayer):
    """What `nn.TransformerEncoderLayer(norm_first=True)` computes, its branches scaled.

    With small scales the layer starts close to the identity.

    Source: layer scale: Touvron et al., ICCV 2021.
    """

    def __init__(self, dim: int, heads: int, hidden: int, dropout: float) -> None:
        """Build the layer; arguments as for `TransformerLayer`."""
        super().__init__(dim, heads, hidden, dropout)
        self.scale1 = nn.Parameter(torch.full((dim,), LAYER_SCALE))
        self.scale2 = nn.Parameter(torch.full((dim,), LAYER_SCALE))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, M, D) and (B, M) bool -> (B, M, D); no instance looks at padding."""
        x = x + self.scale1 * self._dropped(self._attended(self.norm1(x), mask))
        out: Tensor = x + self.scale2 * self._dropped(self._fed_forward(self.norm2(x)))
        return out
