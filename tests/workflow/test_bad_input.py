"""What a user sees who made a mistake: one sentence before any job, naming what to mend."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workflow.project import EMBED, PRETRAIN, Project

pytestmark = pytest.mark.workflow


def refused(project: Project, *sentence: str) -> None:
    """The run stops before any job and its message has all these parts in one line."""
    ran = project.run()
    assert ran.rc == 1
    assert not ran.jobs
    assert "Traceback" not in ran.text
    lines = [line for line in ran.text.splitlines() if all(part in line for part in sentence)]
    assert lines, ran.text
    assert not list(project.results.glob("*/index/*"))


SHEETS = {
    "twice": ("slide_id,path\na,x.tif\na,y.tif\n", "slides.csv, row 3", "'a' stands in row 2"),
    "case": ("slide_id,path\nab,x.tif\nAB,y.tif\n", "slides.csv, row 3", "differ in case alone"),
    "unfit": ("slide_id,path\n../a,x.tif\n", "row 2, column 'slide_id'", "cannot be a file name"),
    "column": ("slide,path\na,x.tif\n", "slides.csv, row 1", "column 'slide_id' is missing"),
    "mpp": ("slide_id,path,mpp\na,x.tif,-0.25\n", "row 2, column 'mpp'", "got '-0.25'"),
    "empty": ("slide_id,path\n", "slides.csv", "holds no slide"),
}


@pytest.mark.parametrize("name", SHEETS)
def test_sheet(cohort: Project, tmp_path: Path, name: str):
    project = cohort.copy(tmp_path / "p")
    text, *sentence = SHEETS[name]
    (project.folder / "slides.csv").write_text(text)
    refused(project, *sentence)


def test_no_sheet(cohort: Project, tmp_path: Path):
    project = cohort.copy(tmp_path / "p")
    (project.folder / "slides.csv").unlink()
    refused(project, "slides.csv", "no such sheet or folder", "slides.sheet")


CONFIGS = {
    "key": ({"tile": {"min_tisue": 0.1}}, "unknown key 'tile.min_tisue'", "'min_tissue'"),
    "section": ({"tiles": {"min_tissue": 0.1}}, "unknown key 'tiles'", "'tile'"),
    "range": ({"tile": {"min_tissue": 1.5}}, "tile.min_tissue", "got 1.5"),
    "grid": ({"tile": {"region_px": 1000}}, "region_px (1000)", "patch_px"),
    "no weights": (
        {"embed": {"patches": {}, "regions": {"random": 1}}},
        "embed.patches",
        "weights",
        "random",
    ),
    "file": (
        {"embed": {"patches": {"weights": "no.pth"}, "regions": {"random": 1}}},
        "embed.patches.weights",
        "no.pth",
    ),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_config(cohort: Project, tmp_path: Path, name: str):
    project = cohort.copy(tmp_path / "p")
    sections, *sentence = CONFIGS[name]
    project.configure(**sections)
    refused(project, *sentence)


GRADE = {"kind": "classification", "label": "grade", "folds": 2}
TASKS = {
    "no column": ({"label": "gade"}, "column 'gade' is missing", "'grade'"),
    "no table": ({"labels": "no.csv"}, "no.csv: no such table of labels"),
    "folds": ({"folds": 5}, "class 'h'", "2 cases, fewer than the 5 folds"),
    "files": ({"split": "files", "split_files": "no"}, "no: no such folder or file of splits"),
}


@pytest.mark.parametrize("name", TASKS)
def test_tasks_are_looked_at_before_any_job(cohort: Project, tmp_path: Path, name: str):
    project = cohort.copy(tmp_path / "p")
    for number, row in enumerate(project.read_sheet()):
        project.change_row(row["slide_id"], grade="hl"[number % 2])
    change, *sentence = TASKS[name]
    project.configure(tasks={"t": GRADE | change})
    refused(project, *sentence)
    if name == "no column":  # a dry run refuses it too
        assert project.run("-n").rc == 1


def test_masks_none_of_which_is_there(cohort: Project, tmp_path: Path):
    project = cohort.copy(tmp_path / "p")
    for row in project.read_sheet():
        project.change_row(row["slide_id"], mask="masks/m.png")
    refused(project, "none of the sheet's 4 masks is there", "slides.root")


def test_a_corpus_that_means_no_slide(cohort: Project, tmp_path: Path):
    project = cohort.copy(tmp_path / "p")
    patches = PRETRAIN["patches"] | {"corpus": "grade=high"}
    project.configure(embed=EMBED, pretrain=PRETRAIN | {"patches": patches})
    refused(project, "the sheet has no column 'grade'")


def test_lfs_pointer_in_place_of_weights(cohort: Project, tmp_path: Path):
    project = cohort.copy(tmp_path / "p")
    (project.folder / "vit256.pth").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:6960cd5a\nsize 704238867\n"
    )
    project.configure(embed={"patches": {"weights": "vit256.pth"}, "regions": {"random": 1}})
    refused(project, "vit256.pth", "git-lfs pointer", "git lfs pull")


def test_weights_of_another_architecture(cohort: Project, tmp_path: Path, tiny_weights: Path):
    project = cohort.copy(tmp_path / "p")
    project.configure(
        embed={
            "patches": {
                "shape": {"depth": 2, "dim": 16, "heads": 2},
                "weights": str(tiny_weights),
            },
            "regions": {"shape": {"depth": 1, "dim": 16, "heads": 2}, "random": 1},
        }
    )
    refused(project, tiny_weights.name, "blocks.1.")
