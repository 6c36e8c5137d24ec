"""The same cohort, twice, in two folders, with one core and with two: equal bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.once import made_once
from tests.workflow.project import ROOT, Project
from tests.workflow.test_pretraining import EMBED, PRETRAIN
from tests.workflow.test_tasks import KNN, NAMES, TASKS, cells

pytestmark = [pytest.mark.workflow, pytest.mark.whole, pytest.mark.timeout(1800)]

TASK = TASKS["grade"] | {"models": ["linear", "abmil"]}
MORE = ("embed_patches=2", "embed_regions=2", "attend=2")


def whole_workflow(project: Project) -> None:
    """Eight slides, all steps that the workflow has."""
    rows = []
    for number, name in enumerate(NAMES):
        path = f"slides/task-{name}.tif"
        project.copy_slide(project.read_sheet()[number % 4]["path"], path)
        rows.append({"slide_id": f"task-{name}", "path": path, **cells(number)})
    project.write_sheet(rows)
    project.configure(
        slides={"sheet": "slides.csv", "batch_size": 8},
        embed=EMBED,
        pretrain=PRETRAIN,
        tasks={"grade": TASK},
        knn=KNN,
        probe={"column": "grade"},
        attend={"slides": "all", "shifts": 2, "cells": 1},
        export={"formats": ["trident"]},
    )


def verified(*args: str) -> subprocess.CompletedProcess[str]:
    """`hipt verify`."""
    command = [sys.executable, "-m", "hipt", "verify", *args]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def twice(cohort: Project, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Project]:
    """Two runs of all steps: with one core, and with two."""

    def make(folder: Path) -> None:
        ways = {"one": ("--cores", "1"), "two": ("--set-threads", *MORE)}
        for number, (name, args) in enumerate(ways.items()):
            project = cohort.copy(folder / name)
            whole_workflow(project)
            for slide in (project.folder / "slides").iterdir():
                os.utime(slide, (1e9 + number, 1e9 + number))  # as if each was copied anew
            ran = project.run(*args)
            assert ran.rc == 0, ran.text

    folder = made_once(tmp_path_factory, "twice", make)
    return Project(folder / "one"), Project(folder / "two")


def test_cores_and_folders_change_no_byte(twice: tuple[Project, Project], tmp_path: Path):
    one, two = (str(project.results) for project in twice)
    done = verified("--results", two, "--against", one)
    assert done.returncode == 0, done.stdout + done.stderr
    files = len(twice[0].content()) - 1  # the ledger, which holds times of files
    assert files > 100
    assert done.stdout == f"{files} files equal\n"
    manifest = str(tmp_path / "manifest.csv")
    assert verified("--results", one, "--write", manifest).returncode == 0
    assert verified("--results", two, "--against", manifest).stdout == f"{files} files equal\n"


def test_nothing_is_damaged(twice: tuple[Project, Project]):
    done = verified("--results", str(twice[1].results))
    assert (done.returncode, done.stderr.count("\n")) == (0, 0), done.stdout + done.stderr
