"""Settings of both embedding stages: networks, their weights, and what they take."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from hipt.config.section import Section

PRETRAIN = "pretrain"
"""In place of a weights file: the one that the workflow trains from the slides."""


class ViTShape(Section):
    """Size of a vision transformer."""

    depth: Annotated[int, Field(ge=1, le=48)]
    """Number of blocks."""
    dim: Annotated[int, Field(ge=8, le=4096)]
    """Width D of a token."""
    heads: Annotated[int, Field(ge=1, le=64)]
    """Attention heads; must divide dim."""

    @model_validator(mode="after")
    def _whole_heads(self) -> Self:
        if self.dim % self.heads:
            raise ValueError(f"dim ({self.dim}) must be a multiple of heads ({self.heads})")
        return self


CELL_PX = 16
"""Side of a cell, the token of ViT256-16, pixels."""

PATCH_SHAPES = {"paper": ViTShape(depth=12, dim=384, heads=6)}
"""ViT256-16; the released weights have the paper's shape."""

REGION_SHAPES = {
    "paper": ViTShape(depth=4, dim=192, heads=3),
    "released": ViTShape(depth=6, dim=192, heads=6),
}
"""ViT4096-256 as the paper describes it, and as its released weights are."""


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
"""Text that people mean as a number."""

_PYTHON_WORDS = {"None": "null", "True": "true", "False": "false", "true": "true", "false": "false"}
"""Words of Python and YAML that are text in quotes, and how YAML writes what they mean."""

Argument = bool | int | float | str | list[int | float | str] | None
Share = Annotated[float, Field(ge=0, le=1)]
Spread = Annotated[float, Field(gt=0, le=1)]


class PatchEncoderConfig(Section):
    """Stage 1: a patch becomes a vector."""

    encoder: str = "hipt"
    """`hipt` (ViT256-16), or the name of any timm model, e.g. `vit_large_patch16_224`."""
    encoder_args: dict[str, Argument] = {}  # noqa: RUF012 (pydantic copies it)
    """Further arguments for timm's `create_model`, as on model cards, e.g. `{init_values: 1.0e-5}`
    for UNI; layers by name: `{mlp_layer: SwiGLUPacked, act_layer: torch.nn.SiLU}`."""
    input_px: Annotated[int, Field(ge=16, le=4096)] | None = None
    """Side to which patches are resized for the network; null: `img_size` of encoder_args, else
    timm's for the encoder's name; `hipt` takes patches as they are."""
    mean: tuple[Share, Share, Share] | None = None
    """What the network's colours are normalised by, red, green, blue of 0 to 1, e.g. ImageNet's
    `[0.485, 0.456, 0.406]` for UNI; null: as the weights file says, else timm's for the encoder's
    name, which weights of another origin need not share; `hipt`: 0.5."""
    std: tuple[Spread, Spread, Spread] | None = None
    """Standard deviations beside mean, e.g. ImageNet's `[0.229, 0.224, 0.225]`."""
    shape: Literal["paper"] | ViTShape = "paper"
    """`paper` (12 blocks, 384 wide, 6 heads) or own numbers; for `encoder: hipt` alone."""
    weights: str | None = None
    """A weights file (safetensors, or torch's), or `pretrain`: made from the slides."""
    which: str | None = None
    """Which network of a weights file that holds several, as `hipt weights show` names them, e.g.
    `student`; null: a teacher or an average (EMA) before the rest."""
    random: Annotated[int, Field(ge=0)] | None = None
    """Seed for random weights instead of a file: for trials, not for results."""
    features: Annotated[str, Field(min_length=1)] | None = None
    """Folder of vectors that TRIDENT or CLAM has made: taken instead of computing any."""
    max_unreadable: Annotated[float, Field(ge=0, le=1)] = 0.05
    """More unreadable tissue patches than this share: the slide ends as `damaged`."""

    @field_validator("encoder_args")
    @classmethod
    def _plain_arguments(cls, arguments: dict[str, Argument]) -> dict[str, Argument]:
        """YAML reads 1e-5 as text; timm would take the text "False" for true."""
        plain: dict[str, Argument] = {}
        for key, value in arguments.items():
            plain[key] = value
            if not isinstance(value, str):
                continue
            if value in _PYTHON_WORDS:
                word = _PYTHON_WORDS[value]
                raise ValueError(f"{key}: '{value}' is text here; write {word}, without quotes")
            if _NUMBER.fullmatch(value):
                plain[key] = int(value) if value.isdecimal() else float(value)
        return plain

    @model_validator(mode="after")
    def _own_network(self) -> Self:
        if self.encoder == "hipt" and self.encoder_args:
            raise ValueError(
                "encoder_args are for networks of timm; leave them out, or set encoder to one"
            )
        if self.weights == PRETRAIN and self.encoder != "hipt":
            raise ValueError(
                f"weights: pretrain is for encoder: hipt; name a weights file for {self.encoder}"
            )
        given = [self.weights, self.random, self.mean, self.std, self.input_px]
        if self.features is not None and any(value is not None for value in given):
            raise ValueError(
                "features are taken as they are, no model makes them; leave out weights, random, "
                "mean, std and input_px"
            )
        _which_of_file(self.weights, self.which)
        return self

    @model_validator(mode="after")
    def _whole_input(self) -> Self:
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std belong together; set both, or neither")
        if self.mean is not None and self.weights == PRETRAIN:
            raise ValueError(
                "weights: pretrain trains with mean and std of 0.5, and embeds with them; leave "
                "them out"
            )
        if self.encoder == "hipt" and (self.input_px or CELL_PX) % CELL_PX:
            raise ValueError(
                f"input_px ({self.input_px}) must be a whole number of {CELL_PX} px cells for "
                "encoder: hipt"
            )
        return self

    @property
    def vit_shape(self) -> ViTShape:
        """The shape with its name resolved."""
        return PATCH_SHAPES[self.shape] if isinstance(self.shape, str) else self.shape


class RegionEncoderConfig(Section):
    """Stage 2: a region's grid of patch vectors becomes a vector."""

    shape: Literal["released", "paper"] | ViTShape = "released"
    """`released` (6 blocks, 6 heads), `paper` (4 blocks, 3 heads), or own numbers."""
    weights: str | None = None
    """A weights file (safetensors, or torch's), or `pretrain`: made from the slides."""
    which: str | None = None
    """Which network of a weights file that holds several, as `hipt weights show` names them, e.g.
    `student`; null: a teacher or an average (EMA) before the rest."""
    random: Annotated[int, Field(ge=0)] | None = None
    """Seed for random weights instead of a file: for trials, not for results."""

    @model_validator(mode="after")
    def _one_network(self) -> Self:
        _which_of_file(self.weights, self.which)
        return self

    @property
    def vit_shape(self) -> ViTShape:
        """The shape with its name resolved."""
        return REGION_SHAPES[self.shape] if isinstance(self.shape, str) else self.shape


def _which_of_file(weights: str | None, which: str | None) -> None:
    """Refuse a network of a file where there is no file."""
    if which is not None and weights in (None, PRETRAIN):
        raise ValueError(f"which: '{which}' names a network of a weights file; name the file")


class EmbedConfig(Section):
    """Both embedding stages."""

    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """`auto`: bf16 where the hardware is faster with it, else fp32; what is finished in either is
    kept. `fp32` or `bf16`: what was made in another is made again."""
    mixed_precision: Literal["note", "refuse"] = "note"
    """Slides in fp32 beside slides in bf16: counted in the report, or refused before any task."""
    patches: PatchEncoderConfig = PatchEncoderConfig()
    regions: RegionEncoderConfig = RegionEncoderConfig()
