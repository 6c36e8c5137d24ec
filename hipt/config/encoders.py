"""Settings of both embedding stages: networks, their weights, and what they take."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from hipt.config.presets import (
    Argument,
    Interpolation,
    Pooling,
    Preset,
    Share,
    Side,
    Spread,
    presets,
)
from hipt.config.section import Section

PRETRAIN = "pretrain"
"""In place of a weights file: the one that the workflow trains from the slides."""

OWN = "python:"
"""Before module and function of an encoder that the user wrote."""

LOCAL = "local-dir:"
"""Before a folder whose config.json says what the network is."""


EngineSetting = Literal["auto", "torch", "openvino"]
PrecisionSetting = Literal["auto", "fp32", "bf16"]


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

_OWN_FORM = re.compile(r"python:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


class PatchEncoderConfig(Section):
    """Stage 1: a patch becomes a vector."""

    encoder: str = "hipt"
    """`hipt` (ViT256-16); the name of a published encoder, e.g. `uni2-h` or `virchow2`, see
    `hipt encoders`; the name of any timm model, e.g. `vit_large_patch16_224`; `local-dir:` and a
    folder with timm's config.json; or `python:my_package.my_module:build`, a function of yours."""
    encoder_args: dict[str, Argument] = {}  # noqa: RUF012 (pydantic copies it)
    """Further arguments for timm's `create_model`, as on model cards, or for your function, e.g.
    `{init_values: 1.0e-5}`; layers by name: `{mlp_layer: SwiGLUPacked, act_layer: torch.nn.SiLU}`;
    what layer norms add to the variance: `{layer_norm_eps: 1.0e-12}`. Of a published encoder those
    that are named here replace its own."""
    input_px: Side | None = None
    """Side of the picture that the network takes; patches are resized to it, or to resize_px and
    cut. null: the published encoder's, `img_size` of encoder_args, or timm's for the encoder's
    name; `hipt` takes patches as they are."""
    resize_px: Side | None = None
    """Side to which patches are resized before input_px is cut from their centre, e.g. 256 for
    224; null: the published encoder's, or input_px, so that nothing is cut."""
    interpolation: Interpolation | None = None
    """How patches are resized, always with antialiasing; null: as the published encoder's card
    says, else bicubic."""
    mean: tuple[Share, Share, Share] | None = None
    """What the network's colours are normalised by, red, green, blue of 0 to 1, e.g. ImageNet's
    `[0.485, 0.456, 0.406]`; null: as the weights file says, else the published encoder's card, else
    timm for the encoder's name, which weights of another origin need not share; `hipt`: 0.5."""
    std: tuple[Spread, Spread, Spread] | None = None
    """Standard deviations beside mean, e.g. ImageNet's `[0.229, 0.224, 0.225]`."""
    pooling: Pooling | None = None
    """Which tokens are a patch's vector: `cls`, the CLS token; `mean`, the mean of the patch tokens
    without registers; `cls+mean`, both, twice as wide. null: as the published encoder's card says,
    else what the network gives by itself. Not for `hipt`, which gives its CLS token."""
    shape: Literal["paper"] | ViTShape = "paper"
    """`paper` (12 blocks, 384 wide, 6 heads) or own numbers; for `encoder: hipt` alone."""
    weights: str | None = None
    """A weights file (safetensors, or torch's), or `pretrain`: made from the slides. null: the file
    that a package brings, for `efficientnet-lite0` alone."""
    which: str | None = None
    """Which network of a weights file that holds several, as `hipt weights show` names them, e.g.
    `student`; null: a teacher or an average (EMA) before the rest."""
    random: Annotated[int, Field(ge=0)] | None = None
    """Seed for random weights instead of a file: for trials, not for results."""
    features: Annotated[str, Field(min_length=1)] | None = None
    """Folder of vectors that TRIDENT, CLAM or slide2vec made: taken instead of computing any."""
    background: Literal["embed", "sample"] = "embed"
    """Patches without tissue. `embed`: each is read and embedded, as in the paper. `sample`: 16 of
    a slide's are, evenly over it; the others are not read, and get the mean of their vectors."""
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
        if self.encoder.startswith(OWN) and not _OWN_FORM.fullmatch(self.encoder):
            raise ValueError(
                f"encoder: '{self.encoder}' names no function; write python:MODULE:FUNCTION, e.g. "
                "python:my_package.my_module:build"
            )
        if self.weights == PRETRAIN and self.encoder != "hipt":
            raise ValueError(
                f"weights: pretrain is for encoder: hipt; name a weights file for {self.encoder}"
            )
        given = [self.weights, self.random, self.mean, self.std, self.input_px, self.resize_px]
        given += [self.interpolation, self.pooling]
        if self.features is not None and any(value is not None for value in given):
            raise ValueError(
                "features are taken as they are, no model makes them; leave out weights, random, "
                "mean, std, input_px, resize_px, interpolation and pooling"
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

    @model_validator(mode="after")
    def _whole_vector(self) -> Self:
        if self.encoder == "hipt" and self.pooling is not None:
            raise ValueError(
                "pooling is for other networks: hipt gives its CLS token; leave it out"
            )
        if self.resize_px is None:
            return self
        if self.encoder == "hipt" and self.input_px is None:
            raise ValueError(
                "resize_px is the side before input_px is cut from the centre; set input_px too"
            )
        if self.input_px is not None and self.resize_px < self.input_px:
            raise ValueError(
                f"resize_px ({self.resize_px}) must be at least input_px ({self.input_px}), which "
                "is cut from its centre"
            )
        return self

    @property
    def preset(self) -> Preset | None:
        """The published encoder of this name; None if it is none."""
        return presets().get(self.encoder)

    @property
    def as_published(self) -> bool:
        """Whether a published encoder is taken with weights, and all that its card says."""
        given = (self.random, self.mean, self.input_px, self.resize_px, self.interpolation)
        changed = bool(self.encoder_args) or any(v is not None for v in (*given, self.pooling))
        return self.preset is not None and not changed

    @property
    def architecture(self) -> str:
        """The network's name: the published encoder's, else as it is written."""
        return self.preset.architecture if self.preset else self.encoder

    @property
    def arguments(self) -> dict[str, Argument]:
        """The network's arguments: the published encoder's, replaced by those that are written."""
        return (self.preset.arguments if self.preset else {}) | self.encoder_args

    @property
    def vit_shape(self) -> ViTShape:
        """The shape with its name resolved."""
        return PATCH_SHAPES[self.shape] if isinstance(self.shape, str) else self.shape


class RegionEncoderConfig(Section):
    """Stage 2: a region's grid of patch vectors becomes a vector."""

    pool: Literal["mean"] | None = None
    """`mean`: no stage 2; a region's vector is the mean of its patch vectors, each counted by the
    tissue that it shows, for patch encoders that no ViT4096 was trained on. null: stage 2."""
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
        if self.pool == "mean" and (self.weights is not None or self.random is not None):
            raise ValueError(
                "pool: mean takes no stage 2; leave out weights and random, or leave out pool"
            )
        _which_of_file(self.weights, self.which)
        return self

    @model_serializer(mode="wrap")
    def _pool_where_it_is_set(self, values_of: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Settings of stage 2 keep the text, and so the fingerprints, of before `pool`."""
        values: dict[str, Any] = values_of(self)
        return {name: x for name, x in values.items() if name != "pool" or x is not None}

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

    engine: EngineSetting = "auto"
    """What computes vectors. `auto`: on a CPU OpenVINO, where its vectors agree with torch's on
    the first slides, unless torch is more than twice as fast; `openvino`: OpenVINO where they
    agree; `torch`: torch always, as on GPUs. No reason to make anything again."""
    precision: PrecisionSetting = "auto"
    """`auto`: bf16 where the hardware is faster with it, and on a CPU where its vectors agree with
    those in fp32 on the first slides, else fp32; what is finished in either is kept. `fp32` or
    `bf16`: what was made in another is made again."""
    mixed_precision: Literal["note", "refuse"] = "note"
    """Slides in fp32 beside slides in bf16: counted in the report, or refused before any task."""
    patches: PatchEncoderConfig = PatchEncoderConfig()
    regions: RegionEncoderConfig = RegionEncoderConfig()
