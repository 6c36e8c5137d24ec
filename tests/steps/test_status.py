from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hipt.errors import SlideError
from tests.status.run_folder import RunFolder

ROOT = Path(__file__).parents[2]
SLIDES = ["a", "b", "große", "d"]


def status(folder: Path, *args: str, env: dict[str, str] | None = None) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "hipt", "status", *args],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | (env or {}),
        capture_output=True,
        check=False,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path / "results", SLIDES)
    made.work("segment", "b0000", {"b": SlideError("no_tissue", "none was found")})
    return made


@pytest.mark.usefixtures("folder")
def test_a_few_lines_of_a_run_halfway(tmp_path: Path):
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    rc, out, err = status(tmp_path, "--results", "results")
    assert (rc, err) == (3, "")
    assert [line.split("  ")[0] for line in out.splitlines()] == [
        *("run", "segment", "tile", "embed_patches", "embed_regions", "note"),
    ]
    assert "4 slides in 2 batches; nothing is at work" in out
    assert "2 of 4 slides, not ok: 1 no_tissue" in out
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.usefixtures("folder")
def test_a_line_for_each_slide_that_is_not_whole_in_any_locale(tmp_path: Path):
    env = {"PYTHONIOENCODING": "ascii"}
    rc, out, err = status(tmp_path, "--results", "results", "--slides", env=env)
    assert (rc, err) == (3, "")
    assert out.splitlines() == [
        "a\ttile\tto do\t",
        "b\tsegment\tno_tissue\tnone was found",
        "gro\\xdfe\tsegment\tto do\t",
        "d\tsegment\tto do\t",
    ]


@pytest.mark.usefixtures("folder")
def test_values_for_scripts(tmp_path: Path):
    _, out, _ = status(tmp_path, "--results", "results", "--json")
    said = json.loads(out)
    assert (said["slides"], said["batches"], said["finished"]) == (4, 2, False)
    assert said["steps"]["segment"] == {
        **{"slides_done": 2, "slides": 4, "not_ok": {"no_tissue": 1}, "again": 0},
        **{"jobs": {"done": 1, "waiting": 1}, "per_s": 0.0, "unit": "slides", "left_s": None},
    }


def test_a_failed_job_is_named_with_its_sentence_and_its_log(folder: RunFolder, tmp_path: Path):
    log = folder.results.log("segment", "b0001")
    log.write_text("10:00:00 x\nhipt segment: the disk is broken; mend it\n")
    rc, out, _ = status(tmp_path, "--results", "results")
    assert rc == 4
    sentence = "segment b0001: the disk is broken; mend it (log: results/logs/segment/b0001.log)"
    assert sentence in out


def test_all_done(tmp_path: Path):
    made = RunFolder(tmp_path / "results", SLIDES)
    for step in ("segment", "tile", "embed_patches", "embed_regions"):
        for batch in ("b0000", "b0001"):
            made.work(step, batch)
    rc, out, _ = status(tmp_path, "--results", "results")
    assert rc == 0
    assert out.splitlines()[0].endswith("all slides are done")  # of tasks nothing is known
    assert "name the config (--cfg)" in out.splitlines()[-1]
    (tmp_path / "s.csv").write_text("slide_id,path\n" + "".join(f"{s},{s}.tif\n" for s in SLIDES))
    (tmp_path / "c.yaml").write_text("slides: {sheet: s.csv}")
    for path in (made.results.slides, made.results.report):
        path.touch()
    rc, out, _ = status(tmp_path, "--cfg", "c.yaml")
    assert rc == 0
    assert out.splitlines()[0].endswith("all is done")
    assert "note" not in out


def test_the_config_of_other_results(folder: RunFolder, tmp_path: Path):
    (tmp_path / "s.csv").write_text("slide_id,path\nx,x.tif\n")
    (tmp_path / "c.yaml").write_text("slides: {sheet: s.csv}")
    for path in (folder.results.slides, folder.results.report):
        path.touch()
    rc, out, _ = status(tmp_path, "--cfg", "c.yaml")
    assert rc == 3
    assert "results: holds 4 slides, none of them in the sheet; slides in the sheet: 1" in out


def test_what_is_not_there(tmp_path: Path):
    assert status(tmp_path)[::2] == (2, "hipt status: config/config.yaml: no such config file\n")
    assert status(tmp_path, "--results", "r")[::2] == (2, "hipt status: r: no folder of results\n")
    (tmp_path / "c.yaml").write_text("slides: {sheet: s.csv}")
    (tmp_path / "s.csv").write_text("slide_id,path\na,a.tif\n")
    rc, out, _ = status(tmp_path, "--cfg", "c.yaml")
    assert rc == 3
    assert "nothing has run yet; slides in the sheet: 1" in out


def test_a_reader_that_has_enough(tmp_path: Path):
    """`| head`: more lines than a pipe holds, and no traceback."""
    RunFolder(tmp_path / "results", [f"slide-{number:05d}" for number in range(20_000)])
    command = f"{sys.executable} -m hipt status --results results --slides | head -n 1"
    done = subprocess.run(
        ["bash", "-c", f"{command}; echo ${{PIPESTATUS[0]}}"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["slide-00000\tsegment\tto do\t", "141"]
