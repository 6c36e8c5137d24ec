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
        _let_through(picture[top : top + side, left : left + side], 1 - depth * shade)


def pen(picture: Bytes, mpp: float, rng: np.random.Generator) -> None:
    """Draw one felt-pen stroke across a corner of a picture."""
    rows, cols = (n // _COARSE + 1 for n in picture.shape[:2])
    t = np.linspace(0, 1, 60)
    x = cols * (0.04 + 0.30 * t + 0.03 * np.sin(5 * t))
    y = rows * (0.42 - 0.36 * t + 0.05 * np.sin(7 * t + rng.uniform(0, 6)))
    mark = np.zeros((rows, cols), np.uint8)
    width = max(1, round(150 / mpp / _COARSE))
    cv2.polylines(mark, [np.rint(np.stack([x, y], 1)).astype(np.int32)], False, 255, width)
    cover = cv2.GaussianBlur(mark, (0, 0), 1.5).astype(np.float32) / 255
    cover *= np.clip(0.8 + 0.12 * smooth(rng, (rows, cols), 12), 0.4, 1)
    ink = _INKS[rng.integers(len(_INKS))]
    for top in range(0, picture.shape[0], 64 * _COARSE):
        strip = picture[top : top + 64 * _COARSE]
        part = cover[top // _COARSE : top // _COARSE + 65]
        if part.any():
            wide = cv2.resize(part, None, fx=_COARSE, fy=_COARSE, interpolation=cv2.INTER_LINEAR)
            wide = wide[: strip.shape[0], : strip.shape[1], None]
            _let_through(strip, np.power(floats(ink), wide))


def fold(
    picture: Bytes, white: tuple[float, float, float], mpp: float, rng: np.random.Generator
) -> None:
    """Lay tissue double along a wavering band from top to bottom."""
    rows, cols = picture.shape[:2]
    half, shift = 32 / mpp, round(rng.uniform(90, 130) / mpp)
    middle = cols * rng.uniform(0.35, 0.6) + (140 / mpp) * smooth(rng, (rows, 1), 500 / mpp)
    left = max(0, int(middle.min() - 1.3 * half))
    right = min(cols - shift, int(middle.max() + 1.3 * half))
    away = np.abs(np.arange(left, right) - middle) / half
    twice = (1 - smoothstep(away, 0.85, 1.0))[..., None]
    above = picture[:, left + shift : right + shift] / floats(white)
    edge = (
        1
        - 0.25 * np.exp(-(((away - 0.9) / 0.08) ** 2))[..., None] * (above.min(2) < 0.9)[..., None]
    )
    _let_through(picture[:, left:right], np.power(np.clip(above, 0.02, 1), twice) * edge)


def _speck(side: int, rng: np.random.Generator) -> Floats:
    """A ragged blob that fills about half of a square; 1 inside."""
    down, right = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    stretch = rng.uniform(1, 2.5)
    ragged = 0.15 * smooth(rng, (side, side), max(2, side / 4))
    return floats(np.hypot(down * stretch, right) + ragged < 0.7)


def _let_through(picture: Bytes, light: Floats) -> None:
    """Dim a picture in place; `light` is the share that passes, per pixel or colour."""
    light = light if light.ndim == 3 else light[..., None]
    picture[:] = np.clip(picture * light + 0.5, 0, 255)
