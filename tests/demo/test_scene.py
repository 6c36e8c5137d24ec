import numpy as np
import pytest

from hipt.demo.scene import (
    FAT,
    GLASS,
    IMMUNE,
    MAP_UM,
    NEAR_UM,
    STROMA,
    TUMOUR,
    Scene,
    Window,
    distance_um,
)


def strip(gap_um):
    """Tumour on the left, a gap of stroma, one column of immune cells, fat below a row of glass."""
    labels = np.full((20, 400), STROMA, np.uint8)
    labels[:, :100] = TUMOUR
    labels[:, 99 + gap_um // MAP_UM] = IMMUNE
    labels[0] = GLASS
    labels[1] = FAT
    return Scene(labels, ())


def test_measures_of_a_scene_counted_by_hand():
    scene = strip(gap_um=200)

    assert scene.size_um == (800, 40)
    assert scene.tissue_mm2() == pytest.approx(19 * 400 * 4e-6)
    assert scene.shares() == pytest.approx(
        {
            "stroma": 18 * 299 / 7600,
            "tumour": 18 * 100 / 7600,
            "immune": 18 / 7600,
            "gland": 0,
            "necrosis": 0,
            "fat": 400 / 7600,
        }
    )


def test_closeness_counts_immune_cells_near_tumour():
    assert strip(gap_um=round(NEAR_UM) - 10).closeness() == 1
    assert strip(gap_um=round(NEAR_UM) + 10).closeness() == 0
    assert Scene(np.full((9, 9), TUMOUR, np.uint8), ()).closeness() is None


def test_distances_are_micrometres_to_the_nearest_pixel_outside():
    mask = np.ones((60, 60), bool)
    mask[10, 10] = False

    distance = distance_um(mask)

    assert distance[10, 10] == 0
    assert distance[10, 40] == pytest.approx(30 * MAP_UM, rel=0.03)
    assert distance[31, 31] == pytest.approx(21 * np.sqrt(2) * MAP_UM, rel=0.03)
    assert np.isinf(distance_um(np.ones((3, 3), bool))).all()


def test_a_window_ends_at_the_map_and_knows_its_offsets():
    window = Window.around((50, 80), x_um=10, y_um=60, reach_um=30)

    assert (window.rows, window.cols) == (slice(15, 46), slice(0, 21))
    assert window.dx[0, 0] == -10
    assert window.dy[0, 0] == -30
    along, across = window.turned(np.pi / 2)
    np.testing.assert_allclose(along, window.dy, atol=1e-9)
    np.testing.assert_allclose(across, -window.dx, atol=1e-9)
