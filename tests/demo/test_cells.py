from dataclasses import fields

import numpy as np
import pytest

from hipt.demo.cells import populate
from hipt.demo.layout import lay_out
from hipt.demo.scene import (
    FAT,
    GLASS,
    IMMUNE,
    NECROSIS,
    STROMA,
    TUMOUR,
    Recipe,
    pixels,
)


@pytest.fixture(scope="module")
def scene():
    return lay_out(Recipe(1200, 1000), np.random.default_rng(4))


@pytest.fixture(scope="module")
def cells(scene):
    return populate(scene, np.random.default_rng(5))


@pytest.mark.parametrize(
    ("kind", "label"), [("tumour", TUMOUR), ("spindle", STROMA), ("debris", NECROSIS)]
)
def test_nuclei_lie_on_their_tissue(scene, cells, kind, label):
    places = cells.nuclei[kind]

    assert len(places) > 50
    assert (scene.labels[pixels(places)] == label).all()


def test_lymphocytes_crowd_in_clusters_and_thin_out(scene, cells):
    at = scene.labels[pixels(cells.nuclei["lymphocyte"])]

    def density(label):
        return (at == label).sum() / (scene.labels == label).sum()

    assert density(IMMUNE) > 10 * density(STROMA) > 0
    assert density(GLASS) == 0


def test_gland_nuclei_stand_in_rings_round_the_lumen(scene, cells):
    rings = cells.nuclei["epithelial"]
    centres = np.array([(gland.x_um, gland.y_um) for gland in scene.glands])

    away = np.linalg.norm(rings[:, None, :2] - centres, axis=2)
    nearest = away.argmin(axis=1)
    for i, gland in enumerate(scene.glands):
        mine = away[nearest == i, i]
        assert len(mine) > 10
        assert mine.min() > gland.lumen_um * 0.7
        assert mine.max() < gland.radius_um * 1.5


def test_clear_spaces_are_glass_lumens_and_fat(scene, cells):
    def opened(label):
        return (cells.clear[scene.labels == label] > 0).mean()

    assert opened(GLASS) > 0.98
    assert opened(FAT) > 0.6
    assert opened(STROMA) < 0.1
    assert opened(TUMOUR) < 0.05
    for gland in scene.glands:
        assert cells.clear[pixels(np.array([[gland.x_um, gland.y_um]]))] > 0


def test_spindle_nuclei_follow_the_fibres(cells):
    places = cells.nuclei["spindle"]
    down, right = (np.gradient(cells.across, axis=axis)[pixels(places)] for axis in (0, 1))

    # along a fibre the coordinate across it does not change
    change = right * np.cos(places[:, 2]) + down * np.sin(places[:, 2])
    assert np.median(np.abs(change) / np.hypot(right, down)) < 0.25


def test_equal_generators_give_equal_cells(scene, cells):
    again = populate(scene, np.random.default_rng(5))

    for field in fields(cells):
        if field.name != "nuclei":
            np.testing.assert_array_equal(getattr(again, field.name), getattr(cells, field.name))
    for kind, places in cells.nuclei.items():
        np.testing.assert_array_equal(again.nuclei[kind], places)
