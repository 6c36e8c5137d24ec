"""Every setting of a run: one frozen class per section of `config/config.yaml`.

Types and bounds only; nothing here opens a file. Units stand in the names: `_px` pixels, `_um`
micrometres, `_mm2` square millimetres, `mpp` micrometres per pixel.
"""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hipt.errors import HiptError

S = TypeVar("S", bound="Section")


class Section(BaseModel):
    """A part of the config: immutable, and unknown keys are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class SlidesConfig(Section):
    """Which slides, and how their headers are understood."""

    sheet: str = "config/slides.csv"
    """The sheet (CSV, one row per slide), or a folder: every slide in it, id = file stem."""
    root: str | None = None
    """Folder that relative slide and mask paths start from; null: the sheet's own folder."""
    batch_size: Annotated[int, Field(ge=1, le=1024)] = 16
    """Slides per job. Batches are formed once; a new value holds for slides added later."""
    case_from: Literal["column", "tcga"] = "column"
    """`column`: case_id from the sheet, else the slide_id; `tcga`: the id's first 12 characters."""
    default_mpp: Annotated[float, Field(gt=0, le=100)] | None = None
    """Micrometres per pixel for slides that state none; null: such slides end as `no_mpp`."""
    mpp_tolerance: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """How far a read resolution may be from `mpp`, as a share, before pixels are resampled."""
    on_slide_error: Literal["record", "stop"] = "record"
    """`record`: a broken slide is a row with a reason; `stop`: its job fails."""


class SegmentConfig(Section):
    """Tissue against glass on a thumbnail."""

    mask_mpp: Annotated[float, Field(ge=1, le=64)] = 8.0
    """Resolution of the tissue mask, um/px."""


class TileConfig(Section):
    """The grid of regions and patches."""

    region_px: Annotated[int, Field(ge=32, le=16384)] = 4096
    """Side of a region at `mpp`; paper: 4096."""
    patch_px: Annotated[int, Field(ge=16, le=1024)] = 256
    """Side of a patch at `mpp`; paper: 256."""
    min_tissue: Annotated[float, Field(ge=0, le=1)] = 0.1
    """A region is kept from this tissue share on; a slide with tissue keeps at least its best."""
    anchor: Literal["tissue", "slide"] = "tissue"
    """Where the grid starts: the corner of the tissue's bounding box, or of the slide."""

    @model_validator(mode="after")
    def _whole_patches(self) -> Self:
        if self.region_px % self.patch_px:
            raise ValueError(
                f"region_px ({self.region_px}) must be a whole number of patches; "
                f"take a multiple of patch_px ({self.patch_px})"
            )
        return self

    @property
    def grid(self) -> int:
        """Patches along a region's side; paper: 16."""
        return self.region_px // self.patch_px


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


PATCH_SHAPES = {"paper": ViTShape(depth=12, dim=384, heads=6)}
"""ViT256-16; the released weights have the paper's shape."""

REGION_SHAPES = {
    "paper": ViTShape(depth=4, dim=192, heads=3),
    "released": ViTShape(depth=6, dim=192, heads=6),
}
"""ViT4096-256 as the paper describes it, and as its released weights are."""


class PatchEncoderConfig(Section):
    """Stage 1: a patch becomes a vector."""

    encoder: str = "hipt"
    """`hipt` (ViT256-16), or the name of any timm model, e.g. `vit_large_patch16_224`."""
    encoder_args: dict[str, bool | int | float | str] = {}
    """Further arguments for timm's `create_model`, e.g. `{init_values: 1.0e-5}` for UNI."""
    shape: Literal["paper"] | ViTShape = "paper"
    """`paper` (12 blocks, 384 wide, 6 heads) or own numbers; for `encoder: hipt` alone."""
    weights: str | None = None
    """A weights file: safetensors, or a DINO checkpoint."""
    random: Annotated[int, Field(ge=0)] | None = None
    """Seed for random weights instead of a file: for trials, not for results."""
    max_unreadable: Annotated[float, Field(ge=0, le=1)] = 0.05
    """More unreadable tissue patches than this share: the slide ends as `damaged`."""

    @property
    def vit_shape(self) -> ViTShape:
        """The shape with its name resolved."""
        return PATCH_SHAPES[self.shape] if isinstance(self.shape, str) else self.shape


class RegionEncoderConfig(Section):
    """Stage 2: a region's grid of patch vectors becomes a vector."""

    shape: Literal["released", "paper"] | ViTShape = "released"
    """`released` (6 blocks, 6 heads), `paper` (4 blocks, 3 heads), or own numbers."""
    weights: str | None = None
    """A weights file: safetensors, or a DINO checkpoint."""
    random: Annotated[int, Field(ge=0)] | None = None
    """Seed for random weights instead of a file: for trials, not for results."""

    @property
    def vit_shape(self) -> ViTShape:
        """The shape with its name resolved."""
        return REGION_SHAPES[self.shape] if isinstance(self.shape, str) else self.shape


class EmbedConfig(Section):
    """Both embedding stages."""

    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """`auto`: bf16 where the hardware computes it, else fp32."""
    patches: PatchEncoderConfig = PatchEncoderConfig()
    regions: RegionEncoderConfig = RegionEncoderConfig()


class ReportConfig(Section):
    """The report page."""

    title: str = "HIPT"
    """Heading of the page."""
    overviews: Annotated[int, Field(ge=0, le=2000)] = 200
    """Most slide pictures that are put into the page; the table always has every slide."""


class Config(Section):
    """The whole of `config/config.yaml`."""

    slides: SlidesConfig = SlidesConfig()
    results: str = "results"
    """Folder for everything that is made."""
    mpp: Annotated[float, Field(gt=0, le=10)] = 0.5
    """Resolution at which patches are embedded, um/px; paper: 0.5 (20x)."""
    segment: SegmentConfig = SegmentConfig()
    tile: TileConfig = TileConfig()
    embed: EmbedConfig = EmbedConfig()
    report: ReportConfig = ReportConfig()


class SegmentSettings(Section):
    """What the segment step is told."""

    sheet: str
    root: str | None
    default_mpp: float | None
    on_slide_error: Literal["record", "stop"]
    segment: SegmentConfig


class TileSettings(Section):
    """What the tile step is told."""

    on_slide_error: Literal["record", "stop"]
    mpp: float
    mpp_tolerance: float
    tile: TileConfig


class EmbedPatchesSettings(Section):
    """What the embed_patches step is told."""

    sheet: str
    root: str | None
    on_slide_error: Literal["record", "stop"]
    tile: TileConfig
    precision: Literal["auto", "fp32", "bf16"]
    patches: PatchEncoderConfig


class EmbedRegionsSettings(Section):
    """What the embed_regions step is told."""

    on_slide_error: Literal["record", "stop"]
    tile: TileConfig
    precision: Literal["auto", "fp32", "bf16"]
    regions: RegionEncoderConfig


class SlidesSettings(Section):
    """What the slide table is told."""

    slides: SlidesConfig


class ReportSettings(Section):
    """What the report is told: the whole config, since it shows it."""

    config: Config


def settings(step: str, config: Config) -> Section:
    """What one step is told: those settings that can change what it makes, and no others.

    Raises:
        KeyError: if no step has that name.
    """
    c, s = config, config.slides
    return {
        "segment": lambda: SegmentSettings(
            sheet=s.sheet,
            root=s.root,
            default_mpp=s.default_mpp,
            on_slide_error=s.on_slide_error,
            segment=c.segment,
        ),
        "tile": lambda: TileSettings(
            on_slide_error=s.on_slide_error, mpp=c.mpp, mpp_tolerance=s.mpp_tolerance, tile=c.tile
        ),
        "embed_patches": lambda: EmbedPatchesSettings(
            sheet=s.sheet,
            root=s.root,
            on_slide_error=s.on_slide_error,
            tile=c.tile,
            precision=c.embed.precision,
            patches=c.embed.patches,
        ),
        "embed_regions": lambda: EmbedRegionsSettings(
            on_slide_error=s.on_slide_error,
            tile=c.tile,
            precision=c.embed.precision,
            regions=c.embed.regions,
        ),
        "slides": lambda: SlidesSettings(slides=s),
        "report": lambda: ReportSettings(config=c),
    }[step]()


def parse(cls: type[S], values: object, source: str) -> S:
    """A section from plain values, e.g. loaded YAML.

    Args:
        cls: the section's class.
        values: nested dicts of plain values.
        source: where they come from, for the sentence.

    Raises:
        HiptError: naming the first key that is wrong, what was found and what to do.
    """
    try:
        return cls.model_validate({} if values is None else values)
    except ValidationError as error:
        raise HiptError(f"{source}: {_sentence(cls, error)}") from None


def _sentence(cls: type[Section], error: ValidationError) -> str:
    """The first problem of a validation, in words."""
    first = error.errors(include_url=False)[0]
    path = [str(part) for part in first["loc"]]
    where = ".".join(path) or "config"
    if first["type"] == "extra_forbidden":
        known = _keys_at(cls, path[:-1])
        near = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(known)}"
        return f"unknown key '{where}'; {hint}"
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {message[0].lower()}{message[1:]}, got {first['input']!r}"


def _keys_at(cls: type[Section], path: list[str]) -> list[str]:
    """The keys that a section knows, some levels down."""
    here: Any = cls
    for part in path:
        field = here.model_fields.get(part) if hasattr(here, "model_fields") else None
        if field is None:
            continue
        options = [field.annotation, *getattr(field.annotation, "__args__", ())]
        here = next((o for o in options if isinstance(o, type) and issubclass(o, Section)), here)
    return sorted(here.model_fields)
