"""What the colours of a signed map stand for."""

from __future__ import annotations

import numpy as np
import pytest

from hipt.heatmaps.scales import most_of


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_do_not_set_the_scale(bad: float):
    assert most_of(np.array([bad, -2.0, 2.0], np.float32)) == 2
    assert most_of(np.array([bad], np.float32)) == 1


def test_a_map_of_zeros_and_one_without_patches_have_a_scale():
    assert most_of(np.zeros(3, np.float32)) == most_of(np.zeros(0, np.float32)) == 1
