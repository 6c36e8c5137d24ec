"""A tissue mask that lies on a slide: where it is, and how much of a square it fills."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

Box = tuple[float, float, float, float]
"""x, y, width, height in level-0 pixels."""

Corners = npt.NDArray[np.int64]  # (N, 2) x, y, level-0 pixels
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TissueMask:
    """A tissue mask and the part of the slide that it covers."""

    mask: npt.NDArray[np.bool_]  # [h, w]
    scale_x: float
    """Level-0 pixels per pixel of the mask."""
    scale_y: float

    @property
    def area_px(self) -> float:
        """Of the tissue, level-0 pixels."""
        return float(self.mask.sum()) * self.scale_x * self.scale_y

    def bounding_box(self) -> Box | None:
        """The tissue's extent in level-0 pixels; None without tissue."""
        if not self.mask.any():
            return None
        ys, xs = np.flatnonzero(self.mask.any(1)), np.flatnonzero(self.mask.any(0))
        left, top = xs[0] * self.scale_x, ys[0] * self.scale_y
        right, bottom = (xs[-1] + 1) * self.scale_x, (ys[-1] + 1) * self.scale_y
        return left, top, right - left, bottom - top

    def share(self, corners: Corners, side_px: int) -> Floats:
        """(N,) share of each square at these corners that is tissue, 0 to 1, by exact area.

        Args:
            corners: (N, 2) x, y, level-0 pixels.
            side_px: of the squares, level-0 pixels.
        """
        scale = np.array([self.scale_x, self.scale_y])
        low, high = corners / scale, (corners + side_px) / scale  # (N, 2) in pixels of the mask
        total = (
            self._area_up_to(high[:, 0], high[:, 1])
            - self._area_up_to(low[:, 0], high[:, 1])
            - self._area_up_to(high[:, 0], low[:, 1])
            + self._area_up_to(low[:, 0], low[:, 1])
        )
        return np.asarray(np.clip(total * scale.prod() / side_px**2, 0.0, 1.0))

    @cached_property
    def _cumulated(self) -> npt.NDArray[np.int32]:
        """[h+1, w+1] tissue area up to each pixel corner, in pixels of the mask."""
        return np.asarray(cv2.integral(self.mask.view(np.uint8), sdepth=cv2.CV_32S), np.int32)

    def _area_up_to(self, x: Floats, y: Floats) -> Floats:
        """Tissue left of x and above y; exact between corners, since it is bilinear there."""
        area = self._cumulated
        x, y = np.clip(x, 0, area.shape[1] - 1), np.clip(y, 0, area.shape[0] - 1)
        x0, y0 = (
            np.minimum(x.astype(int), area.shape[1] - 2),
            np.minimum(y.astype(int), area.shape[0] - 2),
        )
        fx, fy = x - x0, y - y0
        top = area[y0, x0] * (1 - fx) + area[y0, x0 + 1] * fx
        bottom = area[y0 + 1, x0] * (1 - fx) + area[y0 + 1, x0 + 1] * fx
        return np.asarray(top * (1 - fy) + bottom * fy)
