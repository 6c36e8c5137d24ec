import numpy as np
import pytest

from hipt.demo.nuclei import stamp


def spread_um(canvas, mpp, x_um, y_um):
    """Extent of a stamped nucleus along x and along y."""
    rows, cols = np.nonzero(canvas > 60)
    assert abs(cols.mean() * mpp - x_um) < 1
    assert abs(rows.mean() * mpp - y_um) < 1
    return np.ptp(cols) * mpp, np.ptp(rows) * mpp


@pytest.mark.parametrize("mpp", [0.25, 0.36, 0.5])
def test_a_nucleus_has_its_size_place_and_angle_at_any_resolution(mpp):
    level, upright = (np.zeros((round(60 / mpp), round(60 / mpp)), np.uint8) for _ in range(2))

    stamp(level, "spindle", np.array([[30.0, 25.0, 0.0]]), mpp)
    stamp(upright, "spindle", np.array([[30.0, 25.0, np.pi / 2]]), mpp)

    long_um, short_um = spread_um(level, mpp, 30, 25)
    assert 8 < long_um < 19
    assert short_um < 0.5 * long_um
    assert spread_um(upright, mpp, 30, 25) == pytest.approx((short_um, long_um), abs=1.1)


def test_the_darker_of_two_stays_and_nuclei_over_the_edge_are_left_out():
    canvas = np.full((80, 80), 30, np.uint8)
    canvas[40, 38:43] = 255

    stamp(canvas, "lymphocyte", np.array([[20.0, 20.0, 0.0], [0.0, 0.0, 0.0]]), 0.5)

    assert canvas.min() == 30
    assert (canvas[40, 38:43] == 255).all()
    assert canvas[36:40, 38:43].mean() > 90
    assert (canvas[:30] == 30).all()
