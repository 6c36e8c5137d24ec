"""TRIDENT's own arithmetic on what is written for it gives the side that was read."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hipt.exchange.trident_scale import magnifications, trident_sides
from hipt.geometry.resolution import plan_read


@pytest.mark.parametrize(
    ("mpp", "side_px", "level0"),
    [
        (0.2271, 564, 44.0625),
        (0.263, 487, 38.046875),
        (0.3611, 354, 27.65625),
        (0.25, 512, 40),
        (0.5, 256, 20),
    ],
)
def test_the_true_side_of_slides_of_odd_resolutions(mpp: float, side_px: int, level0: float):
    assert plan_read(mpp, (1.0,), 0.5, 0.0, 256).patch_read_px == side_px
    written, target = magnifications(side_px, 256, 0.5)
    assert (written, target) == (level0, 20)
    assert type(target) is int
    assert int(256 * written / target) == side_px


@settings(max_examples=400)
@given(
    st.floats(0.1, 5),
    st.sampled_from([0.25, 0.5, 0.44, 1.0, 2.0, 0.4999, 7.3]),
    st.sampled_from([224, 256, 512, 64, 100, 333]),
    st.sampled_from([1.0, 2.0, 4.0]),
)
def test_any_slide_and_any_patch(mpp: float, target_mpp: float, patch_px: int, downsample: float):
    try:
        plan = plan_read(mpp, (1.0, downsample), target_mpp, 0.1, patch_px)
    except ValueError:
        return  # too coarse
    level0, target = magnifications(plan.patch_read_px, patch_px, target_mpp)
    assert set(trident_sides(patch_px, level0, target)) == {plan.patch_read_px}
    assert target == pytest.approx(10 / target_mpp, rel=1e-8)
    assert level0 / target == pytest.approx(plan.patch_read_px / patch_px, rel=1e-12)


def test_whole_magnifications_are_whole_numbers():
    assert list(map(type, magnifications(512, 256, 0.5))) == [int, int]
    assert magnifications(256, 256, 0.5) == (20, 20)
    assert list(map(type, magnifications(257, 256, 0.45))) == [float, float]
