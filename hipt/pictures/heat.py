"""Heat maps as pictures: in colour, over the tissue, with heading, legend and scale bar."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from skimage.color import lab2rgb, rgb2lab

from hipt.pictures.collage import FRAME_PX, below, beside, bordered, framed, on_white
from hipt.pictures.drawing import RGB
from hipt.pictures.lettering import INK, LEAST_PX, MICRO, fitting_px, text_line, text_px

Floats = npt.NDArray[np.floating[Any]]  # [h, w]

# Viridis without its first, violet quarter: blue, green, yellow. Stained tissue has none of these
# colours, while inferno and magma go through its violet, pink and red; equal steps look equal,
# luminance rises throughout, and blue to yellow is what colour-blind people tell apart.
_PLACES = np.linspace(64, 255, 256).round().astype(np.uint8)
_COLOURS = cv2.applyColorMap(_PLACES[:, None], cv2.COLORMAP_VIRIDIS)[:, 0, ::-1]  # (256, 3) RGB

# Signed values: blue below, light grey at 0, orange above, by equal steps of Lab; told apart
# without red and green, and as light on one side as on the other.
_ENDS_LAB = rgb2lab(np.array([[[31, 95, 170], [245, 245, 245], [200, 85, 0]]], np.uint8) / 255)[0]
_AT = np.linspace(0, 2, 256)
_SIGNED = np.stack([np.interp(_AT, range(3), _ENDS_LAB[:, k]) for k in range(3)], 1)
_SIGNED_COLOURS = (lab2rgb(_SIGNED[None])[0] * 255).round().astype(np.uint8)  # (256, 3) RGB

_LEAST_LETTERS = 36
"""Least width of a figure, in sizes of its letters, so that legend and scale bar have room."""


def coloured(values: Floats, *, diverging: bool = False) -> RGB:
    """Values as colours, from blue for 0 to yellow for 1; white where nothing is known.

    Args:
        values: [h, w] in 0..1, and NaN where nothing is known; what lies beyond is drawn as the
            nearer end.
        diverging: the values have a middle, 0.5, from which they go two ways: blue and orange.

    Returns:
        uint8 [h, w, 3].
    """
    known = ~np.isnan(values)
    steps = np.clip(np.where(known, values, 0), 0, 1) * 255
    colours = _SIGNED_COLOURS if diverging else _COLOURS
    out = colours[np.rint(steps).astype(np.uint8)]
    out[~known] = 255
    return np.asarray(out, np.uint8)


def overlay(rgb: RGB, values: Floats, *, alpha: float = 0.5, diverging: bool = False) -> RGB:
    """Values in colour over a picture; where nothing is known, the picture as it is.

    Under the colours the picture is grey: pink under yellow would be an orange that the legend
    does not have, and what keeps its stain is seen to have no value.

    Args:
        rgb: the picture.
        values: [h, w] in 0..1, NaN where nothing is known, over the whole picture: each pixel of
            the picture takes the value that it lies in.
        alpha: share of the colours, from 0 to 1.
        diverging: as of `coloured`.

    Returns:
        uint8, the picture's shape.
    """
    known = _spread(~np.isnan(values), rgb.shape[:2])
    grey = cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    colours = _spread(coloured(values, diverging=diverging), rgb.shape[:2])
    out = cv2.addWeighted(colours, alpha, grey, 1 - alpha, 0)
    return np.asarray(cv2.copyTo(rgb, (~known).astype(np.uint8), out), np.uint8)


def figure(
    rgb: RGB,
    *,
    title: str,
    legend: str,
    ticks: tuple[str, str],
    um_per_px: float,
    diverging: bool = False,
) -> RGB:
    """A picture with a heading above it, and below it what its colours mean and a scale bar.

    Args:
        rgb: the picture; it is inside as it is, in a thin frame.
        title: the heading; in smaller letters and at last without its middle if it is long.
        legend: what the colours show, with its unit.
        ticks: what the ends of the colours, 0 and 1, mean.
        um_per_px: micrometres per pixel of the picture.
        diverging: as of `coloured`.

    Returns:
        uint8 [h, w, 3], larger than the picture.

    Raises:
        ValueError: if `um_per_px` is not a number above 0.
    """
    size = _letters_px(max(rgb.shape[:2]))
    width = max(rgb.shape[1] + 2 * FRAME_PX, _LEAST_LETTERS * size)
    heading_px = fitting_px(title, width, round(1.3 * size))
    colours = _colour_bar(ticks, round(0.45 * width), size, diverging=diverging)
    scale = _scale_bar(um_per_px, width // 4, size)
    between = width - colours.shape[1] - scale.shape[1]
    legend_line = text_line(legend, width, fitting_px(legend, width, size))
    parts = [
        text_line(title, width, heading_px),
        framed(rgb),
        below([legend_line, beside([colours, scale], between)], size // 5),
    ]
    margin = size // 2
    around = {"top": margin, "bottom": margin, "left": margin, "right": margin}
    return bordered(below(parts, margin), **around)


def side_by_side(pictures: Sequence[RGB], labels: Sequence[str], columns: int) -> RGB:
    """Pictures in a grid, row by row, each framed and with its label above, on white.

    Args:
        pictures: at least one; smaller ones are padded to the size of the largest.
        labels: as many texts; without their middle if they are wider than a picture.
        columns: of the grid, at least 1.

    Returns:
        uint8 [h, w, 3].

    Raises:
        ValueError: if there are no pictures, not as many labels, or no columns.
    """
    if not pictures or columns < 1:
        raise ValueError(f"no grid of {len(pictures)} pictures in {columns} columns")
    height, width = (max(one.shape[axis] for one in pictures) + 2 * FRAME_PX for axis in (0, 1))
    size = _letters_px(2 * max(height, width))
    wide = max(width, 6 * size)  # room for `head 1`
    cells = [
        below([text_line(label, wide, size), on_white(framed(one), height, wide)])
        for one, label in zip(pictures, labels, strict=True)
    ]
    rows = [beside(cells[i : i + columns], size) for i in range(0, len(cells), columns)]
    return below(rows, size)


def round_length(um_per_px: float, most_px: float) -> tuple[int, str]:
    """The longest scale bar of 1, 2 or 5 times a power of ten.

    Args:
        um_per_px: micrometres per pixel.
        most_px: its greatest length, pixels; at least 1.

    Returns:
        Its length in pixels, and as a text with its unit: mm from 1 mm on, um in signs below.

    Raises:
        ValueError: if `um_per_px` is not a number above 0.
    """
    if not 0 < um_per_px < math.inf:
        raise ValueError(f"a picture has more than 0 um per pixel, but got {um_per_px}")
    most_um = um_per_px * most_px
    power = math.floor(math.log10(most_um))
    lengths = [step * 10.0**exponent for exponent in (power - 1, power) for step in (1, 2, 5)]
    um = max(length for length in lengths if length <= most_um)
    text = f"{um / 1000:g} mm" if um >= 1000 else f"{um:g} {MICRO}m"
    return round(um / um_per_px), text


def _spread(cells: npt.NDArray[Any], shape: Sequence[int]) -> npt.NDArray[Any]:
    """Cells over a picture of a height and width: its pixels are those that they lie in."""
    for axis in (1, 0):
        centres = (2 * np.arange(shape[axis]) + 1) * cells.shape[axis] // (2 * shape[axis])
        counts = np.bincount(centres, minlength=cells.shape[axis])
        cells = np.repeat(cells, counts, axis)
    return cells


def _colour_bar(ticks: tuple[str, str], width_px: int, size_px: int, *, diverging: bool) -> RGB:
    """All colours from left to right, and what both ends mean."""
    ramp = np.tile(np.linspace(0, 1, width_px - 2 * FRAME_PX), (size_px, 1))
    half = width_px // 2
    low, high = text_line(ticks[0], half, size_px), text_line(ticks[1], half, size_px, "right")
    return below(
        [framed(coloured(ramp, diverging=diverging)), beside([low, high], width_px - 2 * half)]
    )


def _scale_bar(um_per_px: float, most_px: int, size_px: int) -> RGB:
    """A bar and its length, in line with the colour bar."""
    length_px, text = round_length(um_per_px, most_px)
    width = max(length_px, text_px(text, size_px))
    thick = max(2, size_px // 4)
    bar = np.full((thick, length_px, 3), INK, np.uint8)
    label = text_line(text, width, size_px, "centre")
    return below([on_white(bar, size_px + 2 * FRAME_PX, width), label])


def _letters_px(longest_px: int) -> int:
    """A size of letters that can be read on a picture of this size, shown whole."""
    return min(max(longest_px // 50, LEAST_PX + 3), 80)
