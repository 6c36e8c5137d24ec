"""What the embedding steps call: uint8 patches to vectors, on whatever device they lie on.

Legend: B patches, px side of a patch, D width of a vector.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hipt.config.config import PatchEncoderConfig, RegionEncoderConfig
from hipt.errors import HiptError
from hipt.nn.vit import ViT, vit256, vit4096

Precision = Literal["fp32", "bf16"]

HIPT_MEAN = HIPT_STD = (0.5, 0.5, 0.5)
"""Normalisation that the released ViT256-16 is used with; weights may carry another."""


class PatchEncoder(nn.Module):
    """Any network that turns a patch into a vector, with its input size and normalisation."""

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        model: nn.Module,
        dim: int,
        input_px: int | None,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        """Wrap a network.

        Args:
            model: (B, 3, px, px) -> (B, D).
            dim: D.
            input_px: side that patches are resized to; None: as they are.
            mean: per channel, of values between 0 and 1.
            std: likewise.
        """
        super().__init__()
        self.model, self.dim, self.input_px = model, dim, input_px
        self.weights_part = ""
        """Where in its file the network's weights lie; empty where the file is nothing else."""
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def normalise_by(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Take the normalisation that the weights were trained with."""
        self.mean.copy_(torch.tensor(mean).view(1, 3, 1, 1))
        self.std.copy_(torch.tensor(std).view(1, 3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """uint8 (B, px, px, 3) -> float32 (B, D)."""
        out: Tensor = self.model(self._normalised(pixels))
        return out.float()

    def seen(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 (B, px, px, 3) -> (B, D), (B, H, T) attention of CLS to cells; of ViT256 alone."""
        assert isinstance(self.model, ViT)
        return self.model.seen(self._normalised(pixels))

    def _normalised(self, pixels: Tensor) -> Tensor:
        """uint8 (B, px, px, 3) -> (B, 3, px, px) as the network takes it."""
        x = pixels.movedim(-1, 1).float() / 255  # (B, 3, px, px)
        if self.input_px is not None and x.shape[-1] != self.input_px:
            x = F.interpolate(x, (self.input_px, self.input_px), mode="bicubic", antialias=True)
            x = x.clamp(0, 1)
        return (x - self.mean) / self.std


def build_patch_encoder(cfg: PatchEncoderConfig) -> PatchEncoder:
    """The network that the config names, without its weights.

    Its input is what the config says, else timm's; weights may carry another normalisation.

    Raises:
        HiptError: if timm has no such model, refuses its arguments, or it gives no vector.
    """
    if cfg.encoder == "hipt":
        model = vit256(cfg.vit_shape)
        mean, std = cfg.mean or HIPT_MEAN, cfg.std or HIPT_STD
        return PatchEncoder(model, model.dim, cfg.input_px, mean, std)
    from hipt.nn.timm_models import timm_model, vector_width  # loads for seconds

    try:
        made = timm_model(cfg.encoder, cfg.encoder_args)
        side = cfg.input_px or made.input_px
        try:
            dim = vector_width(made.network, side)
        except ValueError as error:
            raise ValueError(f"embed.patches.encoder: {cfg.encoder}: {error}") from None
    except ValueError as error:
        raise HiptError(str(error)) from None
    return PatchEncoder(made.network, dim, side, cfg.mean or made.mean, cfg.std or made.std)


def build_region_encoder(cfg: RegionEncoderConfig, in_dim: int) -> ViT:
    """ViT4096-256 for patch vectors `in_dim` wide, without its weights."""
    return vit4096(cfg.vit_shape, in_dim)


@contextmanager
def inference(precision: Precision, device: torch.device) -> Iterator[None]:
    """No gradients; matrix products in bf16 where chosen, sums and norms in fp32."""
    bf16 = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
    with torch.inference_mode(), bf16:
        yield


def embedded(
    model: nn.Module, batch: Tensor, size: int, precision: Precision, threads: int
) -> Tensor:
    """(N, D) vectors of a batch, computed in minibatches; the same whatever `threads` is.

    On a CPU each thread computes minibatches of its own. Several threads in one product would add
    up in another order than one, where a network is small; so the caller lets torch have one
    (`torch.set_num_threads(1)`).

    Args:
        model: (B, ...) -> (B, D).
        batch: (N, ...), on the model's device.
        size: B at most.
        precision: to compute in.
        threads: minibatches that are computed at once on a CPU.
    """

    def one(part: Tensor) -> Tensor:
        with inference(precision, batch.device):
            return torch.as_tensor(model(part))

    parts = torch.split(batch, size)
    workers = min(threads, len(parts)) if batch.device.type == "cpu" else 1
    if workers == 1:
        return torch.cat([one(part) for part in parts])
    with ThreadPoolExecutor(workers) as pool:
        return torch.cat(list(pool.map(one, parts)))
