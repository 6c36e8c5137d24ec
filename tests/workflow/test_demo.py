"""`make demo`: twenty painted slides show what they can show, and the maps show where."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openslide
import polars as pl
import pytest
import yaml
from PIL import Image

from tests.once import made_once
from tests.workflow.project import ROOT

pytestmark = [pytest.mark.workflow, pytest.mark.whole, pytest.mark.timeout(1800)]

CONFIG = ROOT / "config" / "demo.yaml"
BY_COLOUR = "by_colour"
"""Added to a task's name: the same question, asked of mean colours."""


def typed(folder: Path, *command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr[-3000:]


def workflow(folder: Path, *command: str) -> None:
    typed(folder, "snakemake", "-s", str(ROOT / "Snakefile"), "--cores", "2", *command)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished demo; tests change copies of it."""

    def make(folder: Path) -> None:
        typed(folder, "hipt.demo", "--out", "demo")
        workflow(folder, "--configfile", str(CONFIG))

    return made_once(tmp_path_factory, "painted_demo", make)


def over_all(results: Path, task: str, metric: str) -> dict[str, dict[str, float]]:
    """Per model its score over all test parts, with its interval."""
    scores = pl.read_parquet(results / "tasks" / task / "scores.parquet")
    rows = scores.filter(pl.col("fold").is_null(), metric=metric).to_dicts()
    return {row["model"]: row for row in rows}


def colours(slides: Path, truth: Path) -> Iterator[float]:
    """Means and deviations of red, green and blue over a slide's tissue."""
    where = np.asarray(Image.open(truth)) > 0
    with openslide.OpenSlide(slides) as slide:
        seen = slide.get_thumbnail(where.shape[::-1]).convert("RGB").resize(where.shape[::-1])
    pixels = np.asarray(seen, np.float64)[where]
    yield from (*pixels.mean(0), *pixels.std(0))


def test_necrosis_and_survival_are_predicted(demo: Path):
    results = demo / "demo" / "results"
    necrosis, survival = (
        over_all(results, *asked) for asked in (("necrosis", "auc"), ("survival", "c_index"))
    )
    assert necrosis["linear"]["value"] >= 0.9
    assert necrosis["linear"]["low"] > 0.5
    assert survival["linear"]["value"] >= 0.65  # 0.74 here; training rounds otherwise on other CPUs


def test_maps_light_up_on_the_necrosis(demo: Path):
    found = pl.read_parquet(demo / "demo" / "results" / "agreement.parquet")
    of_linear = found.filter(map="necrosis.linear.contribution")["auc"]
    assert len(of_linear) >= 12
    assert (of_linear >= 0.8).mean() > 0.5


def test_colours_do_not_tell_the_necrosis(demo: Path, tmp_path: Path):
    demo = shutil.copytree(demo, tmp_path / "copy")
    with (demo / "demo" / "slides.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    painted = demo / "demo"
    known = pl.read_parquet(painted / "results" / "slides.parquet").filter(pl.col("regions") > 0)
    names = set(known["slide_id"])
    table = [
        {
            "slide_id": row["slide_id"],
            "embedding": list(
                colours(painted / row["path"], painted / "truth" / f"{row['slide_id']}.png")
            ),
        }
        for row in rows
        if row["slide_id"] in names
    ]
    pl.DataFrame(table).write_parquet(demo / "colours.parquet")
    asked = yaml.safe_load(CONFIG.read_text())["tasks"]["necrosis"]
    task = asked | {"features": "colours.parquet", "models": ["linear"]}
    more = {"tasks": {BY_COLOUR: task}}
    (demo / "more.yaml").write_text(yaml.safe_dump(more))
    scores = f"demo/results/tasks/{BY_COLOUR}/scores.parquet"
    workflow(demo, "--configfile", str(CONFIG), "more.yaml", "--", scores)
    by_colour = over_all(painted / "results", BY_COLOUR, "auc")["linear"]
    by_features = over_all(painted / "results", "necrosis", "auc")["linear"]
    assert by_colour["low"] < 0.5
    assert by_colour["value"] < by_features["value"] - 0.1
