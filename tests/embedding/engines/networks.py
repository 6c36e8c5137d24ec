"""Networks that engines compute, small ones."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hipt.config.config import PatchEncoderConfig, RegionEncoderConfig, ViTShape
from hipt.embedding.encoder_input import encoder_input
from hipt.embedding.engines.engine import Network
from hipt.embedding.weights_files import load_patch_encoder, load_region_encoder
from hipt.nn.encoders import PatchEncoder, build_patch_encoder
from hipt.nn.preprocessing import PatchInput

SHAPE = ViTShape(depth=2, dim=32, heads=2)


def patches(count: int = 20, px: int = 64) -> Tensor:
    """uint8 (N, px, px, 3), each another picture: blobs of its own size and colour."""
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(count, 3, 5, 5, generator=generator)
    smooth = nn.functional.interpolate(coarse, (px, px), mode="bilinear")
    return (smooth.movedim(1, -1) * 255).to(torch.uint8).contiguous()


def own_vit() -> PatchEncoder:
    return load_patch_encoder(PatchEncoderConfig(random=1, shape=SHAPE)).eval()


def of_timm(name: str, px: int = 64, **given: Any) -> PatchEncoder:
    """A published encoder or a model of timm, weights as timm draws them."""
    torch.manual_seed(0)
    cfg = PatchEncoderConfig(encoder=name, random=0, input_px=px, encoder_args=given)
    return build_patch_encoder(cfg, encoder_input(cfg)).eval()


def regions() -> Network:
    cfg = RegionEncoderConfig(random=2, shape=SHAPE)
    return Network.of_regions(load_region_encoder(cfg, in_dim=24))


class Delicate(nn.Module):
    """Subtracts numbers that are nearly the same: bf16 has too few digits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3 * 16, 16, bias=False)
        nn.init.normal_(self.layer.weight, generator=torch.Generator().manual_seed(0))

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, 3, px, px) -> (B, 16)."""
        cells = nn.functional.adaptive_avg_pool2d(pictures, 4).flatten(1)
        return self.layer(1000 + cells) - self.layer(torch.full_like(cells, 1000))


class Undecided(nn.Module):
    """Asks its own numbers what to do, which a trace takes for granted."""

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, 3, px, px) -> (B, 3)."""
        means = pictures.mean((2, 3))
        if bool((means.sum() > 0).item()) and len(pictures) > 2:
            return means * 2 + 1
        return means


def wrapped(network: nn.Module, dim: int) -> PatchEncoder:
    given = PatchInput(px=None, mean=(0.5,) * 3, std=(0.5,) * 3)
    return PatchEncoder(network, dim, given).eval()
