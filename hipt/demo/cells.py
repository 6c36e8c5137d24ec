"""From tissue types to cells: nuclei, cell walls, clear spaces and the run of the fibres."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import cKDTree

from hipt.demo.noise import Floats, Mask, Points, floats, scatter, smooth
from hipt.demo.nuclei import Kind
from hipt.demo.scene import (
    FAT,
    GLAND,
    GLASS,
    IMMUNE,
    MAP_UM,
    NECROSIS,
    STROMA,
    TUMOUR,
    Scene,
    Window,
    distance_um,
    pixels,
)

_DEEP_UM = 6.0


@dataclass(frozen=True)
class Cells:
    """What the brush needs: fields on the scene's map, and lists of places."""

    clear: Floats
    """Micrometres into a clear space (glass, lumen, fat vacuole, cleft); negative in tissue."""
    wall: Floats
    """Micrometres from the nearest cell wall; large where walls are not shown."""
    along: Floats
    """Fibre coordinate along the fibres, micrometres."""
    across: Floats
    """Fibre coordinate across them."""
    nuclei: Mapping[Kind, Points]
    """(N, 3) per kind: x and y in micrometres, angle of the long axis."""


def populate(scene: Scene, rng: np.random.Generator) -> Cells:
    """Cells for a scene; equal generators give equal cells."""
    tumour = _spread(scene, rng, 12.6, scene.labels == TUMOUR)
    stroma = _spread(scene, rng, 19.0, floats(0.7 * (scene.labels == STROMA)))
    lymphocytes = _spread(scene, rng, 7.0, _crowd(scene))
    debris = _spread(scene, rng, 11.0, _rubble(scene, rng))
    rings = _rings(scene, rng)
    along, across = _fibres(scene, rng)
    wall = np.full(scene.labels.shape, _DEEP_UM, np.float32)
    _walls(wall, scene.labels == TUMOUR, tumour)
    _walls(wall, scene.labels == GLAND, rings[:, :2])
    _walls(wall, scene.labels == NECROSIS, scatter(rng, scene.size_um, 19.0, jitter=0.5))
    nuclei: dict[Kind, Points] = {
        "tumour": _turned(tumour, rng),
        "epithelial": rings,
        "spindle": _along(stroma, across, rng),
        "lymphocyte": _turned(lymphocytes, rng),
        "debris": _turned(debris, rng),
    }
    return Cells(_clear(scene, rng), wall, along, across, nuclei)


def _spread(
    scene: Scene, rng: np.random.Generator, spacing_um: float, chance: Floats | Mask
) -> Points:
    """Points that keep apart, each kept with the chance that the map gives its place."""
    points = scatter(rng, scene.size_um, spacing_um, jitter=0.4)
    return points[rng.random(len(points)) < chance[pixels(points)]]


def _crowd(scene: Scene) -> Floats:
    """Chance of a lymphocyte: high in a cluster, thinning out round it, low elsewhere."""
    around = np.exp(-distance_um(scene.labels != IMMUNE) / 9.0)
    few = np.isin(scene.labels, (STROMA, TUMOUR, GLAND)) * np.float32(0.012)
    return floats(0.93 * around * np.isin(scene.labels, (STROMA, IMMUNE)) + few)


def _rubble(scene: Scene, rng: np.random.Generator) -> Floats:
    """Chance of nuclear debris: patches of it in the necrosis."""
    return floats(
        (scene.labels == NECROSIS) * (0.35 + 0.4 * smooth(rng, scene.labels.shape, 60 / MAP_UM))
    )


def _rings(scene: Scene, rng: np.random.Generator) -> Points:
    """Nuclei at the base of each gland's cells, pointing to its middle."""
    rings = [np.empty((0, 3))]
    for gland in scene.glands:
        count = int(2 * np.pi * gland.radius_um / 6.0)
        angle = (np.arange(count) + rng.uniform(-0.3, 0.3, count)) * 2 * np.pi / count
        radius = gland.radius_um * gland.outline(angle) - 7.0 + rng.normal(0, 1.2, count)
        x, y = gland.x_um + radius * np.cos(angle), gland.y_um + radius * np.sin(angle)
        rings.append(np.stack([x, y, angle + rng.normal(0, 0.15, count)], axis=1))
    return np.concatenate(rings)


def _turned(points: Points, rng: np.random.Generator) -> Points:
    """The points, each with an angle at random."""
    return np.column_stack([points, rng.uniform(0, np.pi, len(points))])


def _along(points: Points, across: Floats, rng: np.random.Generator) -> Points:
    """The points, each with the direction of the fibres there, give or take."""
    at = pixels(points)
    down, right = np.gradient(across, axis=0)[at], np.gradient(across, axis=1)[at]
    angle = np.arctan2(-right, down)
    return np.column_stack([points, angle + rng.normal(0, 0.2, len(points))])


def _fibres(scene: Scene, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Fibre coordinates that swirl: straight ones, pushed about by smooth noise."""
    y, x = np.mgrid[: scene.labels.shape[0], : scene.labels.shape[1]] * float(MAP_UM)
    turn = rng.uniform(0, np.pi)
    push = [
        80 * smooth(rng, scene.labels.shape, 420 / MAP_UM)
        + 14 * smooth(rng, scene.labels.shape, 110 / MAP_UM)
        + 4 * smooth(rng, scene.labels.shape, 36 / MAP_UM)
        for _ in range(2)
    ]
    along = x * np.cos(turn) + y * np.sin(turn) + push[0]
    return floats(along), floats(y * np.cos(turn) - x * np.sin(turn) + push[1])


def _walls(field: Floats, where: Mask, seeds: Points) -> None:
    """Write the distance to the nearest border between the seeds' cells."""
    rows, cols = np.nonzero(where)
    if rows.size == 0 or len(seeds) < 2:
        return
    at = np.stack([cols + 0.5, rows + 0.5], axis=1) * MAP_UM
    near, which = cKDTree(seeds).query(at, k=2)
    apart = np.linalg.norm(seeds[which[:, 1]] - seeds[which[:, 0]], axis=1)
    field[rows, cols] = (near[:, 1] ** 2 - near[:, 0] ** 2) / (2 * apart)


def _clear(scene: Scene, rng: np.random.Generator) -> Floats:
    """Depth into the nearest clear space, whichever it is."""
    labels = scene.labels
    clear = distance_um(labels == GLASS) - distance_um(labels != GLASS)
    clear = np.maximum(clear, np.maximum(_vacuoles(scene, rng), _clefts(scene, rng)))
    for gland in scene.glands:
        window = Window.around(labels.shape, gland.x_um, gland.y_um, gland.radius_um)
        lumen = gland.lumen_um * gland.outline(np.arctan2(window.dy, window.dx))
        part = clear[window.rows, window.cols]
        part[:] = np.maximum(part, lumen - np.hypot(window.dx, window.dy))
    return floats(cv2.GaussianBlur(np.clip(clear, -_DEEP_UM, _DEEP_UM), (0, 0), 0.8))


def _vacuoles(scene: Scene, rng: np.random.Generator) -> Floats:
    """Depth into the drop that fills a fat cell; its corners are round."""
    fat = scene.labels == FAT
    field = np.zeros(fat.shape, np.float32)
    _walls(field, fat, scatter(rng, scene.size_um, 56.0, jitter=0.36))
    field = np.minimum(field, np.minimum(distance_um(fat) - 2.0, 3 * _DEEP_UM))
    return floats(cv2.GaussianBlur(field, (0, 0), 1.8) - 3.1)


def _clefts(scene: Scene, rng: np.random.Generator) -> Floats:
    """Depth into the gaps where stroma shrank away from tumour, along parts of the border."""
    width = 6.0 * np.clip(smooth(rng, scene.labels.shape, 70 / MAP_UM), -1, 1.4) - 1.5
    away = distance_um(scene.labels != TUMOUR)
    gap = (scene.labels == STROMA) & (away < width)
    return floats(np.where(gap, np.minimum(away, width - away), -_DEEP_UM))
