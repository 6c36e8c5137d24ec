"""Outlines lie where the tissue ends, and fat belongs to it: painted at 8 um/px."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from benchmarks import bench_outlines as outlines
from hipt.config.config import SegmentConfig
from hipt.geometry.tissue import find_tissue
from hipt.slides.slide import open_slide

MPP = 8.0
CFG = SegmentConfig()
SHAPE = (300, 400)
GLASS = (243.0, 242.0, 244.0)
STAIN = np.array((0.16, 0.46, 0.20))  # optical density of a well stained H&E section
FAR_UM = 20.0


def blob(y: int, x: int, radius: int) -> np.ndarray:
    """A round piece with a wavy edge."""
    rows, columns = np.indices(SHAPE)
    angle = np.arctan2(rows - y, columns - x)
    reach = radius * (1 + 0.08 * np.sin(5 * angle) + 0.05 * np.cos(9 * angle))
    return np.hypot(rows - y, columns - x) <= reach


def painted(amount: np.ndarray, glass=GLASS, stain=STAIN) -> np.ndarray:
    """So much stain in each pixel, on glass, blurred as by a lens, with a camera's noise."""
    random = np.random.default_rng(5)
    cells = cv2.GaussianBlur(random.normal(1, 0.3, SHAPE), (0, 0), 0.7)
    amount = cv2.GaussianBlur(amount * np.clip(cells, 0.2, None), (0, 0), 0.6)
    light = np.asarray(glass) * 10 ** -(amount[..., None] * stain)
    return np.clip(np.round(light + random.normal(0, 0.7, light.shape)), 0, 255).astype(np.uint8)


def found(rgb: np.ndarray) -> np.ndarray:
    return find_tissue(rgb, MPP, CFG).mask


def between_um(mask: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """From each pixel of the true edge to the outline."""

    def edge(of: np.ndarray) -> np.ndarray:
        return of & (cv2.erode(of.astype(np.uint8), np.ones((3, 3)), borderValue=1) == 0)

    away = cv2.distanceTransform((~edge(mask)).astype(np.uint8), cv2.DIST_L2, 5)
    return away[edge(truth)] * MPP


PIECE = blob(150, 190, 95)


@pytest.mark.parametrize("strength", [0.3, 1.0, 2.0])
@pytest.mark.parametrize("glass", [GLASS, (255, 255, 255), (232, 236, 243)])
def test_the_outline_lies_on_the_edge_of_pale_and_dark_tissue(strength, glass):
    away = between_um(found(painted(PIECE * strength, glass)), PIECE)
    assert np.median(away) <= 8
    assert np.percentile(away, 95) <= FAR_UM


def test_glass_that_is_tinted_beside_a_white_fill_is_no_tissue():
    glass = np.full((*SHAPE, 3), 255.0)
    glass[:, 40:] = (241, 238, 241)
    mask = found(painted(PIECE * 1.5, glass))
    assert np.median(between_um(mask, PIECE)) <= 8
    assert mask.sum() <= 1.04 * PIECE.sum()


def test_a_halo_of_stain_around_tissue_is_no_tissue():
    away = cv2.distanceTransform((~PIECE).astype(np.uint8), cv2.DIST_L2, 5)
    halo = 0.05 * np.exp(-away / 15)  # a smear of eosin, up to 0.2 mm wide
    rgb = painted(np.maximum(PIECE * 1.5, halo))
    mask = found(rgb)
    assert np.median(between_um(mask, PIECE)) <= 10
    assert mask.sum() <= 1.05 * PIECE.sum()


def test_pale_tissue_beside_dark_tissue_is_kept_to_its_edge():
    pale = PIECE & (np.arange(SHAPE[1]) > 190)
    mask = found(painted(PIECE * 1.0 - pale * 0.8))
    assert mask[PIECE].mean() >= 0.98
    assert mask[pale].mean() >= 0.97


def cells(spacing_px: int) -> np.ndarray:
    """Walls of fat cells, one pixel thin, in a honeycomb of round cells."""
    random = np.random.default_rng(2)
    rows, columns = np.mgrid[0 : SHAPE[0] : spacing_px, 0 : SHAPE[1] : spacing_px]
    seeds = np.ones(SHAPE, np.uint8)
    y = (rows + random.integers(0, spacing_px // 2, rows.shape)).clip(0, SHAPE[0] - 1)
    x = (columns + random.integers(0, spacing_px // 2, rows.shape)).clip(0, SHAPE[1] - 1)
    seeds[y, x] = 0
    _, labels = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5)
    labels = labels.astype(np.float32)
    return cv2.dilate(labels, np.ones((2, 2))) != cv2.erode(labels, np.ones((2, 2)))


@pytest.mark.parametrize("spacing_px", [8, 14, 20])  # 64, 112, 160 um
def test_fat_beside_tissue_is_tissue_with_the_cells_between_its_walls(spacing_px: int):
    fat = np.zeros(SHAPE, bool)
    fat[60:240, 250:360] = True
    amount = np.maximum(PIECE * 1.0, fat * cells(spacing_px) * 0.12)
    mask = found(painted(amount))
    assert mask[fat].mean() >= 0.85
    assert (mask & ~(PIECE | fat)).sum() <= 0.03 * (PIECE | fat).sum()


def test_fragments_of_a_hundredth_of_a_square_millimetre_are_kept_and_dust_is_not():
    rows, columns = np.indices(SHAPE)
    fragment = np.hypot(rows - 60, columns - 350) <= 8  # 0.013 mm2
    dust = np.hypot(rows - 240, columns - 350) <= 5  # 0.005 mm2
    mask = found(painted((PIECE | fragment | dust) * 1.0))
    assert mask[fragment].mean() >= 0.9
    assert not mask[dust].any()


def test_debris_beside_tissue_makes_no_bumps():
    debris = np.zeros(SHAPE, bool)
    debris[::17, ::23] = True  # specks of 8 um
    mask = found(painted(np.maximum(PIECE * 1.0, debris * 0.1)))
    assert mask.sum() <= 1.03 * PIECE.sum()


DRAWN = json.loads(outlines.DRAWN.read_text())


@pytest.mark.real
@pytest.mark.parametrize("name", DRAWN)
def test_outlines_of_real_slides_lie_within_20_um_of_edges_drawn_by_hand(name: str, shared_dir):
    (path,) = (shared_dir / "slides").rglob(name)
    with open_slide(path) as slide:
        mpp = slide.info.mpp[0] if slide.info.mpp else 0.5
        thumbnail, scale, _ = slide.thumbnail(CFG.mask_mpp / mpp)
    mask = find_tissue(thumbnail, mpp * scale, CFG).mask
    away = np.abs(outlines.by_hand(mask, DRAWN[name], scale)) * mpp * scale
    assert np.median(away) <= 12
    assert np.percentile(away, 90) <= 40


@pytest.mark.real
def test_blank_glass_has_no_tissue_and_bubbles_at_a_slides_edge_are_none(shared_dir):
    masks = {}
    for name in ("blank_background_gt450", "spleen_at2_20x"):
        with open_slide(shared_dir / "slides" / f"{name}.tif") as slide:
            thumbnail, scale, _ = slide.thumbnail(8 / slide.info.mpp[0])
            masks[name] = find_tissue(thumbnail, slide.info.mpp[0] * scale, CFG).mask
    assert not masks["blank_background_gt450"].any()
    assert not masks["spleen_at2_20x"][:60, :195].any()  # bubbles, the black line
    assert not masks["spleen_at2_20x"][:35, 440:].any()
