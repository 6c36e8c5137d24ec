from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hipt.demo.layout import arrange, lay_out
from hipt.demo.scene import GLAND, IMMUNE, MAP_UM, NECROSIS, STROMA, TUMOUR, Recipe, distance_um

RECIPE = Recipe(2300, 1800)
SEEDS = range(5)


@pytest.fixture(scope="module")
def arrangements():
    """The same five slides, once with the kinds shuffled and once kept apart."""
    return {
        mixing: [
            lay_out(replace(RECIPE, mixing=mixing), np.random.default_rng(seed)) for seed in SEEDS
        ]
        for mixing in (0.9, 0.1)
    }


def both(scene, side_um):
    """Share of the squares with tissue that hold tumour and immune cells, 1 % of each."""
    side = side_um // MAP_UM
    rows, cols = (n // side for n in scene.labels.shape)
    squares = scene.labels[: rows * side, : cols * side].reshape(rows, side, cols, side)
    squares = squares.swapaxes(1, 2).reshape(rows * cols, -1)
    squares = squares[(squares > 0).mean(axis=1) > 0.1]
    tumour, immune = ((squares == kind).mean(axis=1) > 0.01 for kind in (TUMOUR, IMMUNE))
    return (tumour & immune).mean()


def test_composition_is_the_same_whatever_the_arrangement(arrangements):
    for mixed, apart in zip(arrangements[0.9], arrangements[0.1], strict=True):
        assert mixed.shares() == pytest.approx(apart.shares(), abs=0.015)
    for name in ("tumour", "immune"):
        mixed, apart = (
            np.mean([scene.shares()[name] for scene in arrangements[m]]) for m in (0.9, 0.1)
        )
        assert mixed == pytest.approx(apart, rel=0.1)


def test_arrangement_shows_in_closeness_and_in_regions_and_hardly_in_patches(arrangements):
    mixed, apart = arrangements[0.9], arrangements[0.1]

    assert all(a.closeness() > b.closeness() for a, b in zip(mixed, apart, strict=True))
    assert np.mean([s.closeness() for s in mixed]) > 0.6
    assert np.mean([s.closeness() for s in apart]) < 0.3
    assert np.mean([both(s, 512) for s in mixed]) > 1.6 * np.mean([both(s, 512) for s in apart])
    assert max(np.mean([both(s, 128) for s in scenes]) for scenes in (mixed, apart)) < 0.04


@settings(max_examples=40)
@given(n=st.integers(0, 60), mixing=st.floats(0, 1), seed=st.integers(0, 99))
def test_mixing_moves_kinds_and_keeps_their_numbers(n, mixing, seed):
    key = np.random.default_rng(seed).normal(size=n).astype(np.float32)

    kinds = np.array(arrange(key, mixing, np.random.default_rng(seed)), int)
    apart = np.array(arrange(key, 0.0, np.random.default_rng(seed)), int)

    np.testing.assert_array_equal(np.sort(kinds), np.sort(apart))
    if (apart == TUMOUR).any() and (apart == IMMUNE).any():
        assert key[apart == TUMOUR].min() >= key[apart == IMMUNE].max()


def test_territories_take_the_shares_that_the_recipe_asks_for():
    recipe = replace(RECIPE, necrosis=0.15, fat=0.07, gland=0.0, sheet=0.1)

    scene = lay_out(recipe, np.random.default_rng(1))

    assert scene.shares()["necrosis"] == pytest.approx(0.15, abs=0.002)
    assert scene.shares()["fat"] == pytest.approx(0.07, abs=0.002)
    assert scene.shares()["tumour"] > 0.1
    assert scene.shares()["gland"] == 0
    assert scene.glands == ()


def test_tissue_is_one_piece_with_glass_all_round_and_necrosis_next_to_tumour(arrangements):
    for scene in arrangements[0.9]:
        tissue = scene.labels > 0
        rim = np.concatenate([tissue[0], tissue[-1], tissue[:, 0], tissue[:, -1]])
        assert not rim.any()
        assert 0.5 < tissue.mean() < 0.9
        necrosis = scene.labels == NECROSIS
        edge = necrosis & (distance_um(necrosis) <= 1.5 * MAP_UM)
        assert (distance_um(scene.labels != TUMOUR)[edge] <= 2 * MAP_UM).mean() > 0.6


def test_glands_lie_on_stroma_apart_from_each_other(arrangements):
    scene = arrangements[0.9][0]

    assert len(scene.glands) > 20
    for gland in scene.glands:
        assert scene.labels[int(gland.y_um / MAP_UM), int(gland.x_um / MAP_UM)] == GLAND
        assert gland.lumen_um < 0.6 * gland.radius_um
    assert (scene.labels == STROMA).any()


def test_a_blank_slide_has_no_tissue():
    scene = lay_out(Recipe(400, 300, "blank"), np.random.default_rng(0))

    assert not scene.labels.any()
    assert scene.closeness() is None
    assert scene.tissue_mm2() == 0
    assert set(scene.shares().values()) == {0}


def test_a_biopsy_is_smaller_than_a_region():
    scene = lay_out(Recipe(384, 320, "biopsy", sheet=0.25), np.random.default_rng(0))

    rows, cols = np.nonzero(scene.labels)
    assert max(np.ptp(rows), np.ptp(cols)) * MAP_UM < 512
    assert scene.shares()["tumour"] > 0.2
