"""Masks grown, closed and rid of small parts."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]  # [h, w]
Distance = npt.NDArray[np.float32]  # [h, w]

_LARGEST_DISC_PX = 20
"""Distances are faster above."""


def distance_within(mask: Mask) -> Distance:
    """How far each of a mask's pixels is from the nearest one outside it, px; 0 outside."""
    distance = cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance, np.float32)


def grown(mask: Mask, radius_px: float) -> Mask:
    """The mask grown by a radius."""
    if not mask.any() or radius_px <= 0:
        return mask
    return np.asarray(distance_within(~mask) <= radius_px)


def closed(mask: Mask, radius_px: float) -> Mask:
    """Gaps up to twice the radius closed; what the picture's edge cuts stays whole."""
    if radius_px > _LARGEST_DISC_PX:
        return ~grown(~grown(mask, radius_px), radius_px) | mask
    return np.asarray(cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_CLOSE, _disc(radius_px)) > 0)


def opened(mask: Mask, radius_px: float) -> Mask:
    """The mask without what is thinner than twice the radius; one below a pixel does nothing."""
    disc = _disc(min(int(radius_px), _LARGEST_DISC_PX))
    return np.asarray(cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_OPEN, disc) > 0)


def _disc(radius_px: float) -> npt.NDArray[np.uint8]:
    """A disc of ones."""
    side = 2 * round(radius_px) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


def without_small(mask: Mask, least_mm2: float, mpp: float) -> Mask:
    """The mask without its connected parts below an area."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] * mpp**2 / 1e6 >= least_mm2
    large[0] = False
    return np.asarray(large[labels])
