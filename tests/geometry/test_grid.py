"""The grid: apart, counted, tissue shares by exact area."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hipt.config.config import TileConfig
from hipt.geometry.grid import region_grid
from hipt.geometry.resolution import plan_read
from hipt.geometry.tissue_mask import TissueMask

CFG = TileConfig(region_px=256, patch_px=64)
PLAN = plan_read(0.5, (1,), 0.5, 0.1, 64)


def grid_of(mask: np.ndarray, scale: float = 16.0, cfg: TileConfig = CFG):
    height, width = mask.shape
    return region_grid(
        TissueMask(mask, scale, scale), (0, 0, width * scale, height * scale), PLAN, cfg
    )


def brute_share(mask: np.ndarray, scale: float, x: int, y: int, side: int) -> float:
    """Tissue share of a square by counting level-0 pixels."""
    scale = int(scale)
    fine = np.kron(mask, np.ones((scale, scale), bool))
    return fine[max(y, 0) : y + side, max(x, 0) : x + side].sum() / side**2


masks = st.integers(0, 2**31).map(
    lambda seed: np.random.default_rng(seed).random((23, 31)) < np.random.default_rng(seed).random()
)


@given(mask=masks, least=st.sampled_from([0.0, 0.1, 0.5, 1.0]))
@settings(max_examples=40)
def test_shares_equal_counting_pixels(mask: np.ndarray, least: float):
    grid = grid_of(mask, cfg=CFG.model_copy(update={"min_tissue": least}))
    columns = grid.columns
    assert len(columns["x"]) == grid.regions * 16
    for i in range(0, len(columns["x"]), 7):
        x, y = int(columns["x"][i]), int(columns["y"][i])
        assert columns["tissue"][i] == pytest.approx(brute_share(mask, 16, x, y, 64), abs=1e-5)
    shares = columns["region_tissue"][::16]
    if mask.any():
        assert grid.regions >= 1  # a slide with tissue is never lost
        assert (shares >= least - 1e-6).all() or grid.regions == 1
    else:
        assert grid.regions == 0


@given(mask=masks)
@settings(max_examples=20)
def test_patches_tile_their_region_and_regions_are_apart(mask: np.ndarray):
    columns = grid_of(mask).columns
    corners = set()
    for r in np.unique(columns["region"]):
        part = {name: values[columns["region"] == r] for name, values in columns.items()}
        assert (part["patch"] == np.arange(16)).all()
        assert (part["x"] == part["region_x"] + np.arange(16) % 4 * 64).all()
        assert (part["y"] == part["region_y"] + np.arange(16) // 4 * 64).all()
        corners.add((int(part["region_x"][0]), int(part["region_y"][0])))
    assert len(corners) == len(np.unique(columns["region"]))
    for x, y in corners:
        assert all((a, b) == (x, y) or abs(a - x) >= 256 or abs(b - y) >= 256 for a, b in corners)


def test_count_follows_from_the_bounding_box():
    mask = np.zeros((100, 100), bool)
    mask[10:60, 20:90] = True  # 800 x 1120 level-0 px from (320, 160)
    grid = grid_of(mask, cfg=CFG.model_copy(update={"min_tissue": 0.0}))
    assert grid.regions == -(-800 // 256) * -(-1120 // 256)
    assert (grid.columns["region_x"][0], grid.columns["region_y"][0]) == (320, 160)
    assert grid.tissue_in_regions == pytest.approx(1.0)


def test_anchor_at_the_slide():
    mask = np.zeros((100, 100), bool)
    mask[50:60, 50:60] = True
    grid = grid_of(mask, cfg=CFG.model_copy(update={"anchor": "slide"}))
    assert (grid.columns["region_x"] % 256 == 0).all()


def test_a_biopsy_smaller_than_a_region_is_one_region():
    mask = np.zeros((40, 40), bool)
    mask[5:7, 5:7] = True  # 32 x 32 px: 1.6 % of a region, below min_tissue
    grid = grid_of(mask)
    assert grid.regions == 1
    assert grid.columns["region_tissue"][0] == pytest.approx(32**2 / 256**2)
    assert grid.tissue_in_regions == pytest.approx(1.0)


def test_share_of_a_patch_inside_the_slide():
    mask = np.ones((20, 20), bool)  # 320 x 320 level-0 px
    columns = grid_of(mask).columns
    inside = {
        (x, y): s for x, y, s in zip(columns["x"], columns["y"], columns["inside"], strict=True)
    }
    assert inside[(0, 0)] == 1
    assert inside[(256, 0)] == 1
    assert inside.get((320, 0), 0) == 0
    half = region_grid(TissueMask(mask, 16, 16), (0, 0, 288, 320), PLAN, CFG).columns
    at = (half["x"] == 256) & (half["y"] == 0)
    assert half["inside"][at] == pytest.approx(0.5)


@given(
    mask=masks,
    scale=st.floats(31.9, 32.1),
    downsamples=st.sampled_from([(1, 2), (1, 4), (1, 2.0003), (1, 2, 4.0007), (1, None, 2, 4)]),
    target=st.sampled_from([0.5, 1.0]),
    anchor=st.sampled_from(["tissue", "best", "slide"]),
    left=st.integers(0, 50),
)
@settings(max_examples=200)
def test_every_patch_begins_on_a_pixel_of_the_level_that_is_read(
    mask, scale, downsamples, target, anchor, left
):
    """Where it does not, OpenSlide interpolates, and each slide is blurred in another way."""
    plan = plan_read(0.25, downsamples, target, 0.1, 64)
    cfg = CFG.model_copy(update={"anchor": anchor})
    slide = (left, left // 2, 31 * scale, 23 * scale)
    columns = region_grid(TissueMask(mask, scale, scale), slide, plan, cfg).columns
    factor = downsamples[plan.level]
    assert plan.downsample == factor  # a whole one
    for name in ("x", "y", "region_x", "region_y"):
        assert (columns[name] % factor == 0).all()
    assert (columns["read_px"] == plan.patch_level_px * factor).all()


def test_the_anchor_is_at_most_a_pixel_of_the_level_before_the_tissue():
    mask = np.zeros((100, 100), bool)
    mask[10:60, 20:90] = True
    plan = plan_read(0.25, (1, 4), 1.0, 0.1, 64)
    columns = region_grid(TissueMask(mask, 32.05, 32.05), (0, 0, 3205, 3205), plan, CFG).columns
    assert (columns["x"].min(), columns["y"].min()) == (640, 320)  # of 641 and 320.5
