"""Heatmaps in the workflow: what is asked for is made, and a new slide maps no other anew."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.workflow.project import Project
from tests.workflow.test_tasks import TASKS, evaluated

pytestmark = pytest.mark.workflow

__all__ = ["evaluated"]


@pytest.mark.whole("heatmaps")
def test_maps_examples_and_what_runs_again(evaluated: Project, tmp_path: Path):
    project = evaluated.copy(tmp_path / "p")
    tasks = TASKS | {"grade": TASKS["grade"] | {"models": ["linear", "abmil"]}}
    ask = {"slides": ["task-a", "task-e"], "examples": 2}
    project.configure(tasks=tasks, knn={"tasks": []}, attend=ask)
    ran = project.run()
    assert ran.rc == 0, ran.text
    # batches of four: a and e lie in two
    assert ran.jobs["attend"] == 2
    assert ran.jobs["examples"] == 1
    maps = project.results / "attend"
    assert {path.stem for path in maps.glob("*.parquet")} == {"task-a", "task-e"}
    assert (maps / "task-a" / "grade.abmil.product.png").exists()
    assert (project.results / "tasks" / "grade" / "examples.jpg").exists()
    page = (project.results / "report.html").read_text()
    assert 'alt="Heatmap attention of slide task-a"' in page
    assert project.run().jobs.total() == 0

    table, before = maps / "task-a.parquet", (maps / "task-a.parquet").stat().st_mtime_ns
    project.configure(tasks=tasks, knn={"tasks": []}, attend=ask | {"slides": ["task-a", "task-b"]})
    ran = project.run()
    assert ran.rc == 0, ran.text
    # a's batch has b too, now; e's map is asked for no more
    assert dict(ran.jobs) == {"attend": 1, "report": 1}
    assert table.stat().st_mtime_ns == before
    assert len(pl.read_parquet(maps / "task-b.parquet")) > 0


def test_a_slide_that_is_not_in_the_sheet(evaluated: Project, tmp_path: Path):
    project = evaluated.copy(tmp_path / "p")
    project.configure(tasks=TASKS, attend={"slides": ["task-z"]})
    ran = project.run()
    assert ran.rc != 0
    assert "attend.slides: the sheet has no slide 'task-z'; did you mean 'task-" in ran.text
    project.configure(tasks=TASKS, attend={"labels": "truth"})
    assert "attend.labels and attend.target go together" in project.run().text
