"""Places tissue types on a slide.

Tissue is divided into territories (fat, glands, a tumour sheet round a necrotic core) and a
remainder of stroma. The stroma carries *sites* on a jittered lattice: tumour islands, immune
clusters and empty ones, in fixed numbers. `Recipe.mixing` alone decides which site gets which
kind: at 0 tumour gathers round the sheet and immune clusters stay far from it, at 1 the kinds are
shuffled. Sites keep one distance from each other whatever their kinds, so single patches look
alike at any mixing, and only a wider view tells the arrangements apart.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from hipt.demo.noise import Bytes, Floats, Mask, floats, scatter, smooth
from hipt.demo.scene import (
    FAT,
    GLAND,
    IMMUNE,
    MAP_UM,
    NECROSIS,
    STROMA,
    TUMOUR,
    Gland,
    Recipe,
    Scene,
    Window,
    distance_um,
    pixels,
    size_um,
)

_THIRD_TURN = 2 * np.pi / 3
_CORE_OFFSET = 0.42
"""From the middle of the slide to that of the tumour sheet, in halves of the longer side."""

_SITE_UM = 185.0
_SITE_SHARES = {TUMOUR: 0.40, IMMUNE: 0.33}
_SITE_RADII_UM = {TUMOUR: (45.0, 60.0), IMMUNE: (35.0, 45.0)}
_SITE_STRETCH = {TUMOUR: 1.18, IMMUNE: 1.12}
_SITE_MARGIN_UM = 34.0
_SHEET_MARGIN_UM = 130.0
"""Between a site and the sheet, lest a cluster share a patch with it."""

_GLAND_UM = 88.0
_GLAND_ROOM_UM = 24.0


def lay_out(recipe: Recipe, rng: np.random.Generator) -> Scene:
    """A scene by the recipe; equal generators give equal scenes."""
    labels = np.zeros((round(recipe.height_um / MAP_UM), round(recipe.width_um / MAP_UM)), np.uint8)
    if recipe.shape == "blank":
        return Scene(labels, ())
    labels[_outline(rng, labels.shape, recipe.shape)] = STROMA
    from_core = _divide(labels, recipe, rng)
    glands = _pack_glands(labels, rng)
    _fill_sites(labels, -from_core, recipe.mixing, rng)
    return Scene(labels, glands)


def arrange(key: Floats, mixing: float, rng: np.random.Generator) -> list[int]:
    """The kind of each site: the same number of each at any mixing.

    Args:
        key: one number per site; tumour takes the highest, immune clusters the lowest.
        mixing: share of the sites that then swap kinds among each other.
        rng: where the numbers come from.

    Returns:
        A label per site: TUMOUR, IMMUNE or STROMA for an empty site.
    """
    n = len(key)
    tumour, immune = (round(_SITE_SHARES[kind] * n) for kind in (TUMOUR, IMMUNE))
    kinds = np.full(n, STROMA)
    order = np.argsort(-key, kind="stable")
    kinds[order[:tumour]] = TUMOUR
    kinds[order[n - immune :]] = IMMUNE
    swapped = rng.permutation(n)[: round(mixing * n)]
    kinds[swapped] = kinds[rng.permutation(swapped)]
    return [int(kind) for kind in kinds]


def _outline(
    rng: np.random.Generator, shape: tuple[int, ...], kind: Literal["block", "biopsy"]
) -> Mask:
    """The tissue's silhouette: one piece, with glass all round."""
    down, right = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    power, rough = (3.0, 0.065) if kind == "block" else (2.0, 0.06)
    radius = (np.abs(down) ** power + np.abs(right) ** power) ** (1 / power)
    radius += rough * smooth(rng, shape, 260 / MAP_UM) + 0.012 * smooth(rng, shape, 40 / MAP_UM)
    inside = (radius < 0.84) & (np.maximum(np.abs(down), np.abs(right)) < 0.95)
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(inside.astype(np.uint8))
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()) if count > 1 else 0
    return np.asarray(pieces == largest)


def _divide(labels: Bytes, recipe: Recipe, rng: np.random.Generator) -> Floats:
    """Write fat, gland ground, sheet and necrosis; returns each pixel's distance from the core."""
    size, turn = size_um(labels), rng.uniform(0, 2 * np.pi)
    middle_x, middle_y = (0.5 * side for side in size)
    down, right = np.indices(labels.shape) * float(MAP_UM)
    x, y = (right - middle_x) / max(size) * 2, (down - middle_y) / max(size) * 2

    def waver(long_um: float, short_um: float) -> Floats:
        return smooth(rng, labels.shape, long_um / MAP_UM) + np.float32(0.35) * smooth(
            rng, labels.shape, short_um / MAP_UM
        )

    def toward(angle: float) -> Floats:
        return floats(x * np.cos(angle) + y * np.sin(angle) + 0.12 * waver(240, 70))

    area = np.count_nonzero(labels)
    _claim(labels, toward(turn), FAT, recipe.fat * area)
    _claim(labels, toward(turn + _THIRD_TURN), GLAND, recipe.gland * area)
    angle = turn - _THIRD_TURN
    from_core = np.hypot(x - _CORE_OFFSET * np.cos(angle), y - _CORE_OFFSET * np.sin(angle))
    near_core = floats(0.06 * waver(200, 60) - from_core)
    _claim(labels, near_core, TUMOUR, (recipe.sheet + recipe.necrosis) * area)
    _claim(labels, near_core, NECROSIS, recipe.necrosis * area, ground=TUMOUR)
    return floats(from_core)


def _claim(labels: Bytes, field: Floats, label: int, pixels: float, ground: int = STROMA) -> None:
    """Give the pixels of `ground` with the highest values to `label`."""
    rows, cols = np.nonzero(labels == ground)
    count = min(round(pixels), rows.size)
    top = np.argsort(-field[rows, cols], kind="stable")[:count]
    labels[rows[top], cols[top]] = label


def _pack_glands(labels: Bytes, rng: np.random.Generator) -> tuple[Gland, ...]:
    """Pack glands into the gland ground, which turns to stroma between them."""
    ground = labels == GLAND
    labels[ground] = STROMA
    room = distance_um(ground)
    glands = []
    centres = scatter(rng, size_um(labels), _GLAND_UM, jitter=0.13)
    for x, y in centres[room[pixels(centres)] >= _GLAND_ROOM_UM]:
        radius, lumen = rng.uniform(29, 43), rng.uniform(0.2, 0.5)
        waves, phases = rng.uniform(0, (0.24, 0.09)), rng.uniform(0, 2 * np.pi, 2)
        gland = Gland(x, y, radius, lumen * radius, tuple(waves), tuple(phases))
        glands.append(gland)
        window = Window.around(labels.shape, x, y, 1.35 * radius)
        edge = radius * gland.outline(np.arctan2(window.dy, window.dx))
        patch = labels[window.rows, window.cols]
        patch[(np.hypot(window.dx, window.dy) < edge) & (patch == STROMA)] = GLAND
    return tuple(glands)


def _fill_sites(labels: Bytes, key: Floats, mixing: float, rng: np.random.Generator) -> None:
    """Put islands and clusters on the sites of the stroma."""
    stroma = labels == STROMA
    sites = scatter(rng, size_um(labels), _SITE_UM, jitter=0.06)
    free = distance_um(stroma)[pixels(sites)] >= _SITE_MARGIN_UM
    sheet = np.isin(labels, (TUMOUR, NECROSIS))
    free &= distance_um(~sheet)[pixels(sites)] >= _SHEET_MARGIN_UM
    sites = sites[free]
    warp = 1 + 0.13 * smooth(rng, labels.shape, 60 / MAP_UM)
    warp += 0.05 * smooth(rng, labels.shape, 18 / MAP_UM)
    for (x, y), kind in zip(sites, arrange(key[pixels(sites)], mixing, rng), strict=True):
        if kind == STROMA:
            continue
        radius, stretch = rng.uniform(*_SITE_RADII_UM[kind]), rng.uniform(1, _SITE_STRETCH[kind])
        window = Window.around(labels.shape, x, y, 1.7 * radius)
        along, across = window.turned(rng.uniform(0, np.pi))
        reach = np.hypot(along / stretch, across * stretch) * warp[window.rows, window.cols]
        part = labels[window.rows, window.cols]
        part[(reach < radius) & stroma[window.rows, window.cols]] = kind
