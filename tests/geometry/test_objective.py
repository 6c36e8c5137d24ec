"""What an objective says of a resolution."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hipt.geometry.objective import limits, times_apart, usual_mpp


def test_scanners_have_half_a_micrometre_at_20x():
    assert usual_mpp(20) == 0.5
    assert usual_mpp(40) == 0.25


@given(objective=st.sampled_from([10, 20, 40, 63]), times=st.floats(1, 100))
def test_coarser_and_finer_count_alike(objective: float, times: float):
    usual = usual_mpp(objective)
    assert times_apart(usual * times, objective) == pytest.approx(times)
    assert times_apart(usual / times, objective) == pytest.approx(times)
    assert times_apart(usual * times, None) == 1


def test_half_of_a_scan_is_remarkable_and_a_tenth_cannot_be():
    for mpp, objective in ((0.5, 40), (0.25, 20), (0.526036, 40)):
        remarkable, most = limits(mpp, objective, "aperio")
        assert remarkable <= times_apart(mpp, objective) <= most
    assert times_apart(0.025, 40) > limits(0.025, 40, "aperio")[1]
    assert times_apart(0.2, 20) > limits(0.2, 20, "generic-tiff")[1]


def test_lenses_and_coarse_levels_of_dicom():
    assert times_apart(0.1725, 20) < min(limits(0.1725, 20, "zeiss"))
    assert times_apart(28.97, 40) < min(limits(28.97, 40, "dicom"))
    assert times_apart(0.025, 40) > limits(0.025, 40, "dicom")[1]
