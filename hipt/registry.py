"""Every step of the workflow, once and in order, and the commands beside it.

Standard library only: the layout of the results, `hipt --help` and Snakemake's parse need it before
any settings are loaded (`hipt/config/step_settings.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Step:
    """A rule of the workflow, or a command that people call beside it."""

    name: str
    """Of its rule, and of its folder in the results where it has one."""
    help: str
    """Its line of `hipt --help`."""
    version: int = 0
    """Raised by one when its results change: everything that it made is then made again. 0: a
    command beside the workflow, on which no result depends."""
    per: Literal["slide", "model", "run", "task", "format"] = "run"
    """One result is written per slide, trained model, run, task or exported format."""
    reads: tuple[str, ...] = ()
    """Steps whose results it reads, of the same slide or task where both are of one; and `batches`,
    the ledger that is written when a run starts."""
    shard_suffix: str = ""
    """Suffix of the per-slide file (shard), written last where a slide has several files."""
    module: str = ""
    """In `hipt/steps/`; empty: named as the rule."""

    @property
    def command(self) -> str:
        """What follows `hipt` on the command line: the name of the module."""
        return self.module or self.name


_DINO = "DINO on patches, then on grids of patch embeddings"
_DINO_VERSION = 5

STEPS: dict[str, Step] = {
    step.name: step
    for step in (
        Step(
            "segment",
            "tissue masks, contours and overviews of a batch of slides",
            version=3,
            per="slide",
            shard_suffix=".png",
        ),
        Step(
            "tile",
            "manifests of regions and patches",
            version=3,
            per="slide",
            reads=("segment",),
            shard_suffix=".parquet",
        ),
        Step(
            "pretrain_patches",
            _DINO,
            version=_DINO_VERSION,
            per="model",
            reads=("tile",),
            module="pretrain",
        ),
        Step(
            "embed_patches",
            "stage 1: one vector per patch",
            version=5,
            per="slide",
            reads=("tile", "pretrain_patches"),
            shard_suffix=".arrow",
        ),
        Step(
            "pretrain_regions",
            _DINO,
            version=_DINO_VERSION,
            per="model",
            reads=("embed_patches",),
            module="pretrain",
        ),
        Step(
            "embed_regions",
            "stage 2: one vector per region",
            version=3,
            per="slide",
            reads=("embed_patches", "pretrain_regions"),
            shard_suffix=".parquet",
        ),
        Step(
            "slides",
            "the slide table, one row per slide of the sheet",
            version=4,
            reads=("batches", "segment", "tile", "embed_patches", "embed_regions"),
        ),
        Step(
            "probe",
            "how well frozen features predict labels, by neighbours and linear models",
            version=5,
            reads=("embed_patches", "embed_regions"),
        ),
        Step(
            "split",
            "folds of a task, and leaks between them",
            version=3,
            per="task",
            reads=("embed_regions", "slides", "pretrain_patches", "pretrain_regions"),
        ),
        Step(
            "fit",
            "one model of a task, in all folds",
            version=4,
            per="task",
            reads=("split", "embed_regions", "embed_patches"),
        ),
        Step(
            "evaluate",
            "scores of a task's models, with intervals and paired tests",
            version=5,
            per="task",
            reads=("fit", "split"),
        ),
        Step(
            "knn",
            "how well mean embeddings predict a task's classes, by nearest neighbours",
            version=4,
            per="task",
            reads=("split", "embed_regions", "embed_patches"),
        ),
        Step(
            "attend",
            "heatmaps: where stage 2 and the tasks' models look, slide by slide",
            version=4,
            per="slide",
            reads=("tile", "embed_patches", "pretrain_regions", "fit"),
            shard_suffix=".parquet",
        ),
        Step("agreement", "how well heatmaps find what was labelled", version=3, reads=("attend",)),
        Step(
            "examples",
            "regions of most and least attention, class by class",
            version=3,
            per="task",
            reads=("fit", "attend"),
        ),
        Step(
            "export",
            "embeddings in the files of other tools",
            version=3,
            per="format",
            reads=("embed_patches", "embed_regions", "slides"),
        ),
        Step(
            "report",
            "the report page",
            version=11,
            reads=(
                *("pretrain_patches", "pretrain_regions", "slides", "probe", "evaluate", "knn"),
                *("attend", "agreement", "examples"),
            ),
        ),
        Step("check", "look before a long run: sheet, headers, weights, disk, hours"),
        Step("bench", "how fast this machine reads and embeds these slides, and what binds"),
        Step("weights", "show a weights file, or convert it"),
        Step("encoders", "published patch encoders: list them, show a card, check a download"),
        Step("status", "how far a run is, step by step and slide by slide"),
        Step("verify", "compare results with a manifest or other results, and look for damage"),
        Step("view", "slides, heatmaps and what looks alike, in a browser"),
        Step("retrain", "move a trained model aside, so that it is trained anew"),
    )
}
"""Rules by name, in the order in which one feeds the next; then the commands beside them."""

COMMANDS = {step.command: step for step in STEPS.values()}
"""By the name of the module."""

SHARDED = {name: step.shard_suffix for name, step in STEPS.items() if step.shard_suffix}
"""The steps that make a file for every slide that they work on, and its suffix."""

EVERY_SLIDE = tuple(name for name in SHARDED if name in STEPS["slides"].reads)
"""The steps that every slide goes through, in their order: those that the slide table joins."""


def version_of(command: str) -> int:
    """The version of what a module of `hipt/steps/` makes."""
    return COMMANDS[command].version
