"""Micrometres, pixels, and how a patch of a wanted resolution is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hipt.geometry.resolution import (
    TooCoarseError,
    is_whole,
    nominal,
    patches_per_block,
    plan_read,
    resolve_mpp,
)


@pytest.mark.parametrize(
    ("mpp", "downsamples", "level", "level_px", "read_px", "read_mpp"),
    [
        (0.25, (1, 4, 16), 0, 512, 512, 0.5),  # 40x without a 20x level: mean of 2 x 2
        (0.25, (1, 2, 4), 1, 256, 512, 0.5),  # 40x with one
        (0.5, (1, 4), 0, 256, 256, 0.5),
        (0.526036, (1, 2), 0, 256, 256, 0.526036),  # slightly coarser: as it is
        (0.263018, (1, 4.0007), 0, 512, 512, 0.526036),  # 2 x 2 is within 10 %
        (0.3611, (1, 4), 0, 354, 354, 0.3611 * 354 / 256),  # between: exact area means
        (0.1214, (1, 2, 4.001), 1, 512, 1024, 0.4856),  # 4.001: a level that is interpolated
        (0.1214, (1, 2, 4), 2, 256, 1024, 0.4856),
        (0.25, (1, 2.0003), 0, 512, 512, 0.5),
        (0.25, (1, None, 2), 2, 256, 512, 0.5),  # an overview, which is no level
        (0.025, (1, 4.0007, 16.01), 2, 320, 5120, 0.5),  # a mean of 20 x 20 would take too long
        (0.2271, (1,), 0, 512, 512, 0.4542),
    ],
)
def test_plan_of_real_resolutions(mpp, downsamples, level, level_px, read_px, read_mpp):
    plan = plan_read(mpp, downsamples, 0.5, 0.1, 256)
    assert (plan.level, plan.patch_level_px, plan.patch_read_px) == (level, level_px, read_px)
    assert plan.read_mpp == pytest.approx(read_mpp)


def test_without_tolerance_the_field_of_view_is_exact_to_a_pixel():
    plan = plan_read(0.263018, (1, 4), 0.5, 0.0, 256)
    assert plan.patch_read_px == round(256 * 0.5 / 0.263018) == 487


def test_too_coarse_says_what_was_found_and_wanted():
    with pytest.raises(TooCoarseError, match=r"28\.969 um/px, wanted are 0\.5"):
        plan_read(28.969, (1,), 0.5, 0.1, 256)


@given(
    mpp=st.floats(0.05, 0.6),
    steps=st.lists(st.sampled_from([2, 4, 2.0003, 3.997]), max_size=5),
    target=st.floats(0.3, 2.0),
    tolerance=st.floats(0, 0.3),
)
def test_nothing_is_enlarged_and_what_comes_out_is_near(mpp, steps, target, tolerance):
    downsamples = [1.0]
    for step in steps:
        downsamples.append(downsamples[-1] * step)
    if mpp > target * (1 + tolerance):
        with pytest.raises(TooCoarseError):
            plan_read(mpp, downsamples, target, tolerance, 256)
        return
    plan = plan_read(mpp, downsamples, target, tolerance, 256)
    assert plan.patch_level_px >= 256
    assert plan.reduction >= 1
    rounding = 0.5 / plan.patch_level_px
    assert abs(plan.read_mpp / target - 1) <= max(tolerance, rounding) + 1e-9
    coarser = [d for d in downsamples if nominal(d) > plan.downsample]
    fitting = [d for d in coarser if mpp * nominal(d) <= target * (1 + tolerance)]
    assert not [d for d in fitting if is_whole(d)]
    assert max(map(nominal, fitting), default=0) <= 4 * plan.downsample


def test_a_factor_is_whole_where_pixels_of_the_level_stay_on_those_of_the_slide():
    assert is_whole(2.0)
    assert is_whole(2.0000000001)  # as of um/px that were divided
    assert not is_whole(2.0003)
    assert not is_whole(2.00001)  # half a pixel off after 50,000
    assert not is_whole(2.5)


def test_nearly_whole_downsamples_count_as_whole():
    assert nominal(4.0007) == 4
    assert nominal(16.0104) == 16
    assert nominal(2.5) == 2.5


@pytest.mark.parametrize(
    ("grid", "level_px", "side"),
    [(16, 256, 4), (16, 512, 2), (16, 354, 2), (4, 64, 4), (16, 2048, 1), (3, 300, 3)],
)
def test_blocks_are_about_1024_px_and_divide_the_region(grid, level_px, side):
    assert patches_per_block(grid, level_px, 1024) == side


def test_mpp_comes_from_the_sheet_then_the_header_then_the_default():
    assert resolve_mpp(0.25, (0.5, 0.5), "header", 1.0).source == "sheet"
    assert resolve_mpp(None, (0.5, 0.5), "tiff", 1.0).source == "tiff"
    assert resolve_mpp(None, None, "header", 1.0).source == "default"
    assert resolve_mpp(None, None, "header", None) is None


def test_contradictions_are_noted():
    assert resolve_mpp(0.5, (0.49, 0.49), "header", None).note == ""
    assert "0.25 contradicts the header's 0.5" in resolve_mpp(0.25, (0.5, 0.5), "tiff", None).note
    assert "differs in x (0.5) and y (0.52)" in resolve_mpp(None, (0.5, 0.52), "tiff", None).note
    assert resolve_mpp(None, (0.5, 0.52), "tiff", None).value == pytest.approx(0.51)
