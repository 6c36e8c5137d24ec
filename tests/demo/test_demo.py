import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from hipt.cohort.sheet import read_sheet
from hipt.config.config import Config
from hipt.config.section import parse
from hipt.demo.__main__ import main, run
from hipt.demo.cohort import plan
from hipt.demo.scene import LABELS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def slides():
    """Three slides of the cohort, as small as a biopsy."""
    planned = plan(12, seed=7)
    return [
        replace(slide, recipe=replace(slide.recipe, width_um=320, height_um=256))
        for slide in (planned[0], planned[5], planned[11])
    ]


@pytest.fixture(scope="module")
def made(slides, tmp_path_factory):
    """The folder that one process fills with them."""
    out = tmp_path_factory.mktemp("demo") / "one"
    run(slides, out, workers=1)
    return out


def test_the_files_do_not_depend_on_the_number_of_processes(slides, made, tmp_path):
    run(slides, tmp_path, workers=2)

    files = sorted(file.relative_to(made) for file in made.rglob("*.*"))
    assert len(files) == 2 * len(slides) + 2
    for file in files:
        assert (made / file).read_bytes() == (tmp_path / file).read_bytes(), file


def test_sheet_and_truth_name_every_slide(made):
    rows = read_sheet(made / "slides.csv")
    table = json.loads((made / "truth" / "truth.json").read_text())

    assert [row.slide_id for row in rows] == ["demo-001", "demo-006", "0012"]
    assert [row["slide_id"] for row in table["slides"]] == [row.slide_id for row in rows]
    assert all(row.path.is_file() for row in rows)
    assert tuple(table["labels"].values()) == LABELS
    assert [row["case_id"] for row in table["slides"]] == [row.case_id for row in rows]


def test_too_few_slides_end_with_a_sentence(tmp_path, caplog):
    assert main(["--out", str(tmp_path), "--slides", "4"]) == 2

    assert "--slides: must be at least 12, got 4" in caplog.text
    assert not list(tmp_path.iterdir())


def test_the_module_runs_as_a_command():
    done = subprocess.run(
        [sys.executable, "-m", "hipt.demo", "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )

    assert "--out" in done.stdout


def test_the_demo_config_is_valid_and_fits_what_is_painted():
    file = ROOT / "config" / "demo.yaml"

    config = parse(Config, yaml.safe_load(file.read_text()), str(file))

    assert config.slides.sheet == "demo/slides.csv"
    region_um = config.tile.region_px * config.mpp
    widths = {s.recipe.shape: s.recipe.width_um for s in plan(20, seed=7)}
    assert widths["biopsy"] < region_um < widths["block"] / 2
