"""The jobs that a run consists of, where each leaves its output and its log, and how it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from hipt.config.config import Config
from hipt.config.trained import NAMES, trained
from hipt.layout import Results
from hipt.registry import EVERY_SLIDE, STEPS
from hipt.status.logs import JobLog, read_log

JobState = Literal["done", "working", "silent", "stopped", "failed", "waiting"]

SILENT_S = 600
"""A job that wrote no line for so long is not said to be at work: it is slow, or was killed."""


@dataclass(frozen=True)
class Job:
    """One job of the workflow."""

    step: str
    name: str
    """Its batch, its task, its fit; empty where a step is one job."""
    output: Path
    log_path: Path
    slides: Sequence[str] = ()
    """Of its batch, those of the sheet."""

    @cached_property
    def log(self) -> JobLog | None:
        """Its log as it was when it was first asked for; None where there is none."""
        return read_log(self.log_path)

    @property
    def written_s(self) -> float:
        """When its output was written, seconds since the epoch; 0 where there is none."""
        try:
            return self.output.stat().st_mtime
        except OSError:
            return 0.0

    @cached_property
    def state(self) -> JobState:
        """Done where its output is there, which Snakemake deletes before a job starts.

        Without an output, its log says whether it has begun, and how it ended.
        """
        if self.output.exists():
            return "done"
        if self.log is None:
            return "waiting"
        if self.log.error:
            return "stopped" if self.log.stopped else "failed"
        return "working" if self.log.age_s < SILENT_S else "silent"


def expected(
    results: Results, config: Config | None, batches: Mapping[str, Sequence[str]]
) -> Iterator[Job]:
    """The jobs of a run, those of one step together.

    Args:
        results: where they write.
        config: of the run; None: only the steps that every slide goes through are known.
        batches: the slides of each.
    """
    mapped = _mapped(config, batches)
    for step in STEPS:
        if step in EVERY_SLIDE or step == "attend":
            of_step = batches if step in EVERY_SLIDE else mapped
            for batch, slides in of_step.items():
                log = results.log(step, batch)
                yield Job(step, batch, results.index(step, batch), log, slides)
        elif config is not None:
            for name, output in _outputs(step, results, config).items():
                yield Job(step, name, output, results.log(step, name))


def _mapped(
    config: Config | None, batches: Mapping[str, Sequence[str]]
) -> dict[str, Sequence[str]]:
    """The batches with slides that get heatmaps, and these."""
    wanted = () if config is None else config.attend.slides
    if wanted == "all":
        return dict(batches)
    named = {batch: [s for s in slides if s in wanted] for batch, slides in batches.items()}
    return {batch: slides for batch, slides in named.items() if slides}


def _outputs(step: str, results: Results, config: Config) -> dict[str, Path]:
    """What a step makes that is not of a batch, by the job's name; nothing where it makes none."""
    tasks = config.tasks
    outputs: dict[str, dict[str, Path]] = {
        **{f"pretrain_{stage}": {"": results.model(NAMES[stage])} for stage in trained(config)},
        "slides": {"": results.slides},
        "probe": {"": results.probe} if config.probe.labels or config.probe.column else {},
        "split": {task: results.task(task, "folds.parquet") for task in tasks},
        "fit": {
            f"{task}.{model}.{fraction:g}": results.fit(
                task, model, f"{fraction:g}", "predictions.parquet"
            )
            for task, section in tasks.items()
            for fraction in section.train_fractions
            for model in section.models
        },
        "evaluate": {task: results.task(task, "scores.parquet") for task in tasks},
        "knn": {task: results.knn(task) for task in config.knn_tasks},
        "export": {name: Path(f"{results.export(name)}.parquet") for name in config.export.formats},
        "report": {"": results.report},
    }
    return outputs.get(step, {})
