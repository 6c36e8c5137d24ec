"""What the embedding steps call: uint8 patches to vectors, on whatever device they lie on.

Legend: B patches, px side of a patch, D width of a vector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

from hipt.config.config import PatchEncoderConfig, RegionEncoderConfig
from hipt.errors import HiptError
from hipt.nn.pooling import Pooled, pooled, width
from hipt.nn.preprocessing import PatchInput
from hipt.nn.vit import FixedViT, ViT, vit256, vit4096

Precision = Literal["fp32", "bf16"]

HIPT_MEAN = HIPT_STD = (0.5, 0.5, 0.5)
"""Normalisation that the released ViT256-16 is used with; weights may carry another."""


class PatchEncoder(nn.Module):
    """Any network that turns a patch into a vector, with what it takes and gives."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, dim: int, given: PatchInput) -> None:
        """Wrap a network.

        Args:
            model: (B, 3, px, px) -> (B, D), or with tokens, where `given` pools them.
            dim: width of a vector.
            given: what the network takes, and which part of its answer is the vector.
        """
        super().__init__()
        self.model, self.dim, self.given = model, dim, given
        self.weights_part = ""
        """Where in its file the network's weights lie; empty where the file is nothing else."""
        self.register_buffer("mean", torch.tensor(given.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(given.std).view(1, 3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """uint8 (B, px, px, 3) -> float32 (B, D)."""
        return pooled(self.model, self.normalised(pixels), self.given.pooling).float()

    def seen(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 (B, px, px, 3) -> (B, D), (B, H, T) attention of CLS to cells; of ViT256 alone."""
        assert isinstance(self.model, ViT)
        return self.model.seen(self.normalised(pixels))

    def normalised(self, pixels: Tensor) -> Tensor:
        """uint8 (B, px, px, 3) -> (B, 3, side, side) as the network takes it."""
        return (self.given.picture(pixels) - self.mean) / self.std

    def core(self, pictures: Tensor) -> nn.Module:
        """What is left to compute for normalised pictures of one size, fit to be traced.

        Args:
            pictures: (B, 3, side, side) of that size.

        Returns:
            (B, 3, side, side) -> (B, D).
        """
        if isinstance(self.model, ViT):
            return FixedViT(self.model, pictures)
        return Pooled(self.model, self.given.pooling)


def build_patch_encoder(cfg: PatchEncoderConfig, given: PatchInput) -> PatchEncoder:
    """The network of ours or of timm that the config names, without its weights.

    Args:
        cfg: which network.
        given: what it takes and gives.

    Raises:
        HiptError: if timm has no such model, refuses its arguments, or it gives no vector.
    """
    if cfg.encoder == "hipt":
        model = vit256(cfg.vit_shape)
        return PatchEncoder(model, model.dim, given)
    from hipt.nn.timm_models import timm_model  # loads for seconds

    try:
        network = timm_model(cfg.architecture, cfg.arguments).network
    except ValueError as error:
        raise HiptError(str(error)) from None
    return PatchEncoder(network, vector_width(cfg.encoder, network, given), given)


def vector_width(encoder: str, network: nn.Module, given: PatchInput) -> int:
    """The width of a network's vectors.

    Args:
        encoder: its name, for the sentence.
        network: not of ours.
        given: what it takes and gives.

    Raises:
        HiptError: if it takes no such picture, or gives anything but one vector for it.
    """
    assert given.px is not None
    try:
        return width(network, given.px, given.pooling)
    except ValueError as error:
        raise HiptError(f"embed.patches.encoder: {encoder}: {error}") from None


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

    def vectors(part: Tensor) -> Tensor:
        with inference(precision, batch.device):
            return torch.as_tensor(model(part))

    return in_minibatches(vectors, batch, size, threads)


def in_minibatches(
    vectors: Callable[[Tensor], Tensor], batch: Tensor, size: int, threads: int
) -> Tensor:
    """(N, D) what a function gives for a batch, minibatch by minibatch.

    Args:
        vectors: (B, ...) -> (B, D); called by several threads.
        batch: (N, ...).
        size: B at most.
        threads: calls at once on a CPU.
    """
    parts = torch.split(batch, size)
    workers = min(threads, len(parts)) if batch.device.type == "cpu" else 1
    if workers == 1:
        return torch.cat([vectors(part) for part in parts])
    with ThreadPoolExecutor(workers) as pool:
        return torch.cat(list(pool.map(vectors, parts)))
