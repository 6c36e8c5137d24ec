"""What goes wrong on real slides: dust, a pen mark, a fold."""

from __future__ import annotations

import cv2
import numpy as np

from hipt.demo.noise import Bytes, Floats, floats, smooth, smoothstep

_INKS = ((0.10, 0.55, 0.30), (0.12, 0.25, 0.75))
"""Light that green and blue ink let through, red, green, blue."""

_COARSE = 8
"""Pixels per step of the map on which a pen mark is drawn."""


def dust(picture: Bytes, mpp: float, count: int, rng: np.random.Generator) -> None:
    """Scatter specks, a third of them out of focus, over a picture."""
    for _ in range(count):
        blurred = rng.random() < 0.35
        side_um = rng.uniform(25, 70) if blurred else rng.uniform(3, 16)
        side = max(5, round(side_um / mpp))
        shade = cv2.GaussianBlur(_speck(side, rng), (0, 0), side / 14 if blurred else 0.7)
        depth = rng.uniform(0.03, 0.10) if blurred else rng.uniform(0.5, 0.9)
        top, left = (int(rng.uniform(0, max(1, n - side))) for n in picture.shape[:2])
        light = floats(1 - depth * shade)[..., None]
        _let_through(picture[top : top + side, left : left + side], light)


def pen(picture: Bytes, mpp: float, rng: np.random.Generator) -> None:
    """Draw one felt-pen stroke across the upper left corner of a picture."""
    rows, cols = (n // 2 // _COARSE for n in picture.shape[:2])
    t = np.linspace(0, 1, 60)
    x = cols * (0.08 + 0.60 * t + 0.06 * np.sin(5 * t))
    y = rows * (0.84 - 0.72 * t + 0.08 * np.sin(7 * t + rng.uniform(0, 6)))
    mark = np.zeros((rows, cols), np.uint8)
    width = max(1, round(150 / mpp / _COARSE))
    cv2.polylines(mark, [np.rint(np.stack([x, y], 1)).astype(np.int32)], False, 255, width)
    cover = cv2.GaussianBlur(mark, (0, 0), 1.5) / np.float32(255)
    cover *= np.clip(0.8 + 0.12 * smooth(rng, mark.shape, 12), 0.4, 1)
    corner = picture[: rows * _COARSE, : cols * _COARSE]
    wide = cv2.resize(cover, corner.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    ink = floats(_INKS[rng.integers(len(_INKS))])
    _let_through(corner, np.power(ink, floats(wide)[..., None]))


def fold(
    picture: Bytes, white: tuple[float, float, float], mpp: float, rng: np.random.Generator
) -> None:
    """Lay tissue double along a wavering band from top to bottom."""
    rows, cols = picture.shape[:2]
    half, shift = 32 / mpp, round(rng.uniform(90, 130) / mpp)
    middle = cols * rng.uniform(0.35, 0.6) + (140 / mpp) * smooth(rng, (rows, 1), 500 / mpp)
    left = max(0, int(middle.min() - 1.3 * half))
    right = min(cols - shift, int(middle.max() + 1.3 * half))
    above = picture[:, left + shift : right + shift] / floats(white)
    away = np.abs(np.arange(left, right) - middle)[..., None] / half
    twice = 1 - smoothstep(away, 0.85, 1.0)
    rim = np.exp(-(((away - 0.9) / 0.08) ** 2)) * (above.min(axis=2, keepdims=True) < 0.9)
    light = np.power(np.clip(above, 0.02, 1), twice) * (1 - 0.25 * rim)
    _let_through(picture[:, left:right], floats(light))


def _speck(side: int, rng: np.random.Generator) -> Floats:
    """A ragged blob that fills about half of a square; 1 inside."""
    down, right = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    stretch = rng.uniform(1, 2.5)
    ragged = 0.15 * smooth(rng, (side, side), max(2, side / 4))
    return floats(np.hypot(down * stretch, right) + ragged < 0.7)


def _let_through(picture: Bytes, light: Floats) -> None:
    """Dim a picture in place; `light` is the share that passes, (rows, columns, 1 or 3)."""
    picture[:] = np.clip(picture * light + 0.5, 0, 255)
