"""The three colours of a picture apart, and their smallest and largest value."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

T = TypeVar("T", np.uint8, np.float32)


class Channels(NamedTuple, Generic[T]):
    """The colours of a picture, each apart, [h, w]; and their smallest and largest value."""

    red: npt.NDArray[T]
    green: npt.NDArray[T]
    blue: npt.NDArray[T]
    lowest: npt.NDArray[T]
    highest: npt.NDArray[T]


def channels(image: npt.NDArray[T]) -> Channels[T]:
    """The channels of a [h, w, 3] picture; taking them apart is slow: do it once."""
    a, b, c = cv2.split(image)
    return Channels(a, b, c, cv2.min(cv2.min(a, b), c), cv2.max(cv2.max(a, b), c))  # type: ignore[arg-type]


def extremes(image: npt.NDArray[T]) -> tuple[npt.NDArray[T], npt.NDArray[T]]:
    """Smallest and largest value over the channels of a [h, w, 3] picture, [h, w] each."""
    apart = channels(image)
    return apart.lowest, apart.highest
