"""One patch through an encoder before a run: what it takes, what it gives, what to know of it."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from hipt.embedding.encoder_input import EncoderInput
from hipt.embedding.recorded_input import values_text
from hipt.errors import HiptError
from hipt.nn.encoders import PatchEncoder


def input_text(given: EncoderInput, patch_px: int) -> str:
    """What the network takes and gives, and who says so."""
    side = f"{patch_px} px patches as they are"
    if given.px is not None:
        resized = given.resize_px or given.px
        cut = f" cut from {resized} px" if resized != given.px else ""
        source = "" if resized == patch_px else f" from {patch_px} px"
        side = f"patches of {given.px} px{cut}{source} ({given.px_from})"
    mean, std = values_text(given.mean), values_text(given.std)
    pooling = f"; {given.pooling}" if given.pooling else ""
    return f"{side}; mean {mean}, std {std} ({given.colours_from}){pooling}"


def tried(encoder: PatchEncoder, patch_px: int) -> str:
    """What the network gives for one painted patch, on the CPU in fp32.

    Raises:
        HiptError: if the network refuses the patch, or gives numbers that are none.
    """
    try:
        with torch.inference_mode():
            vector = cast(Tensor, encoder(_patch(patch_px)))[0].double()  # (D,)
    except Exception as error:  # noqa: BLE001 - networks refuse by errors of many kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise HiptError(
            f"embed.patches: the network takes no patch of {patch_px} px ({reason}); see "
            "embed.patches.encoder_args and input_px"
        ) from None
    none = int((~vector.isfinite()).sum())
    if none:
        raise HiptError(
            f"embed.patches: {none} of the {len(vector)} numbers that the network gives for a "
            "painted patch are not finite; the weights are damaged, or of another network"
        )
    first = " ".join(f"{x:.3f}" for x in vector[:3].tolist())
    spread = f"mean {vector.mean():.3f}, std {vector.std(correction=0):.3f}"
    return f"{len(vector):,} numbers for a painted patch, all finite: {first} ..., {spread}"


def _patch(side_px: int) -> Tensor:
    """(1, px, px, 3) uint8: pink waves with purple dots, the same always."""
    steps = torch.linspace(0, 6.28, side_px)
    wave = (steps.sin()[:, None] + (2 * steps).cos()[None, :]) / 4 + 0.5  # (px, px)
    dots = ((8 * steps).sin()[:, None] * (8 * steps).cos()[None, :] > 0.5).float()
    pink, dark = torch.tensor((0.95, 0.75, 0.9)), torch.tensor((0.25, 0.3, 0.15))
    picture = pink - 0.15 * wave[..., None] - dots[..., None] * dark  # (px, px, 3)
    return (picture.clamp(0, 1) * 255).round().to(torch.uint8)[None]
