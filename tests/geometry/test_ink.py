"""Pen marks are cut out, stain of the same colour is not: painted at 8 um/px."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from hipt.config.config import SegmentConfig
from hipt.geometry.tissue import Tissue, find_tissue

MPP = 8.0
CFG = SegmentConfig()
SHAPE = (300, 400)
GLASS = (243.0, 242.0, 244.0)
BLUISH = (243.0, 242.0, 247.0)

HE = "haematoxylin and eosin"
STAINS = {
    "masson, blue": ((0.12, 0.62, 0.47), (0.48, 0.27, 0.09)),
    "masson, green": ((0.12, 0.60, 0.45), (0.42, 0.17, 0.33)),
    "perls": ((0.04, 0.12, 0.10), (0.62, 0.33, 0.15)),
    "alcian and fast red": ((0.36, 0.17, 0.08), (0.06, 0.33, 0.22)),
    "alcian alone": ((0.36, 0.17, 0.08), (0.30, 0.13, 0.07)),
    "luxol": ((0.55, 0.25, 0.10), (0.40, 0.20, 0.09)),
    "papanicolaou": ((0.31, 0.10, 0.08), (0.06, 0.24, 0.15)),
    "verhoeff": ((0.86, 0.88, 0.84), (0.07, 0.42, 0.30)),
    "silver": ((0.72, 0.78, 0.82), (0.10, 0.12, 0.15)),
    HE: ((0.17, 0.46, 0.20), (0.10, 0.30, 0.12)),
    "fast red": ((0.10, 0.75, 0.62), (0.12, 0.11, 0.04)),
}
"""Optical density of two parts of the tissue: red, green, blue."""
PENS = {
    "blue": (0.85, 0.50, 0.14),
    "green": (0.95, 0.30, 0.62),
    "black": (1.60, 1.63, 1.57),
    "red": (0.06, 0.85, 0.70),
}
SAME = {("blue", "masson, blue"), ("blue", "perls"), ("blue", "alcian and fast red"),
        ("blue", "alcian alone"), ("blue", "luxol"), ("blue", "papanicolaou"),
        ("green", "masson, green"), ("black", "verhoeff"), ("black", "silver"),
        ("red", "masson, blue"), ("red", "masson, green"), ("red", "fast red")}  # fmt: skip
"""Pens that have a colour of the stain: they cannot be told from it."""
OTHER = [(colour, stain) for colour in PENS for stain in STAINS if (colour, stain) not in SAME]


def blob(y: int, x: int, radius: int) -> np.ndarray:
    """A round piece with a wavy edge."""
    rows, columns = np.indices(SHAPE)
    angle = np.arctan2(rows - y, columns - x)
    reach = radius * (1 + 0.08 * np.sin(5 * angle) + 0.05 * np.cos(9 * angle))
    return np.hypot(rows - y, columns - x) <= reach


def strokes(*lines: tuple[tuple[int, int], ...], width: int = 30) -> np.ndarray:
    """Pen strokes through points (x, y); they fade at the edge, as what is out of focus."""
    mark = np.zeros(SHAPE, np.uint8)
    for line in lines:
        cv2.polylines(mark, [np.array(line, np.int32)], False, 255, width, cv2.LINE_AA)
    return cv2.GaussianBlur(mark.astype(np.float32) / 255, (0, 0), 2)


def stained(tissue: np.ndarray, stain: str, structure: float = 0.06) -> np.ndarray:
    """Optical density of tissue whose left and right halves differ in stain."""
    left, right = (np.array(part) for part in STAINS[stain])
    columns = np.nonzero(tissue)[1] if tissue.any() else [0]
    side = (np.arange(SHAPE[1]) < np.mean(columns))[None, :, None]
    cells = np.random.default_rng(3).normal(0, 1, SHAPE).astype(np.float32)
    amount = np.clip(1 + structure * 2.5 * cv2.GaussianBlur(cells, (0, 0), 0.7), 0.1, None)
    return np.where(side, left, right) * (amount * tissue)[..., None]


def inked(density: np.ndarray, pen: np.ndarray, colour: str, opaque: bool = False) -> np.ndarray:
    """Light goes through ink and tissue; or ink hides what is below it."""
    return density * (1 - opaque * pen[..., None]) + np.array(PENS[colour]) * pen[..., None]


def picture(density: np.ndarray, glass: tuple[float, ...] = GLASS) -> np.ndarray:
    """What a camera sees of it."""
    noise = np.random.default_rng(4).normal(0, 2, density.shape)
    return np.clip(np.round(np.array(glass) * 10**-density + noise), 0, 255).astype(np.uint8)


def found(rgb: np.ndarray) -> Tissue:
    return find_tissue(rgb, MPP, CFG)


PIECE = blob(150, 190, 95)
STROKE = strokes(((20, 60), (150, 150), (370, 230)))


@pytest.mark.parametrize("glass", [GLASS, BLUISH])
@pytest.mark.parametrize("structure", [0.02, 0.3])
@pytest.mark.parametrize("stain", STAINS)
def test_a_stain_as_blue_green_or_black_as_ink_is_tissue(stain, structure, glass):
    tissue = found(picture(stained(PIECE, stain, structure), glass))
    assert tissue.mask[PIECE].mean() >= 0.99
    assert tissue.ink_fraction == 0


def test_a_blue_piece_stays_tissue_beside_a_speck_of_another_colour():
    rgb = picture(stained(PIECE, "luxol", 0.02))
    rgb[40:52, 330:345] = (200, 90, 160)  # 0.012 mm2
    tissue = found(rgb)
    assert tissue.mask[PIECE].mean() >= 0.99
    assert tissue.ink_fraction == 0


@pytest.mark.parametrize("stain", ["alcian alone", "luxol", "masson, green", "papanicolaou"])
def test_a_core_biopsy_in_a_blue_or_green_stain_is_no_stroke(stain: str):
    core = strokes(((30, 40), (200, 120), (370, 260)), width=60) > 0.5
    tissue = found(picture(stained(core, stain, 0.3)))
    assert tissue.mask[core].mean() >= 0.97
    assert tissue.ink_fraction == 0


@pytest.mark.parametrize("opaque", [True, False])
@pytest.mark.parametrize(("colour", "stain"), OTHER)
def test_a_pen_of_another_colour_is_cut_out_of_a_special_stain(colour, stain, opaque):
    tissue = found(picture(inked(stained(PIECE, stain), STROKE, colour, opaque)))
    marked = (STROKE > 0.7) & (opaque | ~PIECE)  # of both together the colour is neither's
    assert tissue.mask[marked].mean() < 0.02
    beside = PIECE & (cv2.dilate(STROKE, np.ones((29, 29))) < 0.05)
    assert tissue.mask[beside].mean() >= 0.97
    assert tissue.ink_fraction > 0.1


@pytest.mark.parametrize("colour", PENS)
def test_a_pen_that_covers_more_than_a_tiny_biopsy_does(colour: str):
    biopsy = blob(150, 200, 16)
    circle = np.zeros(SHAPE, np.uint8)
    cv2.circle(circle, (200, 150), 95, 255, 28, cv2.LINE_AA)
    ring = cv2.GaussianBlur(circle.astype(np.float32) / 255, (0, 0), 2)
    tissue = found(picture(inked(stained(biopsy, HE), ring, colour)))
    assert tissue.mask[biopsy].mean() >= 0.98
    assert not tissue.mask[ring > 0.3].any()
    assert tissue.ink_fraction > 0.9


@pytest.mark.parametrize("colour", ["blue", "green", "black"])
def test_writing_on_glass_without_tissue_is_no_tissue(colour: str):
    letters = strokes(
        *(((40, 60), (40, 220)), ((40, 60), (120, 60)), ((40, 140), (100, 140))),
        *(((180, 220), (230, 60), (280, 220)), ((205, 150), (255, 150)), ((330, 60), (330, 220))),
        width=20,
    )
    tissue = found(picture(inked(np.zeros((*SHAPE, 3)), letters, colour)))
    assert not tissue.mask.any()
    assert tissue.ink_fraction == 1


@pytest.mark.parametrize("colour", ["blue", "green", "black"])
def test_a_dot_of_ink_beside_tissue_is_cut_out(colour: str):
    rows, columns = np.indices(SHAPE)
    dot = (np.hypot(rows - 150, columns - 340) < 40).astype(np.float32)
    tissue = found(picture(inked(stained(blob(150, 140, 90), HE), dot, colour)))
    assert not tissue.mask[dot > 0].any()
    assert 0.1 < tissue.ink_fraction < 0.3


def test_black_pigment_inside_tissue_stays():
    pigment = blob(140, 190, 25).astype(np.float32)
    tissue = found(picture(inked(stained(PIECE, HE), pigment, "black")))
    assert tissue.mask[PIECE].mean() >= 0.99
    assert tissue.ink_fraction == 0


def test_a_bleeding_across_tissue_is_no_red_pen():
    bleeding = cv2.dilate(strokes(((130, 110), (190, 150), (250, 190))), np.ones((3, 3)))
    tissue = found(picture(inked(stained(PIECE, HE), bleeding * PIECE, "red")))
    assert tissue.mask[PIECE].mean() >= 0.99
    assert tissue.ink_fraction == 0


def test_a_slide_that_is_blank_or_of_one_colour_has_no_ink():
    assert found(picture(np.zeros((*SHAPE, 3)))).ink_fraction == 0
    whole = np.ones(SHAPE, bool)
    tissue = found(picture(stained(whole, "luxol", 0.3)))
    assert tissue.mask.mean() > 0.99
    assert tissue.ink_fraction == 0
