"""docs/notebook.ipynb runs from top to bottom, and shows what it says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

import hipt
from hipt.notebook.opened import OpenedResults
from hipt.notebook.slide import OpenedSlide
from hipt.notebook.tasks import OpenedTask
from tests.conftest import ROOT

NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
PAGE = (ROOT / "docs" / "notebook.md").read_text(encoding="utf-8")


def test_the_notebook_is_valid_and_has_no_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) > 10
    assert not any(cell.outputs or cell.execution_count for cell in code)


def test_the_notebook_runs(cohort: Path, tmp_path: Path):
    shutil.copytree(cohort / "results", tmp_path / "results")
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    command = [sys.executable, "-m", "tests.notebook.cells", str(NOTEBOOK), str(tmp_path / "state")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    cells = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(cells) == sum(c.cell_type == "code" for c in nbformat.read(NOTEBOOK, 4).cells)
    by_start = {cell["source"].splitlines()[0].split("  #")[0]: cell for cell in cells}
    assert "1/1 CMU-1-Small-Region: ok, " in cells[1]["log"]
    shown = {start: cell["shown"] for start, cell in by_start.items()}
    assert "image/png" in shown['slide.show("regions", px=600)']
    assert "image/png" in shown["slide.show()"]
    assert "subtype" in shown["results.tasks"]["text/html"]
    assert "status ok" in shown["results = hipt.open(RESULTS)"]["text/html"]
    assert "did you mean 'mask_mpp'" in by_start["try:"]["text"]
    bags = by_start['for slide_id, vectors in results.bags("regions"):']["text"]
    assert bags.splitlines() == [f"s{i} (6, 16) torch.float32" for i in (0, 1)]


def public(kind: type) -> list[str]:
    return [name for name in vars(kind) if not name.startswith("_")]


@pytest.mark.parametrize(
    ("kind", "heading"),
    [(OpenedResults, "results"), (OpenedSlide, "slide"), (OpenedTask, "task")],
)
def test_the_page_has_every_name(kind: type, heading: str):
    listed = set(re.findall(rf"`{heading}\.(\w+)", PAGE))
    assert set(public(kind)) <= listed
    own = {*public(kind), "row", "status", "slide_id", "name"}
    assert listed <= own, f"{listed - own} are not there"


def test_the_page_has_every_function():
    functions = {f"hipt.{name}" for name in (*hipt.__all__, "open")}
    assert functions <= set(re.findall(r"hipt\.\w+", PAGE))
