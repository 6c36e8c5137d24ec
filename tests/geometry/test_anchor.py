"""The best start of the grid, against trying them all, region by region."""

from __future__ import annotations

import time
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hipt.config.config import TileConfig
from hipt.geometry.grid import Grid, region_grid
from hipt.geometry.resolution import plan_read
from hipt.geometry.tissue_mask import TissueMask

SCALE = 16  # level-0 pixels per pixel of the mask
PATCH, SIDE = 64, 256  # level-0 pixels
PLAN = plan_read(0.5, (1,), 0.5, 0.1, PATCH)
CFG = TileConfig(region_px=SIDE, patch_px=PATCH, anchor="best")


def grid_of(mask: np.ndarray, anchor: str = "best", least: float = 0.1) -> Grid:
    height, width = mask.shape
    cfg = CFG.model_copy(update={"anchor": anchor, "min_tissue": least})
    slide = (0, 0, width * SCALE, height * SCALE)
    return region_grid(TissueMask(mask, SCALE, SCALE), slide, PLAN, cfg)


def fragments(seed: int) -> np.ndarray:
    """A few rectangles of tissue, as biopsies lie on a slide."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(rng.integers(8, 90, 2), bool)
    for _ in range(rng.integers(1, 7)):
        y, x = rng.integers(0, mask.shape)
        height, width = rng.integers(1, 25, 2)
        mask[y : y + height, x : x + width] = True
    return mask


masks = st.integers(0, 2**31).map(fragments)
leasts = st.sampled_from([0.0, 0.05, 0.1, 0.5, 1.0])


def brute_start(mask: np.ndarray, least: float) -> tuple[int, int]:
    """The start of the grid: every one tried, tissue counted pixel by pixel."""
    ys, xs = np.nonzero(mask)
    region, patch = SIDE // SCALE, PATCH // SCALE  # pixels of the mask
    tried = []
    for up in range(SIDE // PATCH):
        for left in range(SIDE // PATCH):
            y0, x0 = ys.min() - up * patch, xs.min() - left * patch
            held = [
                int(mask[max(y, 0) : y + region, max(x, 0) : x + region].sum())
                for y in range(y0, ys.max() + 1, region)
                for x in range(x0, xs.max() + 1, region)
            ]
            kept = [n for n in held if n and n >= least * region**2] or [max(held)]
            tried.append((len(kept), -round(Fraction(sum(kept) * 10**6, len(ys))), up, left))
    enough = [one for one in tried if one[1] <= tried[0][1] + 10_000]
    up, left = min(enough)[2:]
    return int(xs.min() - left * patch) * SCALE, int(ys.min() - up * patch) * SCALE


@given(mask=masks, least=leasts)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_the_start_is_that_of_trying_all(mask: np.ndarray, least: float):
    columns = grid_of(mask, least=least).columns
    x, y = brute_start(mask, least)
    assert ((columns["region_x"] - x) % SIDE == 0).all()
    assert ((columns["region_y"] - y) % SIDE == 0).all()


@given(mask=masks, least=leasts)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_never_more_regions_than_from_the_tissues_corner_nor_a_hundredth_less_tissue(mask, least):
    best, corner = grid_of(mask, least=least), grid_of(mask, "tissue", least)
    assert best.regions <= corner.regions
    assert best.tissue_in_regions >= corner.tissue_in_regions - 0.010001
    columns = corner.columns
    assert not ((best.columns["x"][:, None] - columns["x"]) % PATCH).any()  # one lattice
    assert not ((best.columns["y"][:, None] - columns["y"]) % PATCH).any()
    before = (best.columns["x"] < 0) | (best.columns["y"] < 0)
    assert not best.columns["tissue"][before].any()


def test_a_biopsy_on_the_corner_of_four_regions_costs_one():
    mask = np.zeros((60, 60), bool)
    mask[0, 0] = True  # a speck, which decides where the tissue's bounding box begins
    mask[10:22, 10:22] = True  # 12 x 12 of the 16 x 16 of a region, around its corner
    corner, best = grid_of(mask, "tissue"), grid_of(mask)
    assert (corner.regions, best.regions) == (4, 1)
    assert corner.tissue_in_regions == pytest.approx(1)
    assert best.tissue_in_regions == pytest.approx(144 / 145)


def test_fewest_regions_are_not_won_by_dropping_tissue():
    """Three patches further left one region holds 16 of 22 columns; 4 and 2 would be dropped."""
    mask = np.zeros((16, 40), bool)
    mask[:, :22] = True
    grid = grid_of(mask, least=0.3)
    assert grid.regions == 2
    assert grid.tissue_in_regions == pytest.approx(1)


def test_nothing_moves_where_nothing_is_won():
    mask = np.zeros((100, 100), bool)
    mask[10:58, 20:84] = True  # 3 x 4 regions
    columns = grid_of(mask).columns
    assert (columns["x"].min(), columns["y"].min()) == (20 * SCALE, 10 * SCALE)
    assert grid_of(np.zeros((9, 9), bool)).regions == 0


def test_regions_may_begin_before_the_slide():
    mask = np.zeros((16, 60), bool)
    mask[:, :4] = mask[:, 12:28] = mask[:, 44:60] = True
    corner, best = grid_of(mask, "tissue"), grid_of(mask)
    assert (corner.regions, best.regions) == (4, 3)
    columns = best.columns
    assert np.unique(columns["region_x"]).tolist() == [-64, 192, 704]
    assert (columns["inside"] == (columns["x"] >= 0)).all()
    assert best.tissue_in_regions == pytest.approx(1)


def test_a_slide_of_five_centimetres_takes_less_than_seconds():
    """A hundred thousand pixels a side: 165,000 squares of a region's size are looked at."""
    tissue = TissueMask(np.zeros((6250, 6250), bool), 16, 16)
    tissue.mask[10:-10:3] = True
    plan = plan_read(0.5, (1,), 0.5, 0.1, 256)
    start = time.process_time()
    grid = region_grid(tissue, (0, 0, 100_000, 100_000), plan, TileConfig(anchor="best"))
    assert time.process_time() - start < 5
    assert 600 < grid.regions <= 625
