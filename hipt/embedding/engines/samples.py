"""Inputs that engines are tried on: those of the first slides that can be read."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from hipt.slides.region_reader import FailedJob, Pixels, RegionReader, SlideJob

log = logging.getLogger(__name__)

SAMPLED = 96
"""Inputs that engines are tried on, at most."""

_PER_INPUT = 2
"""Patches that are read for each: of glass there are as many as of tissue."""


def patch_samples(jobs: Iterable[SlideJob | FailedJob], reader: RegionReader) -> Tensor:
    """Patches that show the most, of regions spread over the first slides that can be read.

    Args:
        jobs: the slides, in order.
        reader: what reads them.

    Returns:
        As `most_shown`.
    """
    return most_shown(list(_enough(jobs, reader)))


def most_shown(parts: Sequence[Pixels]) -> Tensor:
    """Patches that show the most: uint8 (N, px, px, 3), N at most SAMPLED, of those that are there.

    Args:
        parts: (P, px, px, 3) each.
    """
    if not parts:
        return torch.zeros(0, 1, 1, 3, dtype=torch.uint8)
    pixels = np.concatenate(parts)  # (P, px, px, 3)
    shown = np.array([patch.std() for patch in pixels])
    most = np.sort(np.argsort(-shown, kind="stable")[:SAMPLED])
    return torch.from_numpy(pixels[most])


def _enough(jobs: Iterable[SlideJob | FailedJob], reader: RegionReader) -> Iterator[Pixels]:
    """Patches of slide after slide, until there are enough."""
    wanted = _PER_INPUT * SAMPLED
    for job in jobs:
        if isinstance(job, FailedJob):
            continue
        try:
            for _, regions in reader.stream([_few(job, wanted)]):
                for region in regions:
                    wanted -= len(region.pixels)
                    yield region.shown
        except Exception as error:  # noqa: BLE001 (what ends a slide is said where it is embedded)
            log.debug("%s: not tried on: %s", job.slide_id, error)
        if wanted <= 0:
            return


def _few(job: SlideJob, patches: int) -> SlideJob:
    """As many regions of a slide as hold so many patches, evenly over it."""
    count = min(-(-patches // job.grid**2), len(job.corners))
    places = np.linspace(0, len(job.corners) - 1, count).round().astype(int)
    wanted = None if job.wanted is None else job.wanted[places]
    return replace(job, corners=job.corners[places], wanted=wanted, first=None)


def grid_samples(grids: Iterable[Tensor]) -> Tensor:
    """The first regions' grids of patch vectors.

    Args:
        grids: (C, h, w) each.

    Returns:
        float32 (N, C, h, w); N at most SAMPLED.
    """
    first = list(itertools.islice(grids, SAMPLED))
    return torch.stack(first).float() if first else torch.zeros(0, 1, 1, 1)
