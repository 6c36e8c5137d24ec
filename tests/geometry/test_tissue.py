"""Tissue on made-up thumbnails at 8 um/px: found where it is, and nothing else with it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from hipt.config.config import SegmentConfig
from hipt.geometry.extent import chroma_threshold
from hipt.geometry.tissue import contours, find_tissue, glass_colour, optical_density, tissue_mm2

MPP = 8.0
CFG = SegmentConfig()
SHAPE = (400, 500)
GLASS = (243, 242, 244)
STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]])  # haematoxylin, eosin
EDGE_PX = 2  # outlines lie within 16 um, but for closed gaps


def disc(y: int, x: int, radius: int, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def thumbnail(tissue: np.ndarray, strength: float = 1.0, glass: tuple[int, ...] = GLASS):
    """Stained, uneven tissue on glass, with a camera's noise."""
    random = np.random.default_rng(0)
    height, width = tissue.shape
    coarse = random.normal(0.25, 0.075, (height // 6 + 2, width // 6 + 2, 2)).astype(np.float32)
    amounts = np.clip(cv2.resize(coarse, (width, height)), 0.03, None) * strength
    light = np.array(glass) * 10 ** -((amounts * tissue[..., None]) @ STAINS)
    return np.clip(np.round(light + random.normal(0, 1.5, light.shape)), 0, 255).astype(np.uint8)


def near(mask: np.ndarray, radius_px: int) -> np.ndarray:
    return cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, 5) <= radius_px


def found(rgb: np.ndarray, mpp: float = MPP) -> np.ndarray:
    return find_tissue(rgb, mpp, CFG).mask


def is_found(mask: np.ndarray, tissue: np.ndarray) -> bool:
    """Whether all the tissue is in a mask, and nothing that is far from it."""
    return (mask & tissue).sum() >= 0.99 * tissue.sum() and not (
        mask & ~near(tissue, EDGE_PX)
    ).any()


PIECES = disc(200, 200, 110) | disc(90, 400, 45)


@pytest.mark.parametrize("strength", [0.2, 1.0, 4.0])
@pytest.mark.parametrize(
    "glass",
    [
        *(GLASS, (255, 255, 255), (232, 236, 243), (246, 243, 235), (205, 203, 207)),
        *((225, 232, 250), (250, 246, 225)),
    ],
)
def test_pale_and_dark_stain_on_white_bluish_yellowish_and_grey_glass(strength, glass):
    assert is_found(found(thumbnail(PIECES, strength, glass)), PIECES)


def test_a_coarser_and_a_finer_thumbnail_show_the_same_tissue():
    rgb = thumbnail(PIECES)
    here = tissue_mm2(found(rgb), MPP)
    for factor in (0.5, 2.0):
        other = cv2.resize(rgb, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)
        assert tissue_mm2(found(other, MPP * factor), MPP * factor) == pytest.approx(here, rel=0.03)


def test_an_empty_slide_has_no_tissue():
    assert not found(thumbnail(np.zeros(SHAPE, bool))).any()
    assert not found(np.full((*SHAPE, 3), 255, np.uint8)).any()


def test_glass_that_gets_darker_to_one_side_is_no_tissue():
    falling = np.linspace(1, 0.85, SHAPE[1])[None, :, None]
    assert not found((thumbnail(np.zeros(SHAPE, bool)) * falling).astype(np.uint8)).any()


@pytest.mark.parametrize("strength", [0.3, 1.0, 2.0])
@pytest.mark.parametrize("border_px", [0, 2, 10])
def test_a_slide_that_is_nearly_all_tissue(strength: float, border_px: int):
    tissue = np.ones(SHAPE, bool)
    tissue[:border_px] = False
    assert found(thumbnail(tissue, strength))[tissue].mean() >= 0.95


def test_a_slide_with_a_thousandth_of_tissue():
    tissue = disc(300, 700, 20, (1000, 1200))
    assert 0.0009 < tissue.mean() < 0.0012
    assert is_found(found(thumbnail(tissue)), tissue)


def test_tissue_cut_by_the_edge_of_the_picture():
    tissue = disc(0, 0, 90) | disc(399, 499, 60)
    assert is_found(found(thumbnail(tissue)), tissue)


def test_dust_is_left_out_whether_stained_or_grey():
    dust = disc(40, 470, 4) | disc(350, 40, 4) | disc(360, 460, 5)
    rgb = thumbnail(PIECES | dust)
    rgb[disc(360, 300, 25) & ~near(PIECES, 1)] = (120, 120, 122)  # large, but without colour
    mask = found(rgb)
    assert is_found(mask, PIECES)
    assert find_tissue(rgb, MPP, CFG.model_copy(update={"min_tissue_mm2": 0.0})).mask[dust].all()


BLUE = [(40, 60, 170), (20, 60, 160), (60, 100, 190), (30, 80, 200)]
GREEN = [(30, 130, 60), (20, 90, 50), (0, 120, 90)]
BLACK = [(30, 30, 32), (50, 48, 52), (15, 15, 15)]


@pytest.mark.parametrize("colour", BLUE + GREEN + BLACK)
def test_pen_marks_are_left_out_and_the_tissue_beside_them_is_kept(colour):
    pen = np.zeros(SHAPE, bool)
    pen[20:380, 300:320] = True  # across the glass, and through the tissue
    pen[340:360, 20:480] = True
    rgb = thumbnail(PIECES)
    shade = np.array(colour) + np.random.default_rng(1).normal(0, 4, (pen.sum(), 3))
    rgb[pen] = np.clip(shade, 0, 255).astype(np.uint8)
    mask = found(rgb)
    assert not mask[pen].any()
    beside = PIECES & ~near(pen, 10)
    assert mask[beside].mean() >= 0.99
    assert not (mask & ~near(PIECES, EDGE_PX)).any()


def test_small_holes_are_filled_and_large_ones_kept():
    small, large = disc(150, 160, 12), disc(240, 220, 40)
    tissue = disc(200, 200, 130) & ~small & ~large
    mask = found(thumbnail(tissue))
    assert mask[small].all()
    assert not mask[disc(240, 220, 40 - EDGE_PX)].any()
    assert tissue_mm2(mask, MPP) == pytest.approx(tissue_mm2(tissue | small, MPP), rel=0.1)


def test_the_same_picture_gives_the_same_mask_and_stays_as_it_was():
    rgb = thumbnail(PIECES)
    np.testing.assert_array_equal(found(rgb), found(rgb))
    np.testing.assert_array_equal(rgb, thumbnail(PIECES))


def test_glass_colour_is_the_commonest_bright_one_or_a_usual_one():
    tinted = glass_colour(thumbnail(PIECES, glass=(236, 232, 240)))
    assert np.abs(tinted - (236, 232, 240)).max() < 2
    np.testing.assert_array_equal(glass_colour(np.full((9, 9, 3), 90, np.uint8)), [245.0] * 3)


def test_optical_density_is_0_on_glass_and_1_at_a_tenth_of_its_light():
    rgb = np.array([[(239, 239, 239), (23, 23, 23), (255, 255, 255)]], np.uint8)
    density = optical_density(rgb, np.full(3, 239.0))
    np.testing.assert_allclose(density[0], [[0] * 3, [1] * 3, [0] * 3], atol=1e-6)


def test_the_threshold_rises_with_the_noise_of_glass_within_its_bounds():
    noise = np.abs(np.random.default_rng(0).normal(0, 1, (200, 200))).astype(np.float32)
    steps = [
        chroma_threshold(0.01 + noise * spread, CFG.min_chroma_od, CFG)
        for spread in (0, 0.001, 0.01, 0.5)
    ]
    assert steps == sorted(steps)
    assert CFG.min_chroma_od <= steps[0] <= steps[-1] <= CFG.max_chroma_od
    assert (
        chroma_threshold(np.full((9, 9), 0.3, np.float32), CFG.min_chroma_od, CFG)
        == CFG.min_chroma_od
    )


masks = st.tuples(st.integers(0, 2**31), st.integers(1, 20), st.integers(1, 20)).map(
    lambda t: np.random.default_rng(t[0]).random(t[1:]) < np.random.default_rng(t[0] + 1).random()
)


@given(masks)
def test_contours_hold_exactly_the_pixels_of_the_mask(mask: np.ndarray):
    shapes = contours(mask)
    assert shapes.geom_type == "MultiPolygon"
    assert shapes.is_valid
    assert shapes.area == mask.sum()
    rows, columns = np.indices(mask.shape)
    np.testing.assert_array_equal(shapely.contains_xy(shapes, columns + 0.5, rows + 0.5), mask)


@given(masks)
def test_contours_are_the_union_of_the_pixels(mask: np.ndarray):
    """A second derivation: vertex by vertex, part by part, holes in their part."""
    rows, columns = np.nonzero(mask)
    union = shapely.union_all(shapely.box(columns, rows, columns + 1, rows + 1))
    parts = [shapely.simplify(p, 0) for p in shapely.get_parts(union) if p.geom_type == "Polygon"]
    expected = shapely.normalize(shapely.MultiPolygon(parts))
    assert shapely.normalize(contours(mask)).equals_exact(expected)


def test_a_ring_is_one_polygon_with_one_hole():
    ring = disc(200, 200, 90) & ~disc(200, 200, 50)
    (polygon,) = contours(ring).geoms
    assert len(polygon.interiors) == 1
    assert contours(np.zeros((3, 4), bool)).is_empty


def test_tissue_area_in_square_millimetres():
    mask = np.zeros((300, 300), bool)
    mask[:250, :125] = True
    assert tissue_mm2(mask, 8.0) == pytest.approx(2.0)  # 2 mm x 1 mm
    assert tissue_mm2(~mask & mask, 8.0) == 0
