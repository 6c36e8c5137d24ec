"""What lies where on a slide: a map of tissue types, and what can be measured on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from hipt.demo.noise import Bytes, Floats, Mask, Points

MAP_UM = 2
"""Side of a map pixel, micrometres."""

LABELS = ("glass", "stroma", "tumour", "immune", "gland", "necrosis", "fat")
"""Names of the values of a map of tissue types."""

GLASS, STROMA, TUMOUR, IMMUNE, GLAND, NECROSIS, FAT = range(len(LABELS))

NEAR_UM = 150.0
"""An immune cell this close to tumour counts as near it; more than the side of a patch."""


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
    def size_um(self) -> tuple[float, float]:
        """Width and height."""
        return size_um(self.labels)

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


def size_um(labels: Bytes) -> tuple[float, float]:
    """Width and height of a map, micrometres."""
    rows, cols = labels.shape
    return float(cols * MAP_UM), float(rows * MAP_UM)


def pixels(points: Points) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Row and column on the map of points given as x, y in micrometres."""
    return (points[:, 1] / MAP_UM).astype(np.intp), (points[:, 0] / MAP_UM).astype(np.intp)


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
