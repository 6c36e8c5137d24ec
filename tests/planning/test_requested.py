"""Which files the rules ask for."""

from __future__ import annotations

from typing import Any

from hipt.planning import requested
from tests.planning.conftest import Run

TASKS: dict[str, Any] = {
    "grade": {
        **{"kind": "classification", "label": "grade", "folds": 2},
        **{"models": ["linear", "abmil"], "train_fractions": [0.5, 1.0]},
    },
    "plain": {"kind": "classification", "label": "grade", "folds": 2, "models": ["linear", "mean"]},
    "outside": {
        **{"kind": "survival", "time": "months", "event": "dead", "features": "f.parquet"},
        **{"labels": "l.csv", "models": ["linear"]},
    },
}


def names(run: Run, paths: list[Any]) -> list[str]:
    """Paths inside the results folder."""
    return [str(path.relative_to(run.results)) for path in paths]


def test_indices(run: Run):
    plan = run.plan(attend={"slides": ["d"]})
    assert names(run, requested.indices(plan, "tile")) == [
        "tile/index/b0000.parquet",
        "tile/index/b0001.parquet",
    ]
    assert names(run, requested.indices(plan, "attend")) == ["attend/index/b0001.parquet"]
    assert requested.indices(run.plan(), "attend") == []


def test_fits_and_scores(run: Run):
    plan = run.plan_of_job(tasks=TASKS)
    assert names(run, requested.fits(plan, "grade")) == [
        f"tasks/grade/{model}/{fraction}/predictions.parquet"
        for fraction in ("0.5", "1")
        for model in ("linear", "abmil")
    ]
    assert names(run, requested.viewed_fits(plan)) == [
        *(f"tasks/grade/{model}/1/predictions.parquet" for model in ("linear", "abmil")),
        *(f"tasks/plain/{model}/1/predictions.parquet" for model in ("linear", "mean")),
    ]


def test_contact_sheets_are_of_tasks_with_attention(run: Run):
    examples = requested.examples(run.plan_of_job(tasks=TASKS))
    assert names(run, examples) == ["tasks/grade/examples.jpg"]
    assert requested.examples(run.plan_of_job(tasks=TASKS, attend={"examples": 0})) == []


def test_agreement_needs_maps_of_both_kinds(run: Run):
    (run.folder / "a.png").touch()
    target = {"labels": str(run.folder), "target": [1]}
    both = run.plan(attend=target | {"slides": "all"})
    assert requested.agreement(both) == [run.results / "agreement.parquet"]
    assert requested.agreement(run.plan(attend=target)) == []
    assert requested.agreement(run.plan(attend={"slides": "all"})) == []


def test_exports(run: Run):
    plan = run.plan(export={"formats": ["clam", "hipt"]})
    assert names(run, requested.exports(plan)) == ["export/clam.parquet", "export/hipt.parquet"]


def test_files_that_a_task_names_are_as_it_names_them(run: Run):
    plan = run.plan_of_job(tasks=TASKS)
    assert requested.given_files(plan, "outside") == ["l.csv", "f.parquet"]
    assert requested.given_files(plan, "plain") == []
