"""One patch through an encoder before a run: what it takes, what it gives, what to know of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor

from hipt.config.config import PatchEncoderConfig
from hipt.embedding.encoder_input import EncoderInput
from hipt.errors import HiptError
from hipt.nn.encoders import PatchEncoder


def input_text(given: EncoderInput, patch_px: int) -> str:
    """What the network takes, and who says so."""
    side = f"{patch_px} px patches as they are"
    if given.px is not None:
        resized = "" if given.px == patch_px else f" from {patch_px} px"
        side = f"patches of {given.px} px{resized} ({given.px_from})"
    mean, std = (" ".join(f"{x:.4g}" for x in values) for values in (given.mean, given.std))
    return f"{side}; mean {mean}, std {std} ({given.colours_from})"


def notes(cfg: PatchEncoderConfig, given: EncoderInput, patch_px: int) -> Iterator[str]:
    """What a user should know before hours are spent."""
    if given.generic and cfg.weights is not None:
        yield (
            f"mean and std are {given.colours_from}, timm's default for the name {cfg.encoder}; "
            "weights of another origin need not share it (UNI is normalised by ImageNet's): set "
            "embed.patches.mean and std as the weights' model card does"
        )
    if given.px is not None and given.px > patch_px:
        yield (
            f"patches are enlarged from {patch_px} to {given.px} px, which adds work and no "
            "detail; if the weights' model card names another side, set embed.patches.input_px"
        )
    if cfg.encoder_args.get("num_classes"):
        yield (
            "encoder_args.num_classes is not used: a vector is what the network's classifier "
            "would be given"
        )


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
