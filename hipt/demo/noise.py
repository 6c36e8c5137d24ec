"""Randomness with a shape: smooth fields, scattered points, textures that wrap around."""

from __future__ import annotations

from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]
Bytes: TypeAlias = npt.NDArray[np.uint8]
Points: TypeAlias = npt.NDArray[np.float64]
Mask: TypeAlias = npt.NDArray[np.bool_]

_ROW = 0.75**0.5
"""Distance of a hexagonal lattice's rows, in spacings."""


def floats(values: npt.ArrayLike) -> Floats:
    """The values as float32."""
    return np.asarray(values, dtype=np.float32)


def smoothstep(values: npt.NDArray[Any], low: float, high: float) -> Floats:
    """0 below `low`, 1 above `high`, an S-curve between."""
    t = np.clip((values - low) / (high - low), 0.0, 1.0)
    return floats(t * t * (3.0 - 2.0 * t))


def smooth(rng: np.random.Generator, shape: tuple[int, ...], scale_px: float) -> Floats:
    """Noise of mean 0 and roughly unit spread that varies over `scale_px`.

    Args:
        rng: where the numbers come from.
        shape: rows and columns of the field.
        scale_px: distance over which neighbouring values are unrelated.

    Returns:
        (rows, columns) field.
    """
    scale = max(1, round(scale_px))
    rows, cols = (side // scale + 4 for side in shape)
    knots = rng.standard_normal((rows, cols), dtype=np.float32)
    field = cv2.resize(knots, (cols * scale, rows * scale), interpolation=cv2.INTER_CUBIC)
    top, left = rng.integers(scale, 2 * scale, 2)
    return floats(1.4 * field[top : top + shape[0], left : left + shape[1]])


def scatter(
    rng: np.random.Generator, size_um: tuple[float, float], spacing_um: float, jitter: float = 0.3
) -> Points:
    """Points that keep apart: a hexagonal lattice at some angle, each point moved a little.

    Args:
        rng: where the numbers come from.
        size_um: width and height to fill.
        spacing_um: distance of neighbours before they are moved.
        jitter: largest move along each axis, as a share of the spacing.

    Returns:
        (N, 2) array of x, y in micrometres, inside the size.
    """
    reach = int(np.hypot(*size_um) / spacing_um / 2 / _ROW) + 2
    row, col = (axis.ravel() for axis in np.mgrid[-reach : reach + 1, -reach : reach + 1])
    lattice = np.stack([col + 0.5 * (row % 2), _ROW * row], axis=1)
    lattice += rng.uniform(-0.5, 0.5, 2) + rng.uniform(-jitter, jitter, lattice.shape)
    turn = rng.uniform(0, 2 * np.pi)
    x = lattice[:, 0] * np.cos(turn) - lattice[:, 1] * np.sin(turn)
    y = lattice[:, 0] * np.sin(turn) + lattice[:, 1] * np.cos(turn)
    points = spacing_um * np.stack([x, y], axis=1) + 0.5 * np.asarray(size_um)
    return points[((points >= 0) & (points < size_um)).all(axis=1)]


def texture(rng: np.random.Generator, side_px: int, sigma_px: tuple[float, float]) -> Floats:
    """A square of Gaussian noise of mean 0 and spread 1 that continues at its edges.

    Args:
        rng: where the numbers come from.
        side_px: side of the square.
        sigma_px: smoothing along rows (down) and along columns (right).
    """
    white = rng.standard_normal((side_px, side_px), dtype=np.float32)
    down, right = np.fft.fftfreq(side_px), np.fft.rfftfreq(side_px)
    gain = np.exp(-2 * np.pi**2 * ((sigma_px[0] * down[:, None]) ** 2 + (sigma_px[1] * right) ** 2))
    field = np.fft.irfft2(np.fft.rfft2(white) * gain, s=white.shape)
    return floats((field - field.mean()) / field.std())
