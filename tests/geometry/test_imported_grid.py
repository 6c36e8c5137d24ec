"""The grid that fits patches which are there already."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hipt.config.config import TileConfig
from hipt.geometry.imported_grid import imported_grid, rows_at

SLIDE = (0.0, 0.0, 10_000.0, 10_000.0)


def config(min_tissue: float = 0.1) -> TileConfig:
    return TileConfig(region_px=256, patch_px=64, min_tissue=min_tissue)


def lattice(columns: int, rows: int, x: int = 0, y: int = 0, side: int = 70) -> np.ndarray:
    """(N, 2) corners of a full rectangle of patches."""
    grid_y, grid_x = np.mgrid[:rows, :columns]
    return np.stack([x + side * grid_x.ravel(), y + side * grid_y.ravel()], 1)


def test_a_full_rectangle_is_whole_regions():
    found = imported_grid(lattice(8, 4, x=33, y=21), 70, SLIDE, config())
    columns = found.grid.columns
    assert found.grid.regions == 2
    assert (columns["region_x"][0], columns["region_y"][0]) == (33, 21)
    assert columns["tissue"].tolist() == [1.0] * 32
    assert set(columns["read_px"]) == {70}
    assert found.grid.tissue_in_regions == 1
    assert found.remark == ""


@given(
    cells=st.sets(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1),
    corner=st.tuples(st.integers(0, 500), st.integers(0, 500)),
    side=st.integers(2, 300),
    least=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    seed=st.integers(0, 9),
)
def test_tissue_is_where_a_patch_is_and_all_are_counted(
    cells: set, corner: tuple, side: int, least: float, seed: int
):
    coords = np.array(corner) + side * np.array(sorted(cells))
    coords = np.random.default_rng(seed).permutation(coords)
    found = imported_grid(coords, side, SLIDE, config(least))
    columns = found.grid.columns
    places = list(zip(columns["x"], columns["y"], strict=True))
    given_places = {tuple(place) for place in coords}
    assert len(set(places)) == len(places) == 16 * found.grid.regions >= 16
    assert [place in given_places for place in places] == (columns["tissue"] == 1).tolist()
    used = int(columns["tissue"].sum())
    assert used + found.outside == len(coords) == found.total
    assert (found.twice, found.off_lattice) == (0, 0)
    shares = columns["tissue"].reshape(-1, 16).mean(1)
    assert (shares >= least).all() or found.grid.regions == 1
    assert used > 0


def test_what_does_not_fit_is_counted():
    main = lattice(4, 4, x=10, y=10)
    shifted = lattice(3, 1, x=15, y=900)
    far = np.array([[10 + 70 * 40, 10]])
    coords = np.concatenate([main, main[:2], shifted, far])
    found = imported_grid(coords, 70, SLIDE, config())
    assert (found.twice, found.off_lattice, found.outside) == (2, 3, 1)
    assert found.grid.regions == 1
    assert found.grid.tissue_in_regions == pytest.approx(16 / 17)
    assert found.remark == (
        "of 22 imported patches 2 given twice, 3 beside the grid of most, "
        "1 in regions with too few: not used"
    )


def test_a_few_patches_are_one_region_and_not_a_lost_slide():
    found = imported_grid(np.array([[500, 700]]), 64, SLIDE, config(0.9))
    assert found.grid.regions == 1
    assert found.grid.columns["tissue"].tolist() == [1.0] + [0.0] * 15


@given(
    known=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30),
    wanted=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30),
)
def test_rows_are_those_of_a_plain_search(known: list, wanted: list):
    found = rows_at(np.array(known).reshape(-1, 2), np.array(wanted).reshape(-1, 2))
    assert found.tolist() == [known.index(one) if one in known else -1 for one in wanted]
