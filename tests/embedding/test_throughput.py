"""What there is to embed of slides, and what a rate of patches means for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hipt.cohort.sheet import SlideRow
from hipt.cohort.survey import Header
from hipt.config.config import TileConfig
from hipt.embedding.throughput import Workload
from hipt.geometry.grid import Grid, manifest_columns

TILE = TileConfig(region_px=1024, patch_px=128)  # 64 patches


def header(area_mm2: float) -> Header:
    row = SlideRow(slide_id="a", path=Path("a.svs"), case_id="a")
    return Header(row, "ok", mpp=0.25, area_mm2=area_mm2)


def grid(tissue: float, slide_px: int) -> Grid:
    """One region of patches of 256 px at 0.25 um/px, of which 20 have tissue."""
    share = np.zeros(64)
    share[:20] = tissue
    corner = np.zeros((1, 2), np.int64)
    return Grid(manifest_columns(corner, share, (0, 0, slide_px, slide_px), 256, 8), 1, 1.0)


def test_tissue_and_patches_grow_with_the_scanned_area():
    fine = [header(4.0), header(8.0)]
    work = Workload.of([(fine[0], grid(0.5, 2048))], fine, TILE)
    assert (work.slides, work.patches) == (2, 3 * 64)
    assert work.tissue_mm2 == pytest.approx(3 * 20 * 0.5 * 0.064**2)
    # of 44 patches of glass 16 are computed
    assert work.computed == {"embed": pytest.approx(3 * 64), "sample": pytest.approx(3 * 36)}
    assert work.hours(0.01, "embed") == pytest.approx(192 / 36)
    assert work.mm2_per_h(0.01, "sample") == pytest.approx(work.tissue_mm2 / 3)
    assert work.slides_per_night(0.01, "sample") == pytest.approx(2 * 12 / 3)


def test_padding_is_computed_once():
    fine = [header(4.0)]
    work = Workload.of([(fine[0], grid(1.0, 1024))], fine, TILE)  # 16 patches lie on the slide
    assert work.computed["embed"] == pytest.approx(16 + 1)
