"""Where maps lie and how they are ranked, against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hipt.geometry.lattice import NO_PATCH, at_pixels, lattice, on_lattice, percentiles, windows


def corners_of(regions, grid, side):
    """Patches of regions at (column, row) of the grid of regions, region-major, row-major."""
    return np.array(
        [
            ((column * grid + c) * side + 7, (row * grid + r) * side + 3)
            for column, row in regions
            for r in range(grid)
            for c in range(grid)
        ]
    )


def test_unshifted_windows_are_the_regions():
    corners = corners_of([(0, 0), (2, 0), (1, 1)], 4, 10)
    found = windows(lattice(corners, 10), 4, 0)
    assert sorted(map(tuple, found.tolist())) == [
        tuple(range(0, 16)),
        tuple(range(16, 32)),
        tuple(range(32, 48)),
    ]


@given(st.sets(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1), st.integers(0, 2))
def test_shifted_windows_are_all_full_squares_of_neighbours(regions, shift):
    grid, side = 3, 5
    corners = corners_of(sorted(regions), grid, side)
    found = windows(lattice(corners, side), grid, shift)
    at = {tuple(c): i for i, c in enumerate(((corners - corners.min(0)) // side).tolist())}
    expected = set()
    for x in range(shift, 13, grid):
        for y in range(shift, 13, grid):
            square = [at.get((x + c, y + r)) for r in range(grid) for c in range(grid)]
            if None not in square:
                expected.add(tuple(square))
    assert set(map(tuple, found.tolist())) == expected
    assert len(found) == len(expected)


def test_patches_off_the_grid_and_twice_are_refused():
    with pytest.raises(ValueError, match="one grid"):
        lattice(np.array([[0, 0], [11, 0]]), 10)
    with pytest.raises(ValueError, match="same place"):
        lattice(np.array([[0, 0], [0, 0]]), 10)


@given(hnp.arrays(np.float64, st.integers(1, 40), elements=st.integers(0, 5).map(float)))
def test_percentiles_share_ranks_and_keep_order(values):
    found = percentiles(values)
    n = len(values)
    for value, rank in zip(values, found, strict=True):
        below, equal = (values < value).sum(), (values == value).sum()
        assert rank == pytest.approx((below + (equal + 1) / 2) / n)


def test_a_map_lies_where_its_patches_lie():
    places = np.array([[0, NO_PATCH], [1, 2]])
    map_ = on_lattice(places, np.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(map_, [[1, np.nan], [2, 3]])
    # 2 pixels a patch, from (1, 2) on, on a picture of 4 x 6
    found = at_pixels(map_, (4, 6), (1.0, 2.0), (2.0, 2.0))
    n = np.nan
    np.testing.assert_array_equal(
        found, [[n, n, n, n, n, n], [n, n, n, n, n, n], [n, 1, 1, n, n, n], [n, 1, 1, n, n, n]]
    )
