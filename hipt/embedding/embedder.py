"""Stage 1's model at work: regions of pixels in, vectors out, reader and device at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hipt.config.config import Reader
from hipt.embedding.devices import choose_precision
from hipt.embedding.engines.choice import Task, Trying, Wanted, chosen_engine
from hipt.embedding.engines.engine import Engine, Network, TorchEngine
from hipt.nn.encoders import PatchEncoder, Precision
from hipt.slides.direct import Opener
from hipt.slides.region_reader import RegionPixels, RegionReader

MINIBATCH = {"cpu": 16, "cuda": 256}
"""Patches per forward pass: 16 is fastest on a CPU (measured); a whole region on a GPU."""


class PatchEmbedder:
    """A patch encoder on a device."""

    def __init__(
        self,
        encoder: PatchEncoder,
        precision: Literal["auto", "fp32", "bf16"],
        device: torch.device,
        threads: int,
        engine: Engine | None = None,
    ) -> None:
        """Move the encoder to the device.

        Args:
            encoder: with its weights.
            precision: to compute in.
            device: to compute on.
            threads: to read with, and on a CPU to compute with.
            engine: what computes, in a precision of its own; None: torch.
        """
        self.encoder = encoder.to(device)
        self.device, self.threads = device, threads
        chosen, size = choose_precision(precision, device), MINIBATCH[device.type]
        self.engine = engine or TorchEngine(self.encoder, chosen, size, threads)
        self.precision, self.minibatch = self.engine.precision, self.engine.minibatch
        self.ahead = 0 if device.type == "cpu" else 1
        """Regions that are given to the device before the last one's vectors are asked for."""

    @classmethod
    def chosen(
        cls,
        encoder: PatchEncoder,
        wanted: Wanted,
        device: torch.device,
        threads: int,
        trying: Trying,
        patch_px: int,
    ) -> Self:
        """A patch encoder with the engine that computes it on this machine.

        Args:
            encoder: with its weights.
            wanted: engine and precision of the config.
            device: to compute on.
            threads: as above.
            trying: on what engines are tried.
            patch_px: side of a patch.

        Raises:
            HiptError: if OpenVINO is asked for by name, and is not installed.
        """
        encoder = encoder.to(device)
        example = torch.zeros(1, patch_px, patch_px, 3, dtype=torch.uint8)
        size = MINIBATCH[device.type]
        task = Task(Network.of_patches(encoder), example, device, threads, size)
        engine = chosen_engine(task, wanted, trying)
        return cls(encoder, engine.precision, device, threads, engine)

    @property
    def software(self) -> dict[str, str]:
        """What made the vectors."""
        versions = self.engine.software | {"device": self.device.type}
        part = self.encoder.weights_part
        return versions | {"precision": self.precision} | ({"network": part} if part else {})

    def in_precision(self, precision: Precision) -> PatchEmbedder:
        """The same encoder, computing in another precision."""
        return PatchEmbedder(self.encoder, precision, self.device, self.threads)

    def reader(self, reader: Reader) -> RegionReader:
        """What reads regions ahead of the model: for a GPU into memory that it copies from fast."""
        opener = Opener.of_regions(reader)
        if self.device.type == "cpu":
            return RegionReader(self.threads, opener=opener)
        return RegionReader(self.threads, opener=opener, allocate=_pinned)

    def embedded(
        self, regions: Iterable[RegionPixels]
    ) -> Iterator[tuple[RegionPixels, npt.NDArray[np.float16]]]:
        """Each region with its (P, D) vectors.

        A GPU is given the next region before it is asked for the last one's vectors, so that it
        has work while they are written; until then a region's pixels are held, being copied.
        """
        given: deque[tuple[RegionPixels, Tensor]] = deque()
        for region in regions:
            given.append((region, self._given(region)))
            if len(given) > self.ahead:
                done, made = given.popleft()
                yield done, made.cpu().numpy()
        for done, made in given:
            yield done, made.cpu().numpy()

    def vectors(self, pixels: Tensor) -> Tensor:
        """uint8 (P, px, px, 3) on the device -> (P, D)."""
        return self.engine.vectors(pixels)

    def _given(self, region: RegionPixels) -> Tensor:
        """One region's (P, D) vectors, float16, on the device, which may be at work on them yet."""
        host = torch.from_numpy(region.pixels)  # (P, px, px, 3) uint8
        return self.vectors(host.to(self.device, non_blocking=True)).to(torch.float16)


def _pinned(shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Memory that a GPU copies from by itself; torch keeps it for the next who asks."""
    return np.asarray(torch.empty(shape, dtype=torch.uint8, pin_memory=True).numpy())
