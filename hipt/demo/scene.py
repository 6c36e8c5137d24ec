"""What lies where on a slide: a map of tissue types, before anything is painted.

Tissue is divided into territories (fat, glands, a tumour sheet around a necrotic core) and a
remainder of stroma. The stroma carries *sites* on a jittered lattice: tumour islands, immune
clusters and empty ones, in fixed numbers. `Recipe.mixing` alone decides which site gets which
kind: at 0 tumour gathers round the sheet and immune clusters stay far from it, at 1 the kinds are
shuffled. Sites keep one distance from each other whatever their kinds, so single patches look
alike at any mixing, and only a wider view tells the arrangements apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import cv2
import numpy as np

from hipt.demo.noise import Bytes, Floats, Mask, Points, floats, scatter, smooth

MAP_UM = 2
"""Side of a map pixel, micrometres."""

LABELS = ("glass", "stroma", "tumour", "immune", "gland", "necrosis", "fat")
"""Names of the values of a map of tissue types."""

GLASS, STROMA, TUMOUR, IMMUNE, GLAND, NECROSIS, FAT = range(len(LABELS))

NEAR_UM = 150.0
"""An immune cell this close to tumour counts as near it; more than a patch of 128 um."""

_SITE_UM = 185.0
_SITE_SHARES = {TUMOUR: 0.40, IMMUNE: 0.33}
_SITE_RADII_UM = {TUMOUR: (45.0, 60.0), IMMUNE: (35.0, 45.0)}
_STRETCH = {TUMOUR: 1.18, IMMUNE: 1.12}
_SITE_MARGIN_UM = 34.0
_SHEET_MARGIN_UM = 130.0
_GLAND_UM = 88.0


@dataclass(frozen=True)
class Recipe:
    """What one slide shows; shares are of its tissue."""

    width_um: float
    height_um: float
    shape: Literal["block", "biopsy", "blank"] = "block"
    mixing: float = 1.0
    """0: immune clusters apart from tumour; 1: among it."""
    necrosis: float = 0.1
    sheet: float = 0.08
    gland: float = 0.12
    fat: float = 0.08


class Gland(NamedTuple):
    """A gland seen in cross-section; its outline wavers round a circle."""

    x_um: float
    y_um: float
    radius_um: float
    lumen_um: float
    waves: tuple[float, float]
    phases: tuple[float, float]

    def outline(self, angle: Points | Floats) -> Points:
        """Outer radius in the direction `angle`, as a multiple of `radius_um`."""
        (two, three), (a, b) = self.waves, self.phases
        return np.asarray(1 + two * np.cos(2 * angle + a) + three * np.cos(3 * angle + b))


@dataclass(frozen=True)
class Scene:
    """Where everything lies; `labels` is (rows, columns) at MAP_UM per pixel."""

    labels: Bytes
    glands: tuple[Gland, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the map."""
        return self.labels.shape[0], self.labels.shape[1]

    @property
    def size_um(self) -> tuple[float, float]:
        """Width and height of the map."""
        rows, cols = self.labels.shape
        return cols * float(MAP_UM), rows * float(MAP_UM)

    def shares(self) -> dict[str, float]:
        """Share of each tissue type in the tissue; all 0 on a blank slide."""
        counts = np.bincount(self.labels.ravel(), minlength=len(LABELS))[1:]
        whole = max(int(counts.sum()), 1)
        return {name: int(n) / whole for name, n in zip(LABELS[1:], counts, strict=True)}

    def tissue_mm2(self) -> float:
        """Area that is not glass."""
        return float(np.count_nonzero(self.labels)) * (MAP_UM / 1000) ** 2

    def closeness(self) -> float | None:
        """Share of the immune area within NEAR_UM of tumour; None where there is none."""
        immune = self.labels == IMMUNE
        if not immune.any():
            return None
        return float((distance_um(self.labels != TUMOUR)[immune] <= NEAR_UM).mean())


def lay_out(recipe: Recipe, rng: np.random.Generator) -> Scene:
    """A scene by the recipe; equal generators give equal scenes."""
    shape = (round(recipe.height_um / MAP_UM), round(recipe.width_um / MAP_UM))
    labels = np.zeros(shape, np.uint8)
    if recipe.shape == "blank":
        return Scene(labels, ())
    labels[_outline(rng, shape, recipe.shape)] = STROMA
    from_core = _territories(labels, recipe, rng)
    glands = _glands(labels, rng)
    _fill_sites(labels, -from_core, recipe.mixing, rng)
    return Scene(labels, glands)


def distance_um(mask: Mask) -> Floats:
    """Distance to the nearest pixel that is not in the mask, micrometres; 0 outside it."""
    if mask.all():
        return np.full(mask.shape, np.inf, np.float32)
    return np.asarray(MAP_UM * cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5))


class Window(NamedTuple):
    """A square of the map round a point, with the offsets from it in micrometres."""

    rows: slice
    cols: slice
    dx: Points
    dy: Points

    @classmethod
    def around(cls, shape: tuple[int, ...], x_um: float, y_um: float, reach_um: float) -> Window:
        """The part of a square of half side `reach_um` that lies on the map."""
        rows, cols = (
            slice(max(0, int((c - reach_um) / MAP_UM)), min(n, int((c + reach_um) / MAP_UM) + 1))
            for c, n in zip((y_um, x_um), shape, strict=True)
        )
        dy, dx = np.mgrid[rows, cols] * float(MAP_UM)
        return cls(rows, cols, dx - x_um, dy - y_um)

    def turned(self, angle: float) -> tuple[Points, Points]:
        """The offsets along a direction and across it."""
        cos, sin = np.cos(angle), np.sin(angle)
        return self.dx * cos + self.dy * sin, self.dy * cos - self.dx * sin


def _outline(rng: np.random.Generator, shape: tuple[int, int], kind: str) -> Mask:
    """The tissue's silhouette: one piece, with glass all round."""
    down, right = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    power, rough = (3.0, 0.065) if kind == "block" else (2.0, 0.06)
    radius = (np.abs(down) ** power + np.abs(right) ** power) ** (1 / power)
    radius += rough * smooth(rng, shape, 260 / MAP_UM) + 0.012 * smooth(rng, shape, 40 / MAP_UM)
    inside = (radius < 0.84) & (np.maximum(np.abs(down), np.abs(right)) < 0.95)
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(inside.astype(np.uint8))
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()) if count > 1 else 0
    return np.asarray(pieces == largest)


def _territories(labels: Bytes, recipe: Recipe, rng: np.random.Generator) -> Floats:
    """Write fat, gland ground, sheet and necrosis; returns each pixel's distance from the core."""
    shape = labels.shape[0], labels.shape[1]
    y, x = np.mgrid[: shape[0], : shape[1]] * float(MAP_UM)
    turn = rng.uniform(0, 2 * np.pi)
    reach = 0.5 * max(recipe.width_um, recipe.height_um)
    x, y = (x - recipe.width_um / 2) / reach, (y - recipe.height_um / 2) / reach

    def toward(angle: float) -> Floats:
        waver = smooth(rng, shape, 240 / MAP_UM) + 0.4 * smooth(rng, shape, 70 / MAP_UM)
        return floats(x * np.cos(angle) + y * np.sin(angle) + 0.12 * waver)

    area = np.count_nonzero(labels)
    _claim(labels, toward(turn), FAT, recipe.fat * area)
    _claim(labels, toward(turn + 2.1), GLAND, recipe.gland * area)
    core_x, core_y = 0.42 * np.cos(turn - 2.1), 0.42 * np.sin(turn - 2.1)
    from_core = floats(np.hypot(x - core_x, y - core_y))
    waver = smooth(rng, shape, 200 / MAP_UM) + 0.3 * smooth(rng, shape, 60 / MAP_UM)
    near_core = floats(0.06 * waver - from_core)
    _claim(labels, near_core, TUMOUR, (recipe.sheet + recipe.necrosis) * area)
    _claim(labels, near_core, NECROSIS, recipe.necrosis * area, ground=TUMOUR)
    return from_core


def _claim(labels: Bytes, field: Floats, label: int, pixels: float, ground: int = STROMA) -> None:
    """Give the pixels of `ground` with the highest values to `label`."""
    rows, cols = np.nonzero(labels == ground)
    count = min(round(pixels), rows.size)
    top = np.argsort(-field[rows, cols], kind="stable")[:count]
    labels[rows[top], cols[top]] = label


def _glands(labels: Bytes, rng: np.random.Generator) -> tuple[Gland, ...]:
    """Pack glands into the gland ground, which turns to stroma between them."""
    ground = labels == GLAND
    labels[ground] = STROMA
    room = distance_um(ground)
    size = labels.shape[1] * MAP_UM, labels.shape[0] * MAP_UM
    glands = []
    for x, y in scatter(rng, size, _GLAND_UM, jitter=0.13):
        radius, lumen = rng.uniform(29, 43), rng.uniform(0.2, 0.5)
        waves, phases = rng.uniform(0, (0.24, 0.09)), rng.uniform(0, 2 * np.pi, 2)
        if room[int(y / MAP_UM), int(x / MAP_UM)] < 24:
            continue
        glands.append(Gland(x, y, radius, lumen * radius, tuple(waves), tuple(phases)))
        window = Window.around(labels.shape, x, y, 1.35 * radius)
        edge = radius * glands[-1].outline(np.arctan2(window.dy, window.dx))
        patch = labels[window.rows, window.cols]
        patch[(np.hypot(window.dx, window.dy) < edge) & (patch == STROMA)] = GLAND
    return tuple(glands)


def _fill_sites(labels: Bytes, key: Floats, mixing: float, rng: np.random.Generator) -> None:
    """Put islands and clusters on the sites of the stroma."""
    size = labels.shape[1] * MAP_UM, labels.shape[0] * MAP_UM
    sites = scatter(rng, size, _SITE_UM, jitter=0.06)
    at = (sites[:, 1] / MAP_UM).astype(int), (sites[:, 0] / MAP_UM).astype(int)
    free = distance_um(labels == STROMA)[at] >= _SITE_MARGIN_UM
    free &= distance_um(~np.isin(labels, (TUMOUR, NECROSIS)))[at] >= _SHEET_MARGIN_UM
    sites, key_at = sites[free], key[at][free]
    kinds = arrange(key_at, mixing, rng)
    stroma = labels == STROMA
    shape = labels.shape[0], labels.shape[1]
    warp = 1 + 0.13 * smooth(rng, shape, 60 / MAP_UM) + 0.05 * smooth(rng, shape, 18 / MAP_UM)
    for (x, y), kind in zip(sites, kinds, strict=True):
        if kind == STROMA:
            continue
        radius, stretch = rng.uniform(*_SITE_RADII_UM[kind]), rng.uniform(1.0, _STRETCH[kind])
        window = Window.around(shape, x, y, 1.7 * radius)
        along, across = window.turned(rng.uniform(0, np.pi))
        reach = np.hypot(along / stretch, across * stretch) * warp[window.rows, window.cols]
        labels[window.rows, window.cols][(reach < radius) & stroma[window.rows, window.cols]] = kind


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
