"""What a patch encoder takes: side and normalisation, and who says so.

A key of the config comes first, then the weights file, then timm's config for the encoder's name.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hipt.config.config import PatchEncoderConfig
from hipt.embedding.weights_files import file_normalisation
from hipt.errors import HiptError
from hipt.nn.encoders import HIPT_MEAN, HIPT_STD

Colours = tuple[tuple[float, ...], tuple[float, ...], str]
"""Mean, std, and what says them."""

PX_KEY = "embed.patches.input_px"


@dataclass(frozen=True)
class EncoderInput:
    """What a network takes, by the config of a run."""

    px: int | None
    """Side that patches are resized to; None: as they are."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    px_from: str
    """What says the side."""
    colours_from: str
    """What says mean and std."""
    generic: bool
    """Whether mean and std are timm's for a bare name, which many weights share."""

    @property
    def identity(self) -> dict[str, object]:
        """The values that decide vectors, whatever their source; fit for JSON."""
        return {"input_px": self.px, "mean": list(self.mean), "std": list(self.std)}


def encoder_input(cfg: PatchEncoderConfig) -> EncoderInput:
    """What the encoder of a config takes.

    timm, which loads for seconds, is asked only for what neither config nor weights file says.

    Raises:
        HiptError: if the weights file or timm's model is not usable.
    """
    colours: Colours | None = None
    if cfg.mean is not None and cfg.std is not None:
        colours = cfg.mean, cfg.std, "embed.patches.mean and std"
    if colours is None and cfg.weights is not None:
        carried = file_normalisation(Path(cfg.weights))
        colours = (*carried, "the weights file") if carried is not None else None
    px = cfg.input_px
    if cfg.encoder == "hipt":
        return _of_hipt(px, colours)
    if colours is not None and px is not None:
        return EncoderInput(px, colours[0], colours[1], PX_KEY, colours[2], generic=False)
    return _of_timm(cfg, px, colours)


def _of_hipt(px: int | None, colours: Colours | None) -> EncoderInput:
    """ViT256-16's input: patches as they are, 0.5."""
    mean, std, colours_from = colours or (HIPT_MEAN, HIPT_STD, "HIPT's own")
    px_from = "patches as they are" if px is None else PX_KEY
    return EncoderInput(px, mean, std, px_from, colours_from, generic=False)


def _of_timm(cfg: PatchEncoderConfig, px: int | None, colours: Colours | None) -> EncoderInput:
    """What timm's config says, where nothing else does."""
    from hipt.nn.timm_models import timm_model  # loads for seconds

    try:
        made = timm_model(cfg.encoder, cfg.encoder_args, device="meta")
    except ValueError as error:
        raise HiptError(str(error)) from None
    generic = colours is None and not {".", ":"} & set(cfg.encoder)
    if colours is None:
        named = cfg.encoder if ":" in cfg.encoder else f"timm's {made.tag}"
        colours = made.mean, made.std, named
    side, px_from = (px, PX_KEY) if px is not None else (made.input_px, made.px_from)
    return EncoderInput(side, colours[0], colours[1], px_from, colours[2], generic)
