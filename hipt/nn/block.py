"""The transformer block of both levels: attention, then an MLP, each normed before and added.

Legend: B images or regions, T tokens with CLS, D width, H heads. Names of parameters are those of
the released checkpoints.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NORM: Any = partial(nn.LayerNorm, eps=1e-6)
"""LayerNorm with DINO's epsilon."""

MLP_RATIO = 4
"""Width of the MLP's hidden layer, in widths of a token."""


class Attention(nn.Module):
    """Every token looks at every token."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.num_heads, self.scale = heads, (dim // heads) ** -0.5
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        qkv = self.qkv(x).unflatten(-1, (3, self.num_heads, -1))  # (B, T, 3, H, D/H)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # (B, H, T, D/H) each
        if query.requires_grad and query.dtype == torch.bfloat16 and query.device.type == "cpu":
            # the fused kernel's gradient goes head by head there, and takes 3 to 9 times as long
            mixed = (query * self.scale @ key.mT).softmax(-1) @ value
        else:
            mixed = F.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.proj(mixed.transpose(1, 2).flatten(-2))
        return out


class MLP(nn.Module):
    """Token by token."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, MLP_RATIO * dim)
        self.fc2 = nn.Linear(MLP_RATIO * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class DropPath(nn.Module):
    """In training, leaves out what a branch would add, image by image, and scales up the rest.

    Source: Huang et al., ECCV 2016 (stochastic depth).
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """(B, ...) -> (B, ...)."""
        if self.rate == 0 or not self.training:
            return x
        keep = 1 - self.rate
        kept = x.new_empty((len(x),) + (1,) * (x.ndim - 1)).bernoulli_(keep)
        return x * (kept / keep)


class Block(nn.Module):
    """One of a transformer's blocks.

    Source: Dosovitskiy et al., ICLR 2021, equations 2 and 3.
    """

    def __init__(self, dim: int, heads: int, drop_path: float) -> None:
        """Build it, with torch's default parameters.

        Args:
            dim: D.
            heads: H; they share the width.
            drop_path: share of images for which a branch is left out in training.
        """
        super().__init__()
        self.norm1, self.attn = NORM(dim), Attention(dim, heads)
        self.norm2, self.mlp = NORM(dim), MLP(dim)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        x = x + self.drop_path(self.attn(self.norm1(x)))
        out: Tensor = x + self.drop_path(self.mlp(self.norm2(x)))
        return out
