"""One vision transformer for both levels: pixels in, or a grid of features in.

Legend: B images or regions, C input channels, T tokens without CLS, D width, H heads; h, w the
token grid. Names of parameters are those of the released checkpoints.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hipt.config.config import CELL_PX, ViTShape
from hipt.nn.block import NORM, Block
from hipt.nn.positions import sine_positions

POSITIONS = 14
"""Side of the grid that position embeddings live on: 224 px in 16 px cells."""


class PixelTokens(nn.Module):
    """Cells of 16x16 pixels to tokens."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, kernel_size=CELL_PX, stride=CELL_PX)

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, 16h, 16w) -> (B, D, h, w)."""
        out: Tensor = self.proj(pixels)
        return out


class GridTokens(nn.Sequential):
    """A grid of features to tokens: Linear, GELU."""

    def __init__(self, in_dim: int, dim: int) -> None:
        super().__init__(nn.Linear(in_dim, dim), nn.GELU())

    def forward(self, grid: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, D, h, w)."""
        x = grid.movedim(1, -1)
        for layer in self:
            x = layer(x)
        return x.movedim(-1, 1)


class Hidden(NamedTuple):
    """Tokens that a network is not shown."""

    places: Tensor
    """(B, T) bool."""
    token: Tensor
    """(1, 1, D) what stands in their place; positions are added to it."""


class ViT(nn.Module):
    """ViT256-16 (pixels) or ViT4096-256 (features), as DINO defines it.

    Source: Chen et al., CVPR 2022; Caron et al., ICCV 2021 (position embeddings).
    """

    def __init__(self, tokens: nn.Module, shape: ViTShape, drop_path: float = 0.0) -> None:
        """Build the network; its parameters are torch's defaults until `initialise`.

        Args:
            tokens: the input layer, PixelTokens or GridTokens.
            shape: depth, width, heads.
            drop_path: share of dropped residual branches in the last block, rising from 0.
        """
        super().__init__()
        name = "patch_embed" if isinstance(tokens, PixelTokens) else "phi"
        self.dim, self.heads, self._tokens = shape.dim, shape.heads, name
        self.add_module(name, tokens)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, shape.dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, POSITIONS**2 + 1, shape.dim))
        rates = torch.linspace(0, drop_path, shape.depth).tolist()
        self.blocks = nn.ModuleList(Block(shape.dim, shape.heads, rate) for rate in rates)
        self.norm = NORM(shape.dim)

    def forward(self, x: Tensor) -> Tensor:
        """The normed CLS token.

        Args:
            x: (B, 3, 16h, 16w) pixels, or (B, C, h, w) features.

        Returns:
            (B, D).
        """
        return self.tokens(x)[:, 0]

    def tokens(
        self, x: Tensor, positions: Tensor | None = None, hidden: Hidden | None = None
    ) -> Tensor:
        """All normed tokens, CLS first: (B, 1+T, D).

        Args:
            x: as in `forward`.
            positions: (1, 1+T, D) where they are resampled already.
            hidden: tokens that are not shown, in training.
        """
        x = self._embedded(x, positions, hidden)
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.norm(x)
        return out

    def attention(self, x: Tensor) -> Tensor:
        """Where CLS looks in the last block, head by head.

        Args:
            x: (B, 3, 16h, 16w) pixels, or (B, C, h, w) features.

        Returns:
            (B, H, T): CLS's attention to every token. That to itself is left out, so that a row
            sums to less than 1.

        Source: Caron et al., ICCV 2021: self-attention of CLS on the heads of the last layer.
        """
        return self._looking(self._before_last(x))

    def seen(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, D) as of `forward`, and (B, H, T) as of `attention`, in one pass."""
        x = self._before_last(x)
        return self.norm(self.blocks[-1](x))[:, 0], self._looking(x)

    def _before_last(self, x: Tensor) -> Tensor:
        """(B, 1+T, D) what goes into the last block."""
        x = self._embedded(x)
        for block in self.blocks[:-1]:
            x = block(x)
        return x

    def _looking(self, x: Tensor) -> Tensor:
        """(B, H, T) the last block's attention of CLS, of what goes into it."""
        last: Any = self.blocks[-1]
        qkv = last.attn.qkv(last.norm1(x)).unflatten(-1, (3, last.attn.num_heads, -1))
        query, key = qkv[:, 0, 0], qkv[:, :, 1]  # (B, H, D/H), (B, 1+T, H, D/H)
        scores = torch.einsum("bhd,bthd->bht", query, key) * last.attn.scale
        weights: Tensor = scores.float().softmax(-1)
        return weights[..., 1:]

    def positions(self, x: Tensor) -> Tensor:
        """(1, 1+T, D) position embeddings for inputs of one size."""
        h, w = self.get_submodule(self._tokens)(x).shape[-2:]
        return resampled_positions(self.pos_embed, h, w)

    def _embedded(
        self, x: Tensor, positions: Tensor | None = None, hidden: Hidden | None = None
    ) -> Tensor:
        """Tokens with CLS and positions: (B, 1+T, D)."""
        grid = self.get_submodule(self._tokens)(x)  # (B, D, h, w)
        if positions is None:
            positions = resampled_positions(self.pos_embed, *grid.shape[-2:])
        tokens = grid.flatten(2).transpose(1, 2)  # (B, T, D)
        if hidden is not None:
            tokens = torch.where(hidden.places[..., None], hidden.token, tokens)
        cls = self.cls_token.expand(tokens.shape[0], -1, -1)
        return torch.cat([cls, tokens], dim=1) + positions


class FixedViT(nn.Module):
    """A ViT for inputs of one size, its positions resampled once: what can be traced."""

    positions: Tensor

    def __init__(self, vit: ViT, x: Tensor) -> None:
        """Share the parameters of a ViT.

        Args:
            vit: with its weights.
            x: an input of the size.
        """
        super().__init__()
        self.vit = vit
        with torch.no_grad():
            self.register_buffer("positions", vit.positions(x), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """The ViT's (B, D)."""
        return self.vit.tokens(x, self.positions)[:, 0]


def resampled_positions(pos_embed: Tensor, h: int, w: int) -> Tensor:
    """Position embeddings for a grid of h x w tokens, as DINO resamples them.

    Bicubic, with the scale factor (h + 0.1) / 14: the given factor, not the one that the sizes
    imply, sets where samples are taken. A plain resize to size gives measurably other numbers.

    Args:
        pos_embed: (1, 1 + 14*14, D), CLS first.
        h: rows.
        w: columns.

    Returns:
        (1, 1 + h*w, D).
    """
    side = round((pos_embed.shape[1] - 1) ** 0.5)
    if h == w == side:
        return pos_embed
    cls, grid = pos_embed[:, :1], pos_embed[:, 1:]
    grid = grid.reshape(1, side, side, -1).permute(0, 3, 1, 2)  # (1, D, 14, 14)
    scale = ((h + 0.1) / side, (w + 0.1) / side)
    grid = F.interpolate(grid, scale_factor=scale, mode="bicubic", recompute_scale_factor=False)
    return torch.cat([cls, grid.flatten(2).transpose(1, 2)], dim=1)


def place_by_sines(model: ViT) -> None:
    """Start from positions that say which tokens are neighbours, in place of random ones."""
    with torch.no_grad():
        model.pos_embed[0, 1:] = sine_positions(POSITIONS, model.dim)


def vit256(shape: ViTShape, drop_path: float = 0.0) -> ViT:
    """ViT256-16: patches of pixels to vectors."""
    return ViT(PixelTokens(shape.dim), shape, drop_path)


def vit4096(shape: ViTShape, in_dim: int, drop_path: float = 0.0) -> ViT:
    """ViT4096-256: grids of patch vectors, `in_dim` wide, to vectors."""
    return ViT(GridTokens(in_dim, shape.dim), shape, drop_path)


def initialise(model: nn.Module, seed: int) -> None:
    """Random weights from a seed, as DINO starts: truncated normal 0.02, biases 0, norms 1.

    torch's own random state is neither used nor changed.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            elif parameter.ndim == 1:
                parameter.fill_(1.0)
            else:
                nn.init.trunc_normal_(parameter, std=0.02, generator=generator)
