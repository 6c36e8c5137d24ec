"""The workflow inside other workflows: twice in one, and fetched from a tag as snakedeploy does."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from hipt import __version__
from hipt.cohort.ledger import read_ledger
from tests.once import made_once
from tests.slidemaker import tissue_picture, write_slide
from tests.workflow.project import ROOT, TINY, Project, Ran

pytestmark = pytest.mark.workflow

SNAKEFILE = ROOT / "workflow/Snakefile"
OTHER: dict[str, Any] = {
    "results": "other",
    "embed": {**TINY["embed"], "regions": {"pool": "mean"}},
    "attend": {"slides": ["s0"]},
}
"""The second inclusion: no stage 2, and heatmaps."""

TWICE = """
rule all:
    input:
        "both.txt",


module hipt:
    snakefile:
        {snakefile!r}
    config:
        {first!r}


use rule * from hipt as hipt_*


use rule embed_patches from hipt as hipt_embed_patches with:
    threads: 1


module second:
    snakefile:
        {snakefile!r}
    config:
        {second!r}
{prefix}

use rule * from second as second_*


rule both:
    input:
        rules.hipt_all.input,
        rules.second_all.input,
    output:
        "both.txt",
    shell:
        "printenv PATH > {{output}}"
"""

SAME = (
    "The modules hipt and second have the same folder of results, results; give each its own in "
    "its config, results:"
)

DEPLOYED = """
configfile: "config.yaml"


module hipt:
    snakefile:
        {snakefile!r}
    config:
        config


use rule * from hipt
"""
"""What `snakedeploy deploy-workflow` writes."""


class Including(Project):
    """A folder with a Snakefile of its own."""

    def twice(self, second: dict[str, Any], prefix: str = "") -> None:
        """Write a workflow that includes ours twice."""
        configs = {"first": TINY, "second": TINY | second}
        text = TWICE.format(snakefile=str(SNAKEFILE), prefix=prefix, **configs)
        (self.folder / "Snakefile").write_text(text)

    def deployed(self, snakefile: str) -> None:
        """Write the workflow that is deployed from somewhere."""
        (self.folder / "Snakefile").write_text(DEPLOYED.format(snakefile=snakefile))

    def command(self, *args: str, where: tuple[str, ...] = ()) -> list[str]:
        """Snakemake's command line, in which nothing is said of hipt."""
        return [sys.executable, "-m", "snakemake", "--cores", "1", *where, *args]

    def slide(self, number: int) -> None:
        """Another slide in the sheet."""
        path = self.folder / "slides" / f"s{number}.tif"
        write_slide(path, tissue_picture(640, 512, number), mpp=0.5)
        rows = self.read_sheet() if number else []
        self.write_sheet([*rows, {"slide_id": path.stem, "path": f"slides/{path.name}"}])

    def files(self) -> set[Path]:
        """All that lies in the folder, without Snakemake's own records."""
        return {p for p in self.folder.rglob("*") if ".snakemake" not in p.parts}

    def run(self, *args: str, where: tuple[str, ...] = (), timeout_s: float = 1500) -> Ran:
        """Run Snakemake and wait for it."""
        return super().run(*args, where=where, timeout_s=timeout_s)


def made(folder: Path) -> Including:
    project = Including(folder)
    (folder / "slides").mkdir(parents=True)
    project.slide(0)
    project.configure()
    return project


@pytest.fixture(scope="module")
def ran_twice(tmp_path_factory: pytest.TempPathFactory) -> Including:
    """A workflow that includes ours twice, after its run."""

    def make(folder: Path) -> None:
        project = made(folder / "p")
        project.twice(OTHER)
        before = project.files()
        planned = project.run("--dry-run")
        assert planned.rc == 0, planned.text
        assert project.files() == before
        ran = project.run()
        assert ran.rc == 0, ran.text
        assert ran.jobs == planned.jobs
        (folder / "jobs.txt").write_text("\n".join(ran.jobs.elements()))

    return Including(made_once(tmp_path_factory, "ran_twice", make) / "p")


@pytest.fixture
def including(ran_twice: Including, tmp_path: Path) -> Including:
    return Including(ran_twice.copy(tmp_path / "p").folder)


def test_both_inclusions_run_to_their_end_with_their_own_settings(ran_twice: Including):
    jobs = Counter((ran_twice.folder.parent / "jobs.txt").read_text().split())
    steps = ("segment", "tile", "embed_patches", "embed_regions", "slides", "report")
    both = [f"{name}_{step}" for name in ("hipt", "second") for step in steps]
    assert jobs == Counter([*both, "second_attend", "both"])
    for results in ("results", "other"):
        folder = ran_twice.folder / results
        assert read_ledger(folder / "batches.csv").batch_of == {"s0": "b0000"}
        assert (folder / "report.html").is_file()
    assert not (ran_twice.folder / "results/attend").exists()
    assert (ran_twice.folder / "other/attend/s0.parquet").is_file()


def test_the_including_workflows_own_jobs_have_the_path_that_they_would_have(ran_twice: Including):
    """Ours put the Python of this run first, which another job may not want."""
    assert (ran_twice.folder / "both.txt").read_text().strip() == os.environ["PATH"]


def test_nothing_is_to_do_afterwards_and_a_slide_makes_its_own_batch(including: Including):
    again = including.run()
    assert (again.rc, again.jobs) == (0, {}), again.text
    assert "Nothing to be done" in again.text
    including.slide(1)
    ledger = including.results / "batches.csv"
    before = ledger.read_bytes()
    planned = including.run("--dry-run")
    assert {name: planned.jobs[f"hipt_{name}"] for name in ("segment", "embed_regions")} == {
        "segment": 1,
        "embed_regions": 1,
    }
    assert ledger.read_bytes() == before
    ran = including.run("--", "results/segment/index/b0001.parquet")
    assert (ran.rc, ran.jobs) == (0, {"hipt_segment": 1}), ran.text
    assert read_ledger(ledger).batch_of == {"s0": "b0000", "s1": "b0001"}
    assert read_ledger(including.folder / "other/batches.csv").batch_of == {"s0": "b0000"}


@pytest.mark.parametrize("snakefile", [ROOT / "Snakefile", SNAKEFILE], ids=["top", "workflow"])
def test_the_including_workflow_says_what_is_made_by_default(including: Including, snakefile: Path):
    """Ours has no say in it, from whichever of its two places it is included."""
    (including.folder / "Snakefile").write_text(
        'rule mine:\n    output: "mine.txt"\n    shell: "touch {output}"\n'
        f"module hipt:\n    snakefile: {str(snakefile)!r}\n    config: {TINY!r}\n"
        "use rule * from hipt as hipt_*\n"
    )
    assert including.run("--dry-run").jobs == {"mine": 1}


@pytest.mark.parametrize(
    ("second", "prefix", "sentence"),
    [
        (
            {},
            "",
            SAME,
        ),
        (
            {"results": "./results/"},
            "",
            SAME,
        ),
        (
            OTHER,
            '    prefix:\n        "other"',
            "prefix: moves no results of hipt; name the folder in its config, results:",
        ),
    ],
    ids=["same", "same in other words", "prefix"],
)
def test_what_cannot_be_included_together(
    tmp_path: Path, second: dict[str, Any], prefix: str, sentence: str
):
    project = made(tmp_path / "p")
    project.twice(second, prefix)
    ran = project.run("--dry-run")
    assert ran.rc != 0
    assert sentence in ran.text
    assert "Traceback" not in ran.text


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository of this workflow, with a tag and without the package."""

    def make(folder: Path) -> None:
        shutil.copytree(ROOT / "workflow", folder / "r/workflow")
        shutil.copy2(ROOT / "environment.yml", folder / "r")
        author = ("-c", "user.name=hipt", "-c", "user.email=hipt@localhost")
        for args in (("init", "-q"), ("add", "."), ("commit", "-qm", "all"), ("tag", "v1")):
            subprocess.run(["git", *author, *args], cwd=folder / "r", check=True)

    return made_once(tmp_path_factory, "released", make) / "r"


def test_fetched_from_a_tag_it_runs_with_the_installed_package(
    released: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The rules need nothing of a checkout but themselves."""
    site = tmp_path / "site-packages"
    shutil.copytree(ROOT / "hipt", site / "hipt")
    monkeypatch.setenv("PYTHONPATH", str(site))
    project = made(tmp_path / "p")
    project.deployed(f"git+file://{released}/workflow/Snakefile@v1")
    planned = project.run("--dry-run")
    assert planned.rc == 0, planned.text
    assert planned.jobs["report"] == 1  # its rule `all` is the default target
    assert not project.results.exists()
    ran = project.run("--", "results/tile/index/b0000.parquet")
    assert (ran.rc, ran.jobs) == (0, {"segment": 1, "tile": 1}), ran.text
    assert read_ledger(project.results / "batches.csv").batch_of == {"s0": "b0000"}
    refused = project.run("--dry-run", "--software-deployment-method", "conda")
    assert "leave out --sdm conda, or start from a checkout of hipt" in refused.text


@pytest.mark.parametrize(
    ("package", "has"),
    [
        ('__version__ = "0.0.1"', "the package of hipt 0.0.1"),
        ('raise ImportError("none")', "no package hipt"),
    ],
)
def test_another_release_of_the_package_is_refused_in_a_sentence(
    released: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, has: str
):
    (tmp_path / "site/hipt").mkdir(parents=True)
    (tmp_path / "site/hipt/__init__.py").write_text(package)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    project = made(tmp_path / "p")
    project.deployed(f"git+file://{released}/workflow/Snakefile@v1")
    ran = project.run("--dry-run")
    assert ran.rc != 0
    assert (
        f"This is the workflow of hipt {__version__}, and the Python that runs Snakemake has "
        f"{has}; install the one that belongs to it: pip install git+file://{released}@v1\n"
    ) in ran.text
    assert "Traceback" not in ran.text


def test_the_rules_and_the_package_are_of_one_release():
    said = re.search(r'^VERSION = "(.*)"$', (ROOT / "workflow/rules/common.smk").read_text(), re.M)
    project = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.M)
    assert said
    assert project
    assert said[1] == project[1] == __version__
