"""Pictures resized and drawn on."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from hipt.pictures.drawing import (
    CONTOUR_COLOUR,
    GRID_COLOUR,
    draw_contours,
    draw_grid,
    reduced,
    shrunk,
)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def close(pixel: np.ndarray, colour: tuple[int, int, int]) -> bool:
    """Whether a pixel has a line's colour, up to its smoothed edge."""
    return np.abs(pixel.astype(int) - colour).max() <= 40


def painted(rgb: np.ndarray, plain: np.ndarray) -> np.ndarray:
    return (rgb != plain).any(2)


@pytest.mark.parametrize("factor", [2, 3, 4, 7, 16])
def test_reduced_is_the_mean_of_whole_blocks(factor: int):
    rgb = noise(5 * factor, 6 * factor)
    mean = rgb.reshape(5, factor, 6, factor, 3).mean((1, 3))
    assert np.abs(reduced(rgb, 6, 5) - mean).max() <= 0.5 + 1e-4


@pytest.mark.parametrize(("height", "width"), [(7, 9), (5, 4), (23, 17)])
def test_reduced_is_the_area_mean_at_any_factor(height: int, width: int):
    rgb = noise(30, 40)
    fine = np.kron(rgb, np.ones((height, width, 1)))  # each new pixel is now 30 x 40 of these
    mean = fine.reshape(height, 30, width, 40, 3).mean((1, 3))
    assert np.abs(reduced(rgb, width, height) - mean).max() <= 0.5 + 1e-3


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 300))
def test_shrunk_has_the_long_side_asked_for_and_keeps_its_shape(height, width, longest):
    rgb = np.zeros((height, width, 3), np.uint8)
    small = shrunk(rgb, longest)
    assert max(small.shape[:2]) == min(longest, max(height, width))
    scale = max(small.shape[:2]) / max(height, width)
    assert all(
        abs(a - b * scale) <= 0.5 or a == 1
        for a, b in zip(small.shape[:2], rgb.shape, strict=False)
    )
    assert min(small.shape[:2]) >= 1


def test_contours_and_holes_are_painted_on_their_lines_of_a_copy():
    plain = np.full((200, 300, 3), 255, np.uint8)
    shape = shapely.box(10, 10, 60, 80).difference(shapely.box(30, 30, 40, 40))
    drawn = draw_contours(plain, shapely.MultiPolygon([shape]), 2.0)
    assert (plain == 255).all()
    assert close(drawn[20, 60], CONTOUR_COLOUR)  # the outer edge
    assert close(drawn[60, 70], CONTOUR_COLOUR)  # the hole's
    rows, columns = np.nonzero(painted(drawn, plain))
    line = shapely.affinity.scale(shape.boundary, 2, 2, origin=(0, 0))
    assert shapely.distance(line, shapely.points(columns, rows)).max() <= 1.5
    nothing = draw_contours(plain, shapely.MultiPolygon(), 2.0)
    np.testing.assert_array_equal(nothing, plain)


def test_boxes_are_painted_on_their_edges_and_cut_at_the_picture():
    plain = np.full((200, 300, 3), 255, np.uint8)
    drawn = draw_grid(plain, [(20.2, 30.4, 100.0, 50.0), (280.0, -10.0, 500.0, 60.0)])
    assert (plain == 255).all()
    for y, x in [(30, 70), (80, 70), (55, 20), (55, 120), (50, 290), (20, 280)]:
        assert close(drawn[y, x], GRID_COLOUR)
    assert not painted(drawn, plain)[33:77, 23:117].any()
    large = np.zeros((1500, 1500, 3), np.uint8)
    line = painted(draw_grid(large, [(100, 100, 1000, 1000)]), large)[500, :500]
    assert line.sum() >= 3  # wide enough to be seen
