"""How fast something goes by itself, measured for some seconds."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from hipt.config.config import Reader
from hipt.embedding.embedder import PatchEmbedder
from hipt.nn.encoders import PatchEncoder, Precision
from hipt.slides.region_reader import RegionPixels, RegionReader, SlideJob

_SIDE = 4096
"""Of the matrices whose product shows what hardware can."""

_ROUNDS = 3

_QUEUED = 4
"""Minibatches that a GPU is given before it is waited for."""

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def rate_of(counts: Iterable[int], seconds: float) -> float:
    """Items per second of an iterator that says how many it has done, stopped after some seconds.

    0 where it does nothing.
    """
    start, done, spent = time.monotonic(), 0, 0.0
    for count in counts:
        done += count
        spent = time.monotonic() - start
        if spent >= seconds:
            break
    return done / spent if done else 0.0


def again(work: Callable[[], int]) -> Iterable[int]:
    """Work that is done over and over, as long as it is asked for."""
    return iter(work, None)


def model_rate(embedder: PatchEmbedder, patch_px: int, seconds: float) -> float:
    """Patches per second of the model alone, from pixels on its device."""
    device, size = embedder.device, embedder.minibatch
    at_once = embedder.threads * size if device.type == "cpu" else _QUEUED * size
    shape = at_once, patch_px, patch_px, 3
    batch = torch.randint(0, 256, shape, dtype=torch.uint8, device=device)

    def work() -> int:
        float(embedder.vectors(batch).sum())  # waits for the device
        return at_once

    work()  # the first is no measure
    return rate_of(again(work), seconds)


def pipeline_rate(
    embedder: PatchEmbedder, reader: Reader, jobs: Sequence[SlideJob], seconds: float
) -> float:
    """Patches per second from slides to vectors; the slides are read over and over."""
    with embedder.reader(reader) as regions:
        made = embedder.embedded(regions_of(regions, endless(jobs)))
        return rate_of((len(region.readable) for region, _ in made), seconds)


def regions_of(reader: RegionReader, jobs: Iterable[SlideJob]) -> Iterator[RegionPixels]:
    """The regions of slides, one after the other."""
    for _, regions in reader.stream(jobs):
        yield from regions


def endless(jobs: Sequence[SlideJob]) -> Iterator[SlideJob]:
    """Slides over and over, opened anew each time."""
    for turn in itertools.count():
        for job in jobs:
            yield replace(job, slide_id=f"{job.slide_id} {turn}")


def flops_per_patch(encoder: PatchEncoder, patch_px: int) -> int:
    """Floating point operations of a patch, counted by torch; additions count."""
    pixels = torch.zeros((1, patch_px, patch_px, 3), dtype=torch.uint8, device=encoder.mean.device)
    plain = sdpa_kernel(SDPBackend.MATH)  # torch counts no attention that is fused on a CPU
    with torch.no_grad(), plain, FlopCounterMode(display=False) as counter:
        encoder(pixels)
    return int(counter.get_total_flops())


def product_rate(device: torch.device, precision: Precision) -> float:
    """Floating point operations per second of a large matrix product; the best of some."""
    a = torch.randn(_SIDE, _SIDE, device=device, dtype=_DTYPES[precision])
    best = 0.0
    for _ in range(_ROUNDS):
        start = time.monotonic()
        float((a @ a)[0, 0])  # waits for the device
        best = max(best, 2 * _SIDE**3 / (time.monotonic() - start))
    return best
