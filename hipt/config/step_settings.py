"""What each step is told: the settings that can change what it makes, and no others."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hipt.config.config import (
    MISSING,
    Config,
    Extent,
    Origin,
    PatchEncoderConfig,
    ProbeConfig,
    RegionEncoderConfig,
    SegmentConfig,
    TileConfig,
)
from hipt.config.pretraining import PretrainConfig
from hipt.config.section import Section
from hipt.config.tasks import FitConfig, Model, TaskConfig

MOST_NAMED = 100
"""Slides with heatmaps that the report names."""


class SegmentSettings(Section):
    """What the segment step is told."""

    sheet: str
    root: str | None
    missing: tuple[str, ...] = MISSING
    default_mpp: float | None
    mask_origin: Origin
    pictures_show: Extent
    on_slide_error: Literal["record", "stop"]
    segment: SegmentConfig


class TileSettings(Section):
    """What the tile step is told."""

    on_slide_error: Literal["record", "stop"]
    mpp: float
    mpp_tolerance: float
    tile: TileConfig
    features: str | None


class EmbedPatchesSettings(Section):
    """What the embed_patches step is told."""

    sheet: str
    root: str | None
    missing: tuple[str, ...] = MISSING
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


class PretrainSettings(Section):
    """What the pretrain step is told."""

    sheet: str
    root: str | None
    missing: tuple[str, ...] = MISSING
    case_from: Literal["column", "tcga"]
    tile: TileConfig
    patches: PatchEncoderConfig
    regions: RegionEncoderConfig
    pretrain: PretrainConfig


class SlidesSettings(Section):
    """What the slide table is told."""

    sheet: str
    root: str | None
    missing: tuple[str, ...] = MISSING
    case_from: Literal["column", "tcga"]
    mixed_precision: Literal["note", "refuse"] = "note"


class ProbeSettings(Section):
    """What the probe is told."""

    sheet: str
    root: str | None
    missing: tuple[str, ...] = MISSING
    case_from: Literal["column", "tcga"]
    tile: TileConfig
    patches: PatchEncoderConfig
    regions: RegionEncoderConfig
    pictures_show: Extent
    probe: ProbeConfig


class SplitSettings(Section):
    """What the split step is told of one task."""

    name: str
    sheet: str
    root: str | None
    missing: tuple[str, ...] = MISSING
    case_from: Literal["column", "tcga"]
    weights: tuple[str, ...]
    task: TaskConfig


class FitSettings(Section):
    """What the fit step is told of one task."""

    name: str
    kind: Literal["classification", "survival"]
    features: str | None
    split: Literal["grouped", "site", "files"]
    seed: int
    tile: TileConfig
    regions: RegionEncoderConfig
    fit: FitConfig


class EvaluateSettings(Section):
    """What the evaluate step is told of one task."""

    name: str
    kind: Literal["classification", "survival"]
    classes: tuple[str, ...] | None = None
    seed: int
    resamples: int
    published: dict[str, dict[float, tuple[float, ...]]] = Field(default_factory=dict)


class KnnSettings(Section):
    """What the knn step is told of one task."""

    name: str
    kind: Literal["classification", "survival"]
    features: str | None
    seed: int
    resamples: int
    published: dict[str, dict[float, tuple[float, ...]]] = Field(default_factory=dict)
    k: int
    distances: tuple[Literal["euclidean", "cosine"], ...]
    levels: tuple[Literal["region", "patch"], ...]


class ViewedTask(Section):
    """A task whose fitted models are looked into."""

    name: str
    kind: Literal["classification", "survival"]
    loss: Literal["nll", "cox"]
    models: tuple[Model, ...]
    fraction: float


class ExamplesSettings(Section):
    """What the examples step is told of one task."""

    name: str
    tile: TileConfig
    examples: int
    viewed: ViewedTask


class AgreementSettings(Section):
    """What the agreement step is told."""

    sheet: str
    root: str | None
    pictures_show: Extent
    missing: tuple[str, ...] = MISSING
    labels: str | None
    target: tuple[int, ...]


class AttendSettings(Section):
    """What the attend step is told."""

    sheet: str
    root: str | None
    missing: tuple[str, ...] = MISSING
    on_slide_error: Literal["record", "stop"]
    tile: TileConfig
    patches: PatchEncoderConfig
    regions: RegionEncoderConfig
    shifts: int
    cells: int
    viewed: tuple[ViewedTask, ...]


class ExportSettings(Section):
    """What the export is told, whatever the format."""

    sheet: str
    root: str | None
    missing: tuple[str, ...] = MISSING
    case_from: Literal["column", "tcga"]
    on_slide_error: Literal["record", "stop"]
    mpp: float
    tile: TileConfig
    patches: PatchEncoderConfig
    min_patch_tissue: float


class ReportSettings(Section):
    """What the report is told: the whole config, `shortened`, since it shows it."""

    config: Config


_TOLD: dict[str, type[Section]] = {
    "segment": SegmentSettings,
    "tile": TileSettings,
    "embed_patches": EmbedPatchesSettings,
    "embed_regions": EmbedRegionsSettings,
    "pretrain": PretrainSettings,
    "slides": SlidesSettings,
    "probe": ProbeSettings,
    "attend": AttendSettings,
    "agreement": AgreementSettings,
    "export": ExportSettings,
    "report": ReportSettings,
}

_TOLD_OF_TASK: dict[str, type[Section]] = {
    "split": SplitSettings,
    "fit": FitSettings,
    "evaluate": EvaluateSettings,
    "knn": KnnSettings,
    "examples": ExamplesSettings,
}


def settings(step: str, config: Config) -> Section:
    """What one step is told: those settings that can change what it makes, and no others.

    Raises:
        KeyError: if no step has that name.
    """
    cls = _TOLD[step]
    sections = config.attend, config.slides, config.embed, config.export
    known = {name: value for section in (*sections, config) for name, value in section}
    known |= {
        "config": shortened(config),
        "features": config.embed.patches.features,
        "viewed": tuple(  # only the workflow's own regions have a place on a slide
            _viewed(name, task) for name, task in config.tasks.items() if task.features is None
        ),
    }
    return cls(**{name: known[name] for name in cls.model_fields})


def shortened(config: Config) -> Config:
    """The config as it fits on a command line: of many slides with heatmaps the first are named.

    Only this list grows with the cohort, and Linux takes 128 KiB in one argument.
    """
    asked = config.attend.slides
    if asked == "all" or len(asked) <= MOST_NAMED:
        return config
    some = (*asked[:MOST_NAMED], f"... and {len(asked) - MOST_NAMED:,} more")
    return config.model_copy(update={"attend": config.attend.model_copy(update={"slides": some})})


def _viewed(name: str, task: TaskConfig) -> ViewedTask:
    """What is looked into of a task: its models at their largest training part."""
    return ViewedTask(
        name=name,
        kind=task.kind,
        loss=task.fit.loss,
        models=task.models,
        fraction=max(task.train_fractions),
    )


def task_settings(step: str, config: Config, name: str) -> Section:
    """What a step of a task is told: `split`, `fit`, `evaluate`, `knn` or `examples`.

    Raises:
        KeyError: if there is no such task, or no such step of one.
    """
    task = config.tasks[name]
    cls = _TOLD_OF_TASK[step]
    files = (config.embed.patches.weights, config.embed.regions.weights)
    known: dict[str, object] = {
        **dict(config.slides),
        **dict(config.embed),
        **dict(config.knn),
        "examples": config.attend.examples,
        "viewed": _viewed(name, task),
        "tile": config.tile,
        **dict(task),
        "task": task.model_copy(update={"published": {}}),  # beside scores alone
        "name": name,
        "weights": tuple(path for path in files if path is not None),
    }
    return cls(**{field: known[field] for field in cls.model_fields})
