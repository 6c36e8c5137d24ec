"""Heat maps as pictures: in colour, over the tissue, with heading, legend and scale bar."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from skimage.color import lab2rgb, rgb2lab

from hipt.pictures.canvas import FRAME_PX, LEAST_PX, Canvas, fitting_px, line_px, text_px
from hipt.pictures.drawing import RGB
from hipt.pictures.figure import style

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

_LEAST_LABEL = 6
"""Least width of a label, in sizes of its letters: room for `head 1`."""


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


@dataclass(frozen=True)
class Legend:
    """What the colours of a map mean."""

    text: str
    """What they show, with its unit."""
    ends: tuple[str, str]
    """What 0 and 1 mean."""
    diverging: bool = False
    """As of `coloured`."""


def figure(
    pictures: Mapping[str, RGB],
    legend: Legend | None,
    *,
    title: str,
    um_per_px: float,
    columns: int = 1,
) -> Figure:
    """Pictures in a grid under a heading, and below them a colour bar and a scale bar.

    Args:
        pictures: row by row, by the labels above them, which may be empty. Each is inside as it
            is, in a thin frame; smaller ones lie in the middle of a place for the largest.
        legend: what the colours of all of them mean; None: there is no colour bar.
        title: the heading; in smaller letters and at last without its middle if it is long.
        um_per_px: micrometres per pixel of each picture.
        columns: of the grid, at least 1.

    Raises:
        ValueError: if there are no pictures or no columns, or if `um_per_px` is not a number
            above 0.
    """
    if not pictures or columns < 1:
        raise ValueError(f"no grid of {len(pictures)} pictures in {columns} columns")
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    high, wide = (max(rgb.shape[axis] for rgb in pictures.values()) for axis in (0, 1))
    size = _letters_px(max(rows * high, columns * wide))
    label_px, least = (line_px(size), _LEAST_LABEL * size) if any(pictures) else (0, 0)
    step_x = max(wide + 2 * FRAME_PX, least) + size
    step_y = label_px + high + 2 * FRAME_PX + size
    width = max(columns * step_x - size, _LEAST_LETTERS * size)
    with style():
        heading_px, margin = fitting_px(title, width, round(1.3 * size)), size // 2
        top = margin + line_px(heading_px) + margin
        below = top + rows * step_y - margin
        canvas = Canvas(width + 2 * margin, below + _legend_px(size) + margin)
        canvas.line(title, margin, margin, width, heading_px)
        letters_px = min(fitting_px(label, step_x - size, size) for label in pictures)
        for i, (label, rgb) in enumerate(pictures.items()):
            left, upper = margin + i % columns * step_x, top + i // columns * step_y
            if label:
                canvas.line(label, left, upper, step_x - size, letters_px)
            left += (step_x - size - rgb.shape[1]) // 2
            canvas.picture(rgb, left, upper + label_px + FRAME_PX + (high - rgb.shape[0]) // 2)
        if legend:
            _colour_bar(canvas, legend, below, width, size)
        _scale_bar(canvas, um_per_px, below, width, size)
    return canvas.figure


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
    text = f"{um / 1000:g} mm" if um >= 1000 else f"{um:g} µm"
    return round(um / um_per_px), text


def _spread(cells: npt.NDArray[Any], shape: Sequence[int]) -> npt.NDArray[Any]:
    """Cells over a picture of a height and width: its pixels are those that they lie in."""
    for axis in (1, 0):
        centres = (2 * np.arange(shape[axis]) + 1) * cells.shape[axis] // (2 * shape[axis])
        counts = np.bincount(centres, minlength=cells.shape[axis])
        cells = np.repeat(cells, counts, axis)
    return cells


def _legend_px(size_px: int) -> int:
    """Height of the colour bar and its texts."""
    return 2 * line_px(size_px) + size_px // 5 + size_px + 2 * FRAME_PX


def _colour_bar(canvas: Canvas, legend: Legend, top: int, width_px: int, size_px: int) -> None:
    """What colours show, all of them from left to right, and what both ends mean."""
    left, long = size_px // 2, round(0.45 * width_px)
    canvas.line(legend.text, left, top, width_px, fitting_px(legend.text, width_px, size_px))
    top += line_px(size_px) + size_px // 5 + FRAME_PX
    ramp = np.tile(np.linspace(0, 1, long - 2 * FRAME_PX), (size_px, 1))
    canvas.picture(coloured(ramp, diverging=legend.diverging), left + FRAME_PX, top)
    top += size_px + FRAME_PX
    canvas.line(legend.ends[0], left, top, long // 2, size_px)
    canvas.line(legend.ends[1], left + long - long // 2, top, long // 2, size_px, "right")


def _scale_bar(canvas: Canvas, um_per_px: float, top: int, width_px: int, size_px: int) -> None:
    """A bar and its length, at the right, in line with the colour bar."""
    length_px, text = round_length(um_per_px, width_px // 4)
    room = max(length_px, text_px(text, size_px) + 1)
    left, thick = size_px // 2 + width_px - room, max(2, size_px // 4)
    top += line_px(size_px) + size_px // 5 + FRAME_PX
    bar_top = top + (size_px - thick) // 2
    canvas.bar(left + (room - length_px) // 2, bar_top, length_px, thick)
    canvas.line(text, left, top + size_px + FRAME_PX, room, size_px, "center")


def _letters_px(longest_px: int) -> int:
    """A size of letters that can be read on pictures of this size, shown whole."""
    return min(max(longest_px // 50, LEAST_PX + 3), 80)
