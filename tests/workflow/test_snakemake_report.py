"""Snakemake's own report of a finished run, and the small run of `.test/`."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.once import made_once
from tests.workflow.project import ROOT, Project
from tests.workflow.test_tasks import KNN, TASKS, cells

pytestmark = pytest.mark.workflow

FIT = {**TASKS["grade"], "models": ["linear", "abmil"]}


@pytest.fixture(scope="module")
def shown(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Eight slides with a task and heatmaps of one of them, after a run."""

    def make(folder: Path) -> None:
        project = finished.copy(folder / "p")
        rows = []
        for number in range(8):
            path = f"slides/it's {number}.tif"
            project.copy_slide(project.read_sheet()[number % 4]["path"], path)
            rows.append({"slide_id": f"it's {number}", "path": path, **cells(number)})
        project.write_sheet(rows)
        project.configure(
            slides={"sheet": "slides.csv", "batch_size": 8},
            tasks={"grade": FIT},
            knn=KNN,
            attend={"slides": ["it's 0"]},
        )
        ran = project.run()
        assert ran.rc == 0, ran.text

    return Project(made_once(tmp_path_factory, "shown", make) / "p")


def reported(project: Project, name: str) -> Path:
    """Snakemake's report of a finished run."""
    ran = project.run("--report", name)
    assert ran.rc == 0, ran.text
    return project.folder / name


def categories(page: str) -> dict[str, dict[str, list[str]]]:
    """What Snakemake's page lists: files by category and subcategory."""
    found = re.search(r"categories\s*=\s*(\{.*\});?\n", page)
    assert found
    return json.loads(found[1])


def test_every_category_is_there(shown: Project, tmp_path: Path):
    with zipfile.ZipFile(reported(shown.copy(tmp_path / "p"), "all.zip")) as packed:
        names = packed.namelist()
        listed = categories(packed.read("all/report.html").decode())
    files = {
        (category, subject, Path(path).name)
        for category, subjects in listed.items()
        for subject, paths in subjects.items()
        for path in paths
    }
    overviews = {("Overviews", f"it's {number}", "overview.jpg") for number in range(8)}
    assert files == {
        ("Report", "Other", "report.html"),
        ("Slides", "cohort", "table.html"),
        ("Slides", "cohort", "slides-regions.svg"),
        ("Slides", "cohort", "slides-tissue_mm2.svg"),
        *overviews,
        ("Tasks", "grade", "examples.jpg"),
        ("Tasks", "grade", "scores.html"),
        ("Tasks", "grade", "grade-roc.svg"),
        ("Tasks", "grade", "grade-calibration.svg"),
        ("Heatmaps", "it's 0", "attention.svg"),
        ("Heatmaps", "it's 0", "grade.contribution.svg"),
    }
    assert {Path(name).name for name in names} == {"report.html", *(name for *_, name in files)}


def test_models_that_were_trained_have_their_curves(trained: Project, tmp_path: Path):
    project = trained.copy(tmp_path / "p")
    with zipfile.ZipFile(reported(project, "all.zip")) as packed:
        listed = categories(packed.read("all/report.html").decode())
    assert {name: len(paths) for name, paths in listed["Pretraining"].items()} == {
        "vit256": 1,
        "vit4096": 1,
    }


@pytest.mark.browser
def test_a_browser_shows_all_of_it(shown: Project, tmp_path: Path, browser: Any):
    """In one file, which frames what it shows by data: nothing is loaded, nothing complains."""
    path = reported(shown.copy(tmp_path / "p"), "all.html")
    complaints: list[str] = []
    requests: list[str] = []
    page = browser.new_page()
    page.set_default_timeout(300_000)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri(), wait_until="domcontentloaded")
    assert page.get_by_text("Whole-slide images become tissue").is_visible()
    page.get_by_text("Tasks", exact=True).click()
    page.get_by_text("scores", exact=True).wait_for()
    for name, entry in page.evaluate("results").items():
        kind = "html" if entry["mime_type"] == "text/html" else "img"
        view = {"content": kind, "contentPath": entry["data_uri"], "resultPath": name}
        page.evaluate("view => app.setView(view)", view)
        assert entry["caption"]
        if kind == "img":
            page.wait_for_function("[...document.images].some(it => it.naturalWidth > 30)")
        else:
            page.frame_locator("iframe").get_by_role("heading", level=1).wait_for()
    page.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith(("data:", "blob:"))] == [path.as_uri()]


def test_the_small_run_of_the_catalogue(tmp_path: Path):
    """The commands that stand in its config, in a copy of what they need."""
    for name in (".test/config", "tests/data"):
        shutil.copytree(ROOT / name, tmp_path / name)
    config = (ROOT / ".test/config/config.yaml").read_text()
    commands = [line.removeprefix("#   ") for line in config.splitlines() if "#   snake" in line]
    assert len(commands) == 2
    for command in commands:
        program, *args = shlex.split(command)
        assert program == "snakemake"
        done = subprocess.run(
            [sys.executable, "-m", program, "-s", str(ROOT / "workflow/Snakefile"), *args],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        profile = ROOT / "workflow/profiles/default"  # as it says, it is read in every run
        assert f"Using workflow specific profile {profile}" in done.stderr
    assert (tmp_path / ".test/results/attend/CMU-1-Small-Region.parquet").is_file()
    assert any(tmp_path.rglob("report.zip"))
