"""Nuclei: a bank of ready-made pictures of each kind, stamped where they belong."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias

import cv2
import numpy as np

from hipt.demo.noise import Bytes, Floats, Points, floats, smoothstep

Kind: TypeAlias = Literal["tumour", "epithelial", "spindle", "lymphocyte", "debris"]

DENSE = 200.0
"""Byte value of a nucleus as dense as haematoxylin concentration 1."""

_SHAPES, _ANGLES = 32, 16


@dataclass(frozen=True)
class _Look:
    """The range of one kind; lengths in micrometres, the rest as shares."""

    length_um: tuple[float, float]
    aspect: tuple[float, float]
    wobble: float
    density: tuple[float, float]
    pale: float
    """How much paler the inside is than the rim."""
    clumps: float
    """How uneven the chromatin is."""


_LOOKS: dict[Kind, _Look] = {
    "tumour": _Look((7.5, 13.5), (0.60, 0.95), 0.09, (0.5, 0.92), 0.34, 0.20),
    "epithelial": _Look((8.5, 11.0), (0.48, 0.66), 0.04, (0.78, 0.95), 0.12, 0.10),
    "spindle": _Look((10.0, 18.0), (0.18, 0.34), 0.08, (0.65, 1.0), 0.05, 0.10),
    "lymphocyte": _Look((5.0, 7.4), (0.78, 1.0), 0.05, (0.85, 1.2), 0.08, 0.20),
    "debris": _Look((1.2, 3.6), (0.5, 1.0), 0.15, (0.5, 1.0), 0.0, 0.0),
}


def stamp(canvas: Bytes, kind: Kind, places: Points, mpp: float) -> None:
    """Press nuclei of one kind onto a canvas of densities; the darker of two stays.

    Args:
        canvas: (rows, columns) at `mpp`; `DENSE` is concentration 1.
        kind: which bank to take.
        places: (N, 3) x and y of the centres in micrometres, and the long axis' angle.
        mpp: micrometres per pixel.
    """
    bank = _bank(kind, mpp)
    side = bank.shape[-1]
    corners = np.floor(places[:, 1::-1] / mpp).astype(int) - side // 2
    turns = np.rint(places[:, 2] * _ANGLES / np.pi).astype(int) % _ANGLES
    fits = ((corners >= 0) & (corners + side <= canvas.shape)).all(axis=1)
    for i in np.flatnonzero(fits):
        y, x = corners[i]
        view = canvas[y : y + side, x : x + side]
        np.maximum(view, bank[i % _SHAPES, turns[i]], out=view)


@cache
def _bank(kind: Kind, mpp: float) -> Bytes:
    """(shapes, angles, side, side) pictures of one kind; the same in every process."""
    rng = np.random.default_rng(list(kind.encode()))
    look = _LOOKS[kind]
    half = int(np.ceil(0.62 * look.length_um[1] / mpp))
    axis: Points = np.linspace(-half * mpp, half * mpp, 2 * half + 1)
    rows = [_turns(look, axis, rng) for _ in range(_SHAPES)]
    return np.stack(rows).astype(np.uint8)


def _turns(look: _Look, axis_um: Points, rng: np.random.Generator) -> Floats:
    """One nucleus at every angle; `axis_um` are the pixel centres along a side."""
    length, aspect, density = (rng.uniform(*r) for r in (look.length_um, look.aspect, look.density))
    waves = look.wobble * rng.normal(size=2)
    phases = rng.uniform(0, 2 * np.pi, 2)
    mottle = _mottle(rng, axis_um)
    y, x = np.meshgrid(axis_um, axis_um, indexing="ij")
    pictures = []
    for turn in np.arange(_ANGLES) * np.pi / _ANGLES:
        along = (x * np.cos(turn) + y * np.sin(turn)) / (length / 2)
        across = (y * np.cos(turn) - x * np.sin(turn)) / (length * aspect / 2)
        angle = np.arctan2(across, along)
        edge = (
            1 + waves[0] * np.cos(2 * angle + phases[0]) + waves[1] * np.cos(3 * angle + phases[1])
        )
        radius = np.hypot(along, across) / edge
        soft = 0.9 / (length * aspect)
        cover = 1 - smoothstep(radius, 1 - soft, 1 + soft)
        inside = 1 - look.pale * (1 - smoothstep(radius, 0.55, 0.95)) + look.clumps * mottle
        pictures.append(DENSE * density * cover * np.clip(inside, 0.3, 1.3))
    return floats(np.clip(np.stack(pictures), 0, 255))


def _mottle(rng: np.random.Generator, axis_um: Points) -> Floats:
    """Chromatin clumps about 1 um wide, mean 0."""
    step = axis_um[1] - axis_um[0]
    noise = rng.standard_normal((axis_um.size, axis_um.size), dtype=np.float32)
    field = cv2.GaussianBlur(noise, (0, 0), 0.9 / step)
    return floats(field / field.std())
