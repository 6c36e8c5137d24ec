"""An engine: what computes the vectors of a network; torch is the one that always can.

Legend: N inputs, B of a minibatch, D width of a vector.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from hipt.embedding.engines.record import EngineName as EngineName
from hipt.nn.encoders import PatchEncoder, Precision, embedded
from hipt.nn.vit import FixedViT, ViT


class Engine(Protocol):
    """A network that was made ready to compute."""

    @property
    def name(self) -> EngineName:
        """Whose it is."""

    @property
    def precision(self) -> Precision:
        """What it computes in."""

    @property
    def minibatch(self) -> int:
        """Inputs per forward pass."""

    @property
    def software(self) -> dict[str, str]:
        """What may show in the numbers."""

    def vectors(self, batch: Tensor) -> Tensor:
        """(N, ...) -> (N, D), float32; the same however the N are grouped, and by many threads."""


@dataclass(frozen=True)
class Network:
    """A network as engines take it: torch prepares its inputs, its core can be traced."""

    whole: nn.Module
    """(B, ...) -> (B, D)."""
    prepared: Callable[[Tensor], Tensor]
    """(B, ...) -> the float32 inputs of the core."""
    core: Callable[[Tensor], nn.Module]
    """Prepared inputs -> the network for all of their size: prepared inputs -> (B, D)."""

    @classmethod
    def of_patches(cls, encoder: PatchEncoder) -> Network:
        """A patch encoder: uint8 (B, px, px, 3) -> (B, D)."""
        return cls(encoder, encoder.normalised, encoder.core)

    @classmethod
    def of_regions(cls, vit: ViT) -> Network:
        """ViT4096-256: (B, C, h, w) -> (B, D)."""
        return cls(vit, lambda grids: grids, lambda grids: FixedViT(vit, grids))


@dataclass(frozen=True)
class TorchEngine:
    """The network as torch computes it."""

    whole: nn.Module
    precision: Precision
    minibatch: int
    threads: int
    """Minibatches at once on a CPU."""
    name: EngineName = "torch"

    @property
    def software(self) -> dict[str, str]:
        """What may show in the numbers."""
        return {"torch": torch.__version__, "engine": self.name}

    def vectors(self, batch: Tensor) -> Tensor:
        """(N, ...) on the network's device -> (N, D), float32."""
        return embedded(self.whole, batch, self.minibatch, self.precision, self.threads).float()
