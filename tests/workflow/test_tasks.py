"""Tasks in the workflow: what runs after a change of labels, tasks, models, slides."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.once import made_once
from tests.workflow.moments import processes, wait_for
from tests.workflow.project import SHAPE, Project

pytestmark = pytest.mark.workflow

NAMES = "abcdefgh"
TASKS: dict[str, Any] = {
    "grade": {
        **{"kind": "classification", "label": "grade", "folds": 2, "validation": 0.4},
        **{"models": ["linear", "mean"], "fit": {"epochs": 2}, "resamples": 200},
    },
    "outcome": {
        **{"kind": "survival", "time": "months", "event": "died", "folds": 2, "validation": 0.4},
        **{"models": ["linear"], "resamples": 200},
    },
}
KNN: dict[str, Any] = {"k": 1, "levels": ["region", "patch"]}
ALL = {"split": 2, "fit": 3, "evaluate": 2, "knn": 1, "report": 1}


def cells(number: int) -> dict[str, str]:
    """Labels of a slide."""
    return {"grade": "lh"[number % 2], "months": str(3 * number + 2), "died": str(number % 4 // 2)}


@pytest.fixture(scope="module")
def evaluated(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Eight slides with two tasks, after a run."""

    def make(folder: Path) -> None:
        project = finished.copy(folder / "p")
        rows = []
        for number, name in enumerate(NAMES):
            old = project.read_sheet()[number % 4]["path"]
            path = f"slides/task-{name}.tif"
            project.copy_slide(old, path)
            rows.append({"slide_id": f"task-{name}", "path": path, **cells(number)})
        project.write_sheet(rows)
        batches = {"sheet": "slides.csv", "batch_size": 4}
        project.configure(slides=batches, tasks=TASKS, knn=KNN)
        ran = project.run()
        assert ran.rc == 0, ran.text
        assert ALL.items() <= ran.jobs.items()

    return Project(made_once(tmp_path_factory, "evaluated", make) / "p")


@pytest.fixture
def project(evaluated: Project, tmp_path: Path) -> Project:
    return evaluated.copy(tmp_path / "p")


def scores(project: Project, task: str) -> pl.DataFrame:
    return pl.read_parquet(project.results / "tasks" / task / "scores.parquet")


def changed(before: dict[str, str], after: dict[str, str], task: str) -> set[str]:
    """Files of a task that differ."""
    mine = {name for name in before | after if name.startswith(f"tasks/{task}/")}
    return {name for name in mine if before.get(name) != after.get(name)}


def test_every_task_has_scores_and_the_page_shows_them(evaluated: Project):
    assert set(scores(evaluated, "grade")["model"]) == {"linear", "mean"}
    assert "c_index" in set(scores(evaluated, "outcome")["metric"])
    page = (evaluated.results / "report.html").read_text()
    section = page.split('id="tasks"')[1]
    assert "grade: scores" in section
    assert "outcome: scores" in section


def test_neighbours_vote_in_classifications(evaluated: Project):
    found = pl.read_parquet(evaluated.results / "knn" / "grade.scores.parquet")
    levels, distances = ("region", "patch"), ("euclidean", "cosine")
    assert set(found["model"]) == {f"knn_{one}_{other}" for one in levels for other in distances}
    assert not list(evaluated.results.glob("knn/outcome*"))


@pytest.mark.whole("tasks")
def test_other_neighbours_are_asked_alone(project: Project):
    project.configure(tasks=TASKS, knn=KNN | {"distances": ["cosine"]})
    before = project.content()
    ran = project.run()
    assert (ran.rc, ran.jobs) == (0, {"knn": 1, "report": 1}), ran.text
    after = project.content()
    assert before["knn/grade.parquet"] != after["knn/grade.parquet"]
    assert not changed(before, after, "grade")
    project.configure(tasks=TASKS, knn=KNN | {"tasks": []})
    assert project.run().jobs == {"report": 1}


def test_published_numbers_fit_nothing(project: Project):
    grade = TASKS["grade"] | {"published": {"linear": {1.0: [0.8, 0.1]}, "knn": {1.0: [0.7, 0.1]}}}
    project.configure(tasks=TASKS | {"grade": grade}, knn=KNN)
    before = project.content()
    ran = project.run()
    assert (ran.rc, ran.jobs) == (0, {"evaluate": 1, "knn": 1, "report": 1}), ran.text
    after = project.content()
    assert changed(before, after, "grade") == {"tasks/grade/published.parquet"}
    assert before["knn/grade.parquet"] == after["knn/grade.parquet"]
    table = pl.read_parquet(project.results / "tasks" / "grade" / "published.parquet")
    assert table["published_mean"].to_list() == [0.8]
    assert "0.800 ± 0.100" in (project.results / "report.html").read_text()


def test_nothing_changed(project: Project):
    ran = project.run()
    assert (ran.rc, ran.jobs) == (0, {})


@pytest.mark.whole("tasks", "embedding")
def test_without_stage_2_tasks_take_means_of_patches(project: Project):
    """All that follows is made anew from the same patch vectors, slides and labels."""
    patches = {"shape": SHAPE, "random": 1}
    pooled = {"patches": patches, "regions": {"pool": "mean"}}
    project.configure(
        slides={"sheet": "slides.csv", "batch_size": 4}, tasks=TASKS, knn=KNN, embed=pooled
    )
    before = project.times("embed_patches")
    ran = project.run()
    assert ran.rc == 0, ran.text
    assert ran.jobs >= Counter({"embed_regions": 2, "fit": 3, "evaluate": 2, "knn": 1, "report": 1})
    assert ran.jobs["embed_patches"] == 0
    assert project.times("embed_patches") == before
    assert set(scores(project, "grade")["model"]) == {"linear", "mean"}
    assert "c_index" in set(scores(project, "outcome")["metric"])
    page = (project.results / "report.html").read_text()
    assert "none: the mean of a region&#39;s patch vectors" in page
    assert "grade: scores" in page.split('id="tasks"')[1]


def test_a_label_touches_the_tasks_that_read_it(project: Project):
    before = project.content()
    project.change_row("task-c", grade="h")
    ran = project.run()
    assert ran.rc == 0, ran.text
    assert ran.jobs == {"split": 1, "fit": 2, "evaluate": 1, "knn": 1, "report": 1}
    assert changed(before, project.content(), "grade")
    assert not changed(before, project.content(), "outcome")


def test_an_unread_column_touches_nothing(project: Project):
    project.change_row("task-c", remark="pale")
    assert project.run().jobs == {}


@pytest.mark.whole("tasks")
def test_a_model_more_is_fitted_alone(project: Project):
    tasks = TASKS | {"grade": TASKS["grade"] | {"models": ["linear", "mean", "abmil"]}}
    project.configure(tasks=tasks, knn=KNN)
    before = project.content()
    ran = project.run()
    assert ran.rc == 0, ran.text
    assert ran.jobs["fit"] == 1
    after = project.content()
    kept = {name for name in before if name.startswith("tasks/grade/mean/")}
    assert kept
    assert all(before[name] == after[name] for name in kept)
    assert not changed(before, after, "outcome")


@pytest.mark.whole("tasks")
def test_a_new_slide_joins_and_no_member_moves(project: Project):
    def members() -> dict[str, int]:
        table = pl.read_csv(project.results / "tasks" / "grade" / "members.csv")
        return dict(table.iter_rows())

    before = members()
    project.copy_slide("slides/task-a.tif", "slides/extra.tif")
    row = {"slide_id": "extra", "path": "slides/extra.tif", **cells(8)}
    project.write_sheet([*project.read_sheet(), row])
    ran = project.run()
    assert ran.rc == 0, ran.text
    assert ran.jobs["embed_regions"] == 1
    after = members()
    assert before.items() < after.items()
    assert set(after) - set(before) == {"extra"}


@pytest.mark.whole("tasks")
def test_a_slide_without_label_fits_nothing_anew(project: Project):
    project.copy_slide("slides/task-a.tif", "slides/extra.tif")
    row = {"slide_id": "extra", "path": "slides/extra.tif"}
    project.write_sheet([*project.read_sheet(), row])
    before = project.content()
    ran = project.run()
    assert ran.rc == 0, ran.text
    assert ran.jobs["split"] == 2
    assert not {"fit", "knn"} & set(ran.jobs)
    after = project.content()
    for task in ("grade", "outcome"):  # who has no label is counted, and nothing else changes
        assert changed(before, after, task) == {f"tasks/{task}/labels.parquet"}


@pytest.mark.whole("tasks")
def test_a_killed_run_goes_on_to_the_same_results(evaluated: Project, project: Project):
    shutil.rmtree(project.results / "tasks")
    (project.results / "report.html").unlink()
    with project.running():
        wait_for(lambda: processes(project, "fit"), "a process that fits")
    assert project.run("--unlock").rc == 0
    ran = project.run()
    assert ran.rc == 0, ran.text
    assert project.content() == evaluated.content()
