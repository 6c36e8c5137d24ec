"""What grows with the sheet stays off command lines and out of Snakemake's records."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from hipt.config.config import Config
from hipt.config.step_settings import MOST_NAMED, settings, shortened
from tests.workflow.project import Project

MOST_BYTES = 128 * 1024
"""What Linux takes in one argument, and a job's command is one argument of a shell."""

NAMES = [f"TCGA-00-{i:05d}-01Z-00-DX1.{i:036x}" for i in range(4000)]


@pytest.mark.workflow
def test_no_command_grows_with_the_sheet(tmp_path: Path):
    project = Project(tmp_path)
    project.write_sheet([{"slide_id": name, "path": f"{name}.svs"} for name in NAMES])
    longest = {}
    for asked in (NAMES[:2], NAMES, "all"):
        slides = {"sheet": "slides.csv", "batch_size": 1024}
        project.configure(slides=slides, attend={"slides": asked}, report={"overviews": 10})
        ran = project.run("--dry-run", "--printshellcmds")
        assert ran.rc == 0, ran.text[-2000:]
        commands = re.findall(r"python -m hipt [^\n]*(?:\n +--[^\n]*)*", ran.text)
        assert {"attend", "report"} <= {command.split()[3] for command in commands}
        longest[len(asked)] = max(len(command.encode()) for command in commands)
    assert max(longest.values()) < MOST_BYTES / 8
    assert longest[len("all")] < longest[2] + 100


def test_the_config_is_shortened_where_it_would_not_fit_on_a_command_line():
    config = Config.model_validate({"attend": {"slides": NAMES}})
    assert len(config.model_dump_json()) > MOST_BYTES
    for told in (shortened(config), settings("report", config)):
        assert len(told.model_dump_json()) < MOST_BYTES / 8
    named = shortened(config).attend.slides
    assert named[:MOST_NAMED] == tuple(NAMES[:MOST_NAMED])
    assert named[MOST_NAMED:] == ("... and 3,900 more",)
    few = Config.model_validate({"attend": {"slides": NAMES[:MOST_NAMED]}})
    assert shortened(few) == few


@pytest.mark.workflow
def test_snakemakes_records_hold_no_rows(finished: Project):
    """They are read and compared in every plan, for every file."""
    records = list((finished.folder / ".snakemake" / "metadata").iterdir())
    kept = [json.loads(record.read_text())["params"] for record in records]
    assert len(kept) > 8
    ids = [row["slide_id"] for row in finished.read_sheet()]
    for params in kept:
        assert not any(f"'{name}'" in text for text in map(str, params) for name in ids), params


@pytest.mark.workflow
def test_a_job_on_a_cluster_does_not_look_at_every_slide(project: Project):
    """It reads the workflow again, and takes the digests of the run that sent it."""
    slide = project.folder / "slides" / "a.tif"
    os.utime(slide, (1, 1))
    assert "segment" in project.run("--dry-run").jobs
    job = project.run("--dry-run", "--mode", "remote", "--nolock")
    assert (job.rc, job.jobs) == (0, {}), job.text
