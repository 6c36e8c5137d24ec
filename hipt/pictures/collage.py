"""Pictures put together on white: beside each other, below each other, framed, padded."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from hipt.pictures.drawing import RGB

FRAME_PX = 1
"""Width of a frame; it lies outside of the picture."""

_FRAME_COLOUR = (150, 150, 150)
_WHITE = (255, 255, 255)


def beside(pictures: Sequence[RGB], gap_px: int = 0) -> RGB:
    """Pictures from left to right, their upper edges in line.

    Args:
        pictures: at least one, of any sizes.
        gap_px: white between two.
    """
    height = max(picture.shape[0] for picture in pictures)
    last = len(pictures) - 1
    return np.concatenate(
        [
            bordered(picture, bottom=height - picture.shape[0], right=gap_px if i < last else 0)
            for i, picture in enumerate(pictures)
        ],
        axis=1,
    )


def below(pictures: Sequence[RGB], gap_px: int = 0) -> RGB:
    """Pictures from top to bottom, their left edges in line.

    Args:
        pictures: at least one, of any sizes.
        gap_px: white between two.
    """
    width = max(picture.shape[1] for picture in pictures)
    last = len(pictures) - 1
    return np.concatenate(
        [
            bordered(picture, right=width - picture.shape[1], bottom=gap_px if i < last else 0)
            for i, picture in enumerate(pictures)
        ]
    )


def framed(rgb: RGB) -> RGB:
    """A picture with a thin grey line around it: FRAME_PX larger on each side."""
    sides = (FRAME_PX,) * 4
    return np.asarray(
        cv2.copyMakeBorder(rgb, *sides, cv2.BORDER_CONSTANT, value=_FRAME_COLOUR), np.uint8
    )


def on_white(rgb: RGB, height_px: int, width_px: int) -> RGB:
    """A picture in the middle of a white one that is at least as large."""
    spare_y, spare_x = height_px - rgb.shape[0], width_px - rgb.shape[1]
    top, left = spare_y // 2, spare_x // 2
    return bordered(rgb, top=top, bottom=spare_y - top, left=left, right=spare_x - left)


def bordered(rgb: RGB, *, top: int = 0, bottom: int = 0, left: int = 0, right: int = 0) -> RGB:
    """A picture with so much white at its sides, pixels."""
    sides = (top, bottom, left, right)
    return np.asarray(cv2.copyMakeBorder(rgb, *sides, cv2.BORDER_CONSTANT, value=_WHITE), np.uint8)
