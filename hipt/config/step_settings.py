"""The settings of each step: those that can change what it makes, and no others.

Rules hand them on as JSON, and another text makes results anew: so the order of the fields counts,
those of the last base class first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

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


class SheetFile(Section):
    """Where the sheet lies, and where its paths start."""

    sheet: str
    root: str | None


class Sheet(SheetFile):
    """The sheet, and the words in it for values that are not known."""

    missing: tuple[str, ...] = MISSING


class SheetOfCases(Sheet):
    """The sheet with the cases of its slides."""

    case_from: Literal["column", "tcga"]


class NamedTask(Section):
    """A task by its name."""

    name: str


class TaskOfKind(NamedTask):
    """A task by its name and kind."""

    kind: Literal["classification", "survival"]


class SegmentSettings(Sheet):
    """Settings of the segment step."""

    default_mpp: float | None
    mask_origin: Origin
    pictures_show: Extent
    on_slide_error: Literal["record", "stop"]
    segment: SegmentConfig
    features: str | None = None


class TileSettings(Section):
    """Settings of the tile step."""

    on_slide_error: Literal["record", "stop"]
    mpp: float
    mpp_tolerance: float
    tile: TileConfig
    features: str | None


class EmbedPatchesSettings(Sheet):
    """Settings of the embed_patches step."""

    on_slide_error: Literal["record", "stop"]
    tile: TileConfig
    precision: Literal["auto", "fp32", "bf16"]
    patches: PatchEncoderConfig


class EmbedRegionsSettings(Section):
    """Settings of the embed_regions step."""

    on_slide_error: Literal["record", "stop"]
    tile: TileConfig
    precision: Literal["auto", "fp32", "bf16"]
    regions: RegionEncoderConfig


class PretrainSettings(SheetOfCases):
    """Settings of the pretrain step."""

    tile: TileConfig
    patches: PatchEncoderConfig
    regions: RegionEncoderConfig
    pretrain: PretrainConfig


class SlidesSettings(SheetOfCases):
    """Settings of the slides step."""

    mixed_precision: Literal["note", "refuse"] = "note"


class ProbeSettings(SheetOfCases):
    """Settings of the probe step."""

    tile: TileConfig
    patches: PatchEncoderConfig
    regions: RegionEncoderConfig
    pictures_show: Extent
    probe: ProbeConfig


class SplitSettings(SheetOfCases, NamedTask):
    """Settings of the split step, of one task."""

    weights: tuple[str, ...]
    task: TaskConfig


class FitSettings(TaskOfKind):
    """Settings of the fit step, of one task."""

    features: str | None
    split: Literal["grouped", "site", "files"]
    seed: int
    tile: TileConfig
    regions: RegionEncoderConfig
    fit: FitConfig
    fit_of: dict[str, FitConfig] = Field(default_factory=dict)

    def of(self, model: str) -> FitSettings:
        """The settings that one model is fitted with."""
        return self.model_copy(update={"fit": self.fit_of.get(model, self.fit), "fit_of": {}})


class EvaluateSettings(TaskOfKind):
    """Settings of the evaluate step, of one task."""

    classes: tuple[str, ...] | None = None
    seed: int
    resamples: int
    published: dict[str, dict[float, tuple[float, ...]]] = Field(default_factory=dict)


class KnnSettings(TaskOfKind):
    """Settings of the knn step, of one task."""

    features: str | None
    seed: int
    resamples: int
    published: dict[str, dict[float, tuple[float, ...]]] = Field(default_factory=dict)
    k: int
    distances: tuple[Literal["euclidean", "cosine"], ...]
    levels: tuple[Literal["region", "patch"], ...]


class ViewedTask(TaskOfKind):
    """A task whose fitted models are looked into."""

    loss: Literal["nll", "cox"]
    models: tuple[Model, ...]
    fraction: float


class ExamplesSettings(NamedTask):
    """Settings of the examples step, of one task."""

    tile: TileConfig
    examples: int
    viewed: ViewedTask


class AgreementSettings(SheetFile):
    """Settings of the agreement step."""

    pictures_show: Extent
    missing: tuple[str, ...] = MISSING
    labels: str | None
    target: tuple[int, ...]


class AttendSettings(Sheet):
    """Settings of the attend step."""

    on_slide_error: Literal["record", "stop"]
    tile: TileConfig
    patches: PatchEncoderConfig
    regions: RegionEncoderConfig
    shifts: int
    cells: int
    viewed: tuple[ViewedTask, ...]


class ExportSettings(SheetOfCases):
    """Settings of the export step, whatever the format."""

    on_slide_error: Literal["record", "stop"]
    mpp: float
    tile: TileConfig
    patches: PatchEncoderConfig
    min_patch_tissue: float


class ReportSettings(Section):
    """Settings of the report step: the whole config, `shortened`, since it shows it."""

    config: Config


_OF_RUN: dict[str, Callable[[Config], Section]] = {
    "segment": lambda c: SegmentSettings(
        **_of(Sheet, c.slides),
        default_mpp=c.slides.default_mpp,
        mask_origin=c.slides.mask_origin,
        pictures_show=c.slides.pictures_show,
        on_slide_error=c.slides.on_slide_error,
        segment=c.segment,
        features=c.embed.patches.features,
    ),
    "tile": lambda c: TileSettings(
        on_slide_error=c.slides.on_slide_error,
        mpp=c.mpp,
        mpp_tolerance=c.slides.mpp_tolerance,
        tile=c.tile,
        features=c.embed.patches.features,
    ),
    "embed_patches": lambda c: EmbedPatchesSettings(
        **_of(Sheet, c.slides),
        on_slide_error=c.slides.on_slide_error,
        tile=c.tile,
        precision=c.embed.precision,
        patches=c.embed.patches,
    ),
    "embed_regions": lambda c: EmbedRegionsSettings(
        on_slide_error=c.slides.on_slide_error,
        tile=c.tile,
        precision=c.embed.precision,
        regions=c.embed.regions,
    ),
    "pretrain": lambda c: PretrainSettings(
        **_of(SheetOfCases, c.slides),
        tile=c.tile,
        patches=c.embed.patches,
        regions=c.embed.regions,
        pretrain=c.pretrain,
    ),
    "slides": lambda c: SlidesSettings(
        **_of(SheetOfCases, c.slides), mixed_precision=c.embed.mixed_precision
    ),
    "probe": lambda c: ProbeSettings(
        **_of(SheetOfCases, c.slides),
        tile=c.tile,
        patches=c.embed.patches,
        regions=c.embed.regions,
        pictures_show=c.slides.pictures_show,
        probe=c.probe,
    ),
    "attend": lambda c: AttendSettings(
        **_of(Sheet, c.slides),
        on_slide_error=c.slides.on_slide_error,
        tile=c.tile,
        patches=c.embed.patches,
        regions=c.embed.regions,
        shifts=c.attend.shifts,
        cells=c.attend.cells,
        viewed=viewed_tasks(c),
    ),
    "agreement": lambda c: AgreementSettings(
        **_of(Sheet, c.slides),
        pictures_show=c.slides.pictures_show,
        labels=c.attend.labels,
        target=c.attend.target,
    ),
    "export": lambda c: ExportSettings(
        **_of(SheetOfCases, c.slides),
        on_slide_error=c.slides.on_slide_error,
        mpp=c.mpp,
        tile=c.tile,
        patches=c.embed.patches,
        min_patch_tissue=c.export.min_patch_tissue,
    ),
    "report": lambda c: ReportSettings(config=shortened(c)),
}
"""How the settings of a step come from a config `c`."""

_OF_TASK: dict[str, Callable[[Config, str, TaskConfig], Section]] = {
    "split": lambda c, name, task: SplitSettings(
        **_of(SheetOfCases, c.slides),
        name=name,
        weights=tuple(
            stage.weights
            for stage in (c.embed.patches, c.embed.regions)
            if stage.weights is not None
        ),
        task=task.model_copy(update={"published": {}}),  # shown by the report, used by no step
    ),
    "fit": lambda c, name, task: FitSettings(
        name=name,
        kind=task.kind,
        features=task.features,
        split=task.split,
        seed=task.seed,
        tile=c.tile,
        regions=c.embed.regions,
        fit=task.fit,
        fit_of=task.fit_of,
    ),
    "evaluate": lambda _, name, task: EvaluateSettings(
        name=name,
        kind=task.kind,
        classes=task.classes,
        seed=task.seed,
        resamples=task.resamples,
        published=task.published,
    ),
    "knn": lambda c, name, task: KnnSettings(
        name=name,
        kind=task.kind,
        features=task.features,
        seed=task.seed,
        resamples=task.resamples,
        published=task.published,
        k=c.knn.k,
        distances=c.knn.distances,
        levels=c.knn.levels,
    ),
    "examples": lambda c, name, task: ExamplesSettings(
        name=name, tile=c.tile, examples=c.attend.examples, viewed=_viewed(name, task)
    ),
}
"""How the settings of a step of a task come from a config `c`, by the task's name and section."""


def settings(step: str, config: Config) -> Section:
    """The settings of a step: those that can change what it makes, and no others.

    Raises:
        KeyError: if no step has that name.
    """
    return _OF_RUN[step](config)


def task_settings(step: str, config: Config, name: str) -> Section:
    """The settings of a step of a task: `split`, `fit`, `evaluate`, `knn` or `examples`.

    Raises:
        KeyError: if there is no such task, or no such step of one.
    """
    return _OF_TASK[step](config, name, config.tasks[name])


def shortened(config: Config) -> Config:
    """The config as it fits on a command line: of many slides with heatmaps the first are named.

    Only this list grows with the cohort, and Linux takes 128 KiB in one argument.
    """
    mapped = config.attend.slides
    if mapped == "all" or len(mapped) <= MOST_NAMED:
        return config
    some = (*mapped[:MOST_NAMED], f"... and {len(mapped) - MOST_NAMED:,} more")
    return config.model_copy(update={"attend": config.attend.model_copy(update={"slides": some})})


def viewed_tasks(config: Config) -> tuple[ViewedTask, ...]:
    """The tasks that heatmaps show: only the workflow's own regions have a place on a slide."""
    return tuple(
        _viewed(name, task) for name, task in config.tasks.items() if task.features is None
    )


def _viewed(name: str, task: TaskConfig) -> ViewedTask:
    """What is looked into of a task: its models at their largest training part."""
    return ViewedTask(
        name=name,
        kind=task.kind,
        loss=task.fit.loss,
        models=task.models,
        fraction=max(task.train_fractions),
    )


def _of(part: type[Section], section: Section) -> dict[str, Any]:
    """The fields of a shared part, all of which the section has under the same names."""
    return {name: getattr(section, name) for name in part.model_fields}
