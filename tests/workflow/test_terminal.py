"""What a person sees of a run: on the terminal, and by `hipt status` before, during and after."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.workflow.moments import freeze, processes, wait_for
from tests.workflow.project import ROOT, TERMINAL, Project

pytestmark = pytest.mark.workflow

PREAMBLE = ("Using workflow specific profile", "Config file ", "Assuming unrestricted shared")
"""What Snakemake says before it reads the workflow."""


def status(project: Project) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "hipt", "status", "--cfg", "config.yaml", "--json"],
        cwd=project.folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def kill_after_a_slide(project: Project) -> dict[str, Any]:
    """Kill a run with its jobs when a slide of a batch is embedded; the status just before."""
    with project.running(where=TERMINAL) as run:

        def embedded(batch: str) -> bool:
            log = project.results / f"logs/embed_patches/{batch}.log"
            return log.exists() and "1/2 " in log.read_text()

        freeze(project, "embed_patches", embedded)
        rc, during = status(project)
        assert rc == 3
        os.killpg(run.process.pid, signal.SIGKILL)
    steps = ("segment", "tile", "embed_patches", "embed_regions")
    wait_for(lambda: not any(processes(project, step) for step in steps), "the jobs' end")
    return during


def check_quiet(text: str) -> list[str]:
    """Plain lines, no settings, no command; those after Snakemake's preamble."""
    assert "\x1b" not in text
    assert "{" not in text
    assert "python -m hipt" not in text
    return [line for line in text.splitlines() if not line.startswith(PREAMBLE)]


def test_a_run_from_its_plan_to_its_end(cohort: Project, tmp_path: Path):
    project = cohort.copy(tmp_path / "p")
    planned = project.run("--dry-run", where=TERMINAL)
    plan = check_quiet(planned.text)
    assert "plan: 10 jobs for 4 slides in 2 batches, 4 of the slides new" in plan
    assert [line.split() for line in plan if line.startswith("  ")] == [
        *([step, "2", "jobs", "not", "made", "yet"] for step in ("segment", "tile")),
        *([step, "2", "jobs", "not", "made", "yet"] for step in ("embed_patches", "embed_regions")),
        *([step, "1", "job", "not", "made", "yet"] for step in ("slides", "report")),
    ]
    rc, before = status(project)
    assert (rc, before["batches"], before["new_slides"], before["slides"]) == (3, 0, 4, 4)

    during = kill_after_a_slide(project)
    embedding = during["steps"]["embed_patches"]
    assert embedding["slides_done"] >= 1
    assert embedding["unit"] in ("slides", "patches")  # patches are counted every ten seconds
    assert embedding["per_s"] > 0
    assert embedding["left_s"] > 0
    assert embedding["jobs"]["working"] >= 1
    assert during["steps"]["segment"]["slides_done"] == 4

    unlocked = project.run("--unlock", where=TERMINAL)
    assert unlocked.rc == 0, unlocked.text
    ran = project.run(where=TERMINAL)
    assert ran.rc == 0, ran.text
    check_whole_run(project, check_quiet(ran.text))
    rc, after = status(project)
    assert (rc, after["finished"], after["failed"]) == (0, True, [])


def check_whole_run(project: Project, lines: list[str]) -> None:
    """A start and an end for each job; everything else is in files."""
    ends = [line for line in lines if re.match(r"\d\d:\d\d:\d\d done ", line)]
    starts = [line for line in lines if re.match(r"\d\d:\d\d:\d\d start ", line)]
    assert len(starts) == len(ends)
    total = int(lines[0].split()[0])
    assert ends[-1].endswith(f"{total} of {total} jobs")
    assert "for 4 slides in 2 batches, none of the slides new" in lines[0]
    embedded = [line for line in ends if " embed_patches b" in line]  # of one or both some is kept
    assert any(re.search(r"2 slides, [\d,.]+ (patches/s|s for each)", line) for line in embedded)
    assert lines[-2].endswith(": results/report.html")
    whole = Path(lines[-1].partition("Complete log(s): ")[2])
    assert "rule embed_regions:" in whole.read_text()
    assert "2/2 b: ok" in (project.results / "logs/embed_regions/b0000.log").read_text()
    beats = [line for line in lines if " left" in line]
    assert len(lines) <= 2 * total + len(beats) + 4


def test_an_error_is_the_steps_own_sentence_and_where_to_read_on(cohort: Project, tmp_path: Path):
    project = cohort.copy(tmp_path / "p")
    slide = project.folder / "slides/a.tif"
    slide.write_bytes(slide.read_bytes()[:5000])
    project.configure(slides={"on_slide_error": "stop"})
    ran = project.run("--until", "segment", where=TERMINAL)
    assert ran.rc == 1
    lines = check_quiet(ran.text)
    sentence = "segment b0000: slide a: unreadable: slides/a.tif: is not a slide that OpenSlide"
    (failed,) = [number for number, line in enumerate(lines) if " FAILED " in line]
    assert sentence in lines[failed]
    assert lines[failed + 1].strip() == f"log: {project.results}/logs/segment/b0000.log"
    assert f"  {sentence}" in "\n".join(lines[lines.index("1 job failed:") :])
    assert any("done   segment b0001" in line for line in lines)  # the other batch went on
    rc, after = status(project)
    assert rc == 4
    assert after["failed"][0]["error"].startswith("slide a: unreadable")


def test_after_ctrl_c_the_log_of_a_job_says_so(cohort: Project, tmp_path: Path):
    """Ctrl-C goes to all processes of a job, `tee` too, which has to write the last line."""
    project = cohort.copy(tmp_path / "p")

    def log(batch: str) -> str:
        path = project.results / f"logs/embed_patches/{batch}.log"
        return path.read_text() if path.exists() else ""

    with project.running(where=TERMINAL) as run:
        pid, batch = freeze(
            project,
            "embed_patches",
            lambda b: "computing" in log(b),
        )
        os.killpg(run.process.pid, signal.SIGINT)
        time.sleep(0.5)  # `tee` would end now
        os.kill(pid, signal.SIGCONT)
        assert run.end().rc == 1
    assert log(batch).endswith("hipt embed_patches: stopped by SIGINT\n")
    rc, after = status(project)
    assert (rc, after["failed"]) == (3, [])
    assert after["steps"]["embed_patches"]["jobs"]["stopped"] >= 1


def test_a_plan_says_what_is_new_and_what_changed(project: Project):
    project.copy_slide("slides/a.tif", "slides/e.tif")
    project.write_sheet([*project.read_sheet(), {"slide_id": "e", "path": "slides/e.tif"}])
    project.configure(
        embed={"regions": {"shape": {"depth": 1, "dim": 16, "heads": 2}, "random": 3}}
    )
    lines = check_quiet(project.run("--dry-run", where=TERMINAL).text)
    assert "plan: 8 jobs for 5 slides in 3 batches, 1 of the slides new" in lines
    (regions,) = [line for line in lines if line.startswith("  embed_regions")]
    assert "3 jobs" in regions
    assert "1 not made yet" in regions
    assert "2 settings, slides or version changed" in regions


@pytest.mark.parametrize("flags", [("--printshellcmds",), ("--verbose",), ("--quiet", "host")])
def test_who_asks_for_snakemakes_own_words_gets_them(cohort: Project, tmp_path: Path, flags):
    ran = cohort.copy(tmp_path / "p").run("--dry-run", *flags, where=TERMINAL)
    assert ran.rc == 0
    assert ran.jobs["segment"] == 2
    assert ("python -m hipt segment" in ran.text) == (flags == ("--printshellcmds",))
    assert "plan:" not in ran.text
