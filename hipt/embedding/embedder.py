"""Stage 1's model at work: regions of pixels in, vectors out, reader and device at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hipt.config.config import Reader
from hipt.embedding.devices import choose_precision
from hipt.embedding.engines.choice import Choice, Task, Trying, Wanted, chosen_engine
from hipt.embedding.engines.engine import Engine, EngineName, Network, TorchEngine
from hipt.embedding.engines.on_openvino import OpenVinoEngine
from hipt.nn.encoders import PatchEncoder, Precision
from hipt.slides.direct import Opener
from hipt.slides.region_reader import RegionPixels, RegionReader

MINIBATCH = {"cpu": 16, "cuda": 256}
"""Patches per forward pass: 16 is fastest on a CPU (measured); a whole region on a GPU."""

TOGETHER = 256
"""Patches that are embedded at once, of as many of a slide's regions as it takes: with few wanted
patches in each, single regions would leave threads, or a GPU, without work."""


class PatchEmbedder:
    """A patch encoder on a device."""

    def __init__(
        self,
        encoder: PatchEncoder,
        precision: Literal["auto", "fp32", "bf16"],
        device: torch.device,
        threads: int,
        choice: Choice | None = None,
    ) -> None:
        """Move the encoder to the device.

        Args:
            encoder: with its weights.
            precision: to compute in.
            device: to compute on.
            threads: to read with, and on a CPU to compute with.
            choice: what computes, in a precision of its own; None: torch.
        """
        self.encoder = encoder.to(device)
        self.device, self.threads = device, threads
        chosen, size = choose_precision(precision, device), MINIBATCH[device.type]
        self.choice = choice or Choice(TorchEngine(self.encoder, chosen, size, threads))
        self.engine: Engine = self.choice.engine
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
        network, size = Network.of_patches(encoder), MINIBATCH[device.type]
        task = Task(network, _example(patch_px), device, threads, size)
        choice = chosen_engine(task, wanted, trying)
        return cls(encoder, choice.engine.precision, device, threads, choice)

    @property
    def software(self) -> dict[str, str]:
        """What made the vectors."""
        versions = self.engine.software | {"device": self.device.type}
        part = self.encoder.weights_part
        return versions | {"precision": self.precision} | ({"network": part} if part else {})

    def otherwise(self, engine: EngineName, precision: Precision, patch_px: int) -> PatchEmbedder:
        """The same encoder, computed by another engine or in another precision.

        Raises:
            NotConvertedError: if the engine cannot take it.
        """
        if engine == "torch":
            return PatchEmbedder(self.encoder, precision, self.device, self.threads)
        network, example = Network.of_patches(self.encoder), _example(patch_px)
        made = OpenVinoEngine(network, example, precision, self.threads)
        return PatchEmbedder(self.encoder, precision, self.device, self.threads, Choice(made))

    def reader(self, reader: Reader) -> RegionReader:
        """What reads regions ahead of the model: for a GPU into memory that it copies from fast."""
        opener = Opener.of_regions(reader)
        if self.device.type == "cpu":
            return RegionReader(self.threads, opener=opener)
        return RegionReader(self.threads, opener=opener, allocate=_pinned)

    def embedded(
        self, regions: Iterable[RegionPixels]
    ) -> Iterator[tuple[RegionPixels, npt.NDArray[np.float16]]]:
        """Each region with the (W, D) vectors of its wanted patches.

        A GPU is given the next regions before it is asked for the last ones' vectors, so that it
        has work while they are written; until then their pixels are held, being copied.
        """
        given: deque[tuple[list[RegionPixels], Tensor]] = deque()
        for group in _groups(regions):
            given.append((group, self._given(group)))
            if len(given) > self.ahead:
                yield from _apart(*given.popleft())
        for group, made in given:
            yield from _apart(group, made)

    def vectors(self, pixels: Tensor) -> Tensor:
        """uint8 (P, px, px, 3) on the device -> (P, D)."""
        return self.engine.vectors(pixels)

    def _given(self, group: Sequence[RegionPixels]) -> Tensor:
        """Some regions' (W, D) vectors, float16, on the device, which may be at work on them yet.

        On a CPU the last minibatch is filled up: sums of some networks depend on its size, and no
        vector is to depend on how many patches are wanted.
        """
        pixels = [torch.from_numpy(region.pixels) for region in group]  # (W, px, px, 3) uint8
        parts = [part.to(self.device, non_blocking=True) for part in pixels]
        count, size = sum(map(len, parts)), self.minibatch if self.device.type == "cpu" else 1
        filled = -(-max(count, 1) // size) * size
        if filled > count:
            parts.append(parts[0].new_zeros((filled - count, *parts[0].shape[1:])))
        batch = torch.cat(parts) if len(parts) > 1 else parts[0]
        return self.vectors(batch)[:count].to(torch.float16)


def _groups(regions: Iterable[RegionPixels]) -> Iterator[list[RegionPixels]]:
    """Regions in order, as many together as it takes."""
    group: list[RegionPixels] = []
    for region in regions:
        group.append(region)
        if sum(len(one.pixels) for one in group) >= TOGETHER:
            yield group
            group = []
    if group:
        yield group


def _apart(
    group: Sequence[RegionPixels], made: Tensor
) -> Iterator[tuple[RegionPixels, npt.NDArray[np.float16]]]:
    """Each region of a group with its vectors, (W, D) of all together."""
    ends = np.cumsum([len(region.pixels) for region in group])
    yield from zip(group, np.split(made.cpu().numpy(), ends[:-1]), strict=True)


def _example(patch_px: int) -> Tensor:
    """A patch's size: uint8 (1, px, px, 3)."""
    return torch.zeros(1, patch_px, patch_px, 3, dtype=torch.uint8)


def _pinned(shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Memory that a GPU copies from by itself; torch keeps it for the next who asks."""
    return np.asarray(torch.empty(shape, dtype=torch.uint8, pin_memory=True).numpy())
