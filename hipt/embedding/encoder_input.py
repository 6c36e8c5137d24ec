"""What a patch encoder takes and gives, and who says so: decided here, and nowhere else.

A key of the config comes first, then the weights file, then the published encoder's card, the
user's own network, or timm's config for the encoder's name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hipt.config.config import OWN, PatchEncoderConfig
from hipt.embedding.own_encoder import own_input, own_network
from hipt.embedding.weights_metadata import file_normalisation
from hipt.errors import HiptError
from hipt.nn.encoders import HIPT_MEAN, HIPT_STD
from hipt.nn.preprocessing import PatchInput

if TYPE_CHECKING:
    from torch import nn

PX_KEY = "embed.patches.input_px"


@dataclass(frozen=True, kw_only=True)
class EncoderInput(PatchInput):
    """What a network takes and gives, by the config of a run."""

    px_from: str
    """What says the side."""
    colours_from: str
    """What says mean and std."""
    generic: bool = False
    """Whether mean and std are timm's for a bare name, which many weights share."""

    @property
    def identity(self) -> dict[str, object]:
        """The values that decide vectors, whatever their source; fit for JSON.

        Keys that say what was done before they were there are left out, so that vectors of then
        keep their fingerprints.
        """
        values = {"input_px": self.px, "mean": list(self.mean), "std": list(self.std)}
        plain = {"resize_px": None, "interpolation": "bicubic", "pooling": None}
        chosen = {name: getattr(self, name) for name in plain}
        return values | {name: x for name, x in chosen.items() if x != plain[name]}


def encoder_input(cfg: PatchEncoderConfig, own: nn.Module | None = None) -> EncoderInput:
    """What the encoder of a config takes and gives.

    timm, which loads for seconds, is needed only for what nothing else states.

    Args:
        cfg: of the patch encoder.
        own: the network of the user's, where it is built already.

    Raises:
        HiptError: if the weights file, timm's model or the user's code is not usable, or the values
            do not fit each other.
    """
    colours = _colours(cfg)
    changes: dict[str, Any] = {**colours}
    if cfg.input_px is not None:
        changes |= {"px": cfg.input_px, "px_from": PX_KEY}
    chosen = {name: getattr(cfg, name) for name in ("resize_px", "interpolation", "pooling")}
    changes |= {name: value for name, value in chosen.items() if value is not None}
    try:
        if cfg.preset is None and colours and cfg.input_px is not None:
            return EncoderInput(**changes)
        return replace(_stated(cfg, own), **changes)
    except ValueError as error:
        raise HiptError(f"embed.patches: {error}") from None


def _colours(cfg: PatchEncoderConfig) -> dict[str, Any]:
    """Mean and std by the config or the weights file; nothing where neither says them."""
    if cfg.mean is not None and cfg.std is not None:
        mean, std, source = cfg.mean, cfg.std, "embed.patches.mean and std"
    elif cfg.weights is not None and (carried := file_normalisation(Path(cfg.weights))):
        mean, std, source = *carried, "the weights file"
    else:
        return {}
    return {"mean": mean, "std": std, "colours_from": source, "generic": False}


def _stated(cfg: PatchEncoderConfig, own: nn.Module | None) -> EncoderInput:
    """What a published card, the user's network or timm says."""
    if cfg.encoder == "hipt":
        return EncoderInput(
            px=None,
            mean=HIPT_MEAN,
            std=HIPT_STD,
            px_from="patches as they are",
            colours_from="HIPT's own",
        )
    if cfg.preset is not None:
        card = cfg.preset
        return EncoderInput(
            px=card.input_px,
            mean=card.mean,
            std=card.std,
            resize_px=card.resize_px,
            interpolation=card.interpolation,
            pooling=card.pooling,
            px_from=f"{card.name}'s card",
            colours_from=f"{card.name}'s card",
        )
    if cfg.encoder.startswith(OWN):
        attributes = own_input(cfg.encoder, own or own_network(cfg))
        return EncoderInput(
            px=attributes.input_px,
            mean=attributes.mean,
            std=attributes.std,
            px_from=cfg.encoder,
            colours_from=cfg.encoder,
        )
    return _of_timm(cfg)


def _of_timm(cfg: PatchEncoderConfig) -> EncoderInput:
    """What timm's config says."""
    from hipt.nn.timm_models import timm_model  # loads for seconds

    try:
        made = timm_model(cfg.encoder, cfg.encoder_args, device="meta")
    except ValueError as error:
        raise HiptError(str(error)) from None
    return EncoderInput(
        px=made.input_px,
        mean=made.mean,
        std=made.std,
        px_from=made.px_from,
        colours_from=cfg.encoder if ":" in cfg.encoder else f"timm's {made.tag}",
        generic=not {".", ":"} & set(cfg.encoder),
    )
