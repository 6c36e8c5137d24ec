"""HIPT's slide level: a transformer over regions and gated attention; also on top of ViT4096.

Legend: B bags, M regions, D width of a region's vector, T patches per region, C width of a
patch's vector, N regions that are there, W width of the slide level, K outputs.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from hipt.nn.mil.bags import Bags
from hipt.nn.mil.model import BagModel, Sizes, dense
from hipt.nn.mil.pooling import GatedAttention
from hipt.nn.mil.single import GATE
from hipt.nn.mil.transformer import PostNormLayer, PreNormLayer

WIDTH = 192
DEPTH = 2
HEADS = 3


class Hipt(BagModel):
    """ViT_WSI without positions, on region vectors.

    Source: Chen et al., CVPR 2022; layers from its code (HIPT_GP_FC).
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes)
        width, dropout = sizes.width or WIDTH, sizes.dropout
        self.phi = dense(sizes.in_dim, width, dropout)
        self.layers = nn.ModuleList(
            PostNormLayer(width, HEADS, width, dropout) for _ in range(DEPTH)
        )
        self.pool = GatedAttention(width, width, dropout)
        self.rho = dense(width, width, dropout)
        self.classifier = nn.Linear(width, sizes.outputs)

    def answer(self, bags: Bags) -> tuple[Tensor, Tensor]:
        """Logits (B, K) and the attention pooling's weights (B, M)."""
        x = self.phi(bags.features)  # (B, M, W)
        for layer in self.layers:
            x = layer(x, bags.mask)
        pooled, attention = self.pool(x, bags.mask)  # (B, W), (B, M)
        return self.classifier(self.rho(pooled)), attention


class HiptWsi(BagModel):
    """`abmil` on regions that have looked at each other.

    One pre-norm layer, close to the identity at first, lies between the embedding of `abmil` and
    its pooling: what the regions say together is learned beside what each says alone.

    Differs: from ViT_WSI, which is post-norm, twice as deep, and starts far from the identity.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes)
        width, dropout = sizes.width or WIDTH, sizes.dropout
        self.embed = dense(sizes.in_dim, width, dropout)
        self.layer = PreNormLayer(width, HEADS, width, dropout)
        self.pool = GatedAttention(width, GATE, 0.0)
        self.classifier = nn.Linear(width, sizes.outputs)

    def answer(self, bags: Bags) -> tuple[Tensor, Tensor]:
        """Logits (B, K) and the attention pooling's weights (B, M)."""
        x = self.layer(self.embed(bags.features), bags.mask)  # (B, M, W)
        pooled, attention = self.pool(x, bags.mask)  # (B, W), (B, M)
        return self.classifier(pooled), attention


class HiptOnGrids(BagModel):
    """ViT4096 on grids of patch vectors, `Hipt` on what it says; gradients reach both.

    Finetuned or from scratch is a matter of the weights in `stage2`. Only regions that are there
    pass it, so this model is not for `torch.func.vmap`.

    Source: Chen et al., CVPR 2022; layers from its code (HIPT_LGP_FC).
    """

    grids: ClassVar[bool] = True

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes)
        if sizes.stage2 is None:
            raise ValueError("the model stands on ViT4096: give it as stage2")
        self.stage2 = sizes.stage2
        dim = getattr(sizes.stage2, "dim", WIDTH)
        self.slide = Hipt(Sizes(dim, sizes.outputs, sizes.dropout, sizes.width))

    def answer(self, bags: Bags) -> tuple[Tensor, Tensor]:
        """Logits (B, K) and the slide level's attention (B, M)."""
        return self.slide.answer(Bags(self._regions(bags), bags.mask))

    def _regions(self, bags: Bags) -> Tensor:
        """Region vectors: (B, M, T, C) -> (B, M, D), 0 on padding."""
        T, C = bags.features.shape[2:]
        side = math.isqrt(T)
        if side * side != T:
            raise ValueError(f"{T} patches are no square grid")
        there = bags.features[bags.mask].transpose(1, 2)  # (N, C, T)
        vectors: Tensor = self.stage2(there.reshape(-1, C, side, side))  # (N, D)
        empty = vectors.new_zeros(*bags.mask.shape, vectors.shape[-1])
        return torch.masked_scatter(empty, bags.mask.unsqueeze(-1), vectors)
