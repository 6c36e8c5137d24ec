"""What there is to embed of some slides, and what a rate of patches means for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hipt.cohort.survey import Header
from hipt.config.config import TileConfig
from hipt.embedding.background import Background, choose
from hipt.geometry.grid import Grid

NIGHT_H = 12
"""Hours that a machine is left alone."""

BACKGROUNDS: tuple[Background, ...] = ("embed", "sample")


@dataclass(frozen=True)
class Workload:
    """Slides, and what there is to embed on them."""

    slides: int
    tissue_mm2: float
    """In their regions."""
    patches: float
    computed: dict[Background, float]
    """Patches that a model computes, by `embed.patches.background`."""

    @classmethod
    def of(
        cls, tried: Sequence[tuple[Header, Grid]], fine: Sequence[Header], tile: TileConfig
    ) -> Workload:
        """That of all slides, if they hold as much per scanned area as those that were tried."""
        tried_mm2 = sum(header.area_mm2 for header, _ in tried)
        scale = sum(header.area_mm2 for header in fine) / tried_mm2 if tried_mm2 else 0.0
        grids, patches = [grid.columns for _, grid in tried], tile.grid**2
        computed = {
            way: scale * sum(choose(g["tissue"], g["inside"], patches, way).work for g in grids)
            for way in BACKGROUNDS
        }
        tissue_mm2 = sum(_tissue_mm2(header, grid) for header, grid in tried)
        count = sum(len(columns["patch"]) for columns in grids)
        return cls(len(fine), scale * tissue_mm2, scale * count, computed)

    def mm2_per_h(self, rate: float, background: Background) -> float:
        """Tissue per hour at a rate in patches per second."""
        return self.tissue_mm2 / self.hours(rate, background)

    def slides_per_night(self, rate: float, background: Background) -> float:
        """Slides in `NIGHT_H` hours at a rate in patches per second."""
        return NIGHT_H * self.slides / self.hours(rate, background)

    def hours(self, rate: float, background: Background) -> float:
        """Hours for all slides at a rate in patches per second."""
        return self.computed[background] / rate / 3600


def _tissue_mm2(header: Header, grid: Grid) -> float:
    """Tissue in a slide's regions."""
    side_mm = grid.columns["read_px"] * header.mpp / 1e3  # (R * P,)
    return float((grid.columns["tissue"] * np.square(side_mm)).sum())
