"""From uint8 patches to what a network takes: resize, centre crop, normalise.

Legend: B patches, px side of a patch, side that of the network's picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from hipt.config.presets import Interpolation, Pooling


@dataclass(frozen=True, kw_only=True)
class PatchInput:
    """What a network takes, and which part of its answer is a patch's vector."""

    px: int | None
    """Side of the network's picture; None: patches as they are."""
    mean: tuple[float, ...]
    """Per channel, of values between 0 and 1."""
    std: tuple[float, ...]
    resize_px: int | None = None
    """Side before the picture is cut from the centre; None: `px`, so that nothing is cut."""
    interpolation: Interpolation = "bicubic"
    pooling: Pooling | None = None
    """None: what the network gives by itself."""

    def __post_init__(self) -> None:
        if self.px is not None and self.resize_px is not None and self.resize_px < self.px:
            raise ValueError(
                f"resize_px ({self.resize_px}) is below input_px ({self.px}), which is cut from "
                "its centre"
            )

    def picture(self, pixels: Tensor) -> Tensor:
        """uint8 (B, px, px, 3) -> float32 (B, 3, side, side) of 0 to 1, not yet normalised."""
        x = pixels.movedim(-1, 1).float() / 255  # (B, 3, px, px)
        side = self.resize_px or self.px
        if side is not None and x.shape[-1] != side:
            x = F.interpolate(x, (side, side), mode=self.interpolation, antialias=True)
            x = x.clamp(0, 1)
        if self.px is None or self.px == x.shape[-1]:
            return x
        start = round((x.shape[-1] - self.px) / 2)  # as torchvision's CenterCrop
        return x[..., start : start + self.px, start : start + self.px]
