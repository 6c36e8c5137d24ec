"""Smallest and largest value over the three colours of a picture."""

from __future__ import annotations

from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

T = TypeVar("T", np.uint8, np.float32)


def extremes(image: npt.NDArray[T]) -> tuple[npt.NDArray[T], npt.NDArray[T]]:
    """Smallest and largest value over the channels of a [h, w, 3] picture, [h, w] each."""
    a, b, c = cv2.split(image)
    return cv2.min(cv2.min(a, b), c), cv2.max(cv2.max(a, b), c)  # type: ignore[return-value]
