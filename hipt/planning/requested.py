"""The files that rules ask for: of batches, heatmaps, tasks, exports."""

from __future__ import annotations

from pathlib import Path

from hipt.config.step_settings import viewed_tasks
from hipt.config.tasks import INATTENTIVE
from hipt.planning.plan import Plan


def indices(plan: Plan, step: str) -> list[Path]:
    """A step's indices of all batches; of `attend` of those that have a slide with heatmaps."""
    batches = plan.mapped if step == "attend" else plan.batches
    return [plan.results.index(step, batch) for batch in plan.batches if batch in batches]


def agreement(plan: Plan) -> list[Path]:
    """How well heatmaps find what was labelled, where both are there."""
    return [plan.results.agreement] if plan.labels.target_maps and plan.mapped else []


def examples(plan: Plan) -> list[Path]:
    """The contact sheets of tasks whose models' attention differs over regions."""
    viewed = viewed_tasks(plan.config) if plan.config.attend.examples else ()
    attentive = [task for task in viewed if set(task.models) - INATTENTIVE]
    return [plan.results.task(task.name, "examples.jpg") for task in attentive]


def fits(plan: Plan, task: str) -> list[Path]:
    """The predictions of all fits of a task, in the order of its models."""
    section = plan.config.tasks[task]
    return [
        plan.results.fit(task, model, f"{fraction:g}", "predictions.parquet")
        for fraction in section.train_fractions
        for model in section.models
    ]


def viewed_fits(plan: Plan) -> list[Path]:
    """The predictions of the fits that heatmaps look into."""
    return [
        plan.results.fit(task.name, model, f"{task.fraction:g}", "predictions.parquet")
        for task in viewed_tasks(plan.config)
        for model in task.models
    ]


def exports(plan: Plan) -> list[Path]:
    """The lists of what was exported, one for each format."""
    formats = plan.config.export.formats
    return [Path(f"{plan.results.export(name)}.parquet") for name in formats]


def given_files(plan: Plan, task: str) -> list[str]:
    """The files that a task names: labels, features."""
    section = plan.config.tasks[task]
    return [path for path in (section.labels, section.features) if path is not None]
