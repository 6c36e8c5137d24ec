"""The terminal takes Snakemake's own records, as its logger hands them on to its own handler."""

from __future__ import annotations

import io
import logging
import os
import pty
import re
import shlex
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter
from snakemake_interface_logger_plugins.common import LogEvent

from hipt.config.config import Config
from hipt.errors import SlideError
from hipt.layout import Results
from hipt.status.reasons import reason
from hipt.status.terminal import NAMED, Terminal, Watched, take_over
from tests.status.run_folder import RunFolder

BATCH = "b0000"


def settings(**flags: Any) -> Any:
    names = ("quiet", "verbose", "printshellcmds", "debug_dag", "show_failed_logs", "dryrun")
    return SimpleNamespace(**(dict.fromkeys(names) | flags))


def new_logger() -> logging.Logger:
    """Without handlers, and apart from pytest's."""
    logger = logging.getLogger("tests.status.terminal")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.handlers.clear()
    return logger


class Screen:
    """A logger as Snakemake sets it up, on a text stream."""

    def __init__(self, stream: Any, watched: Watched, **flags: Any) -> None:
        self.stream = stream
        self.logger = new_logger()
        handler = ColorizingTextHandler(stream=stream, formatter=DefaultFormatter())
        handler.addFilter(DefaultFilter(None, False, False, False, False))
        handler.name = "DefaultStreamHandler"
        self.logger.addHandler(handler)
        self.terminal = take_over(self.logger, settings(**flags), watched)

    def log(self, message: str | None = None, event: LogEvent | None = None, **facts: Any) -> None:
        self.logger.info(message, extra={"event": event, **facts} if event else facts)

    def start(self, jobid: int, log: Path | None = None, rule: str = "segment") -> None:
        self.log(
            event=LogEvent.JOB_INFO,
            **{"jobid": jobid, "rule_name": rule, "rule_msg": None, "local": True},
            **{"wildcards": {"batch": BATCH}, "output": ["x"], "log": [str(log)] if log else []},
            **{"reason": "Missing output files: x", "is_checkpoint": False, "indent": False},
        )

    def fail(self, jobid: int, log: Path, message: str | None = None) -> None:
        facts = {"jobid": jobid, "rule_name": "segment", "rule_msg": message, "log": [str(log)]}
        self.log("Error in rule", LogEvent.JOB_ERROR, **facts, shellcmd="python -m hipt '{}'")

    @property
    def lines(self) -> list[str]:
        """What is on it, times left out."""
        lines = re.sub(r" in \d+ s\b", " in N s", self.stream.getvalue()).splitlines()
        return [line[9:] if line[2:3] == ":" else line for line in lines]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "results", ["a", "b", "c"])


@pytest.fixture
def watched(folder: RunFolder, tmp_path: Path) -> Watched:
    sheet = tmp_path / "slides.csv"
    sheet.write_text("slide_id,path\na,a.tif\nb,b.tif\nc,c.tif\n")
    config = Config(results=str(folder.results.root), slides={"sheet": str(sheet)})
    return Watched(folder.results, config, {BATCH: ["a", "b"], "b0001": ["c"]}, 0)


@pytest.fixture
def screen(watched: Watched) -> Iterator[Screen]:
    screen = Screen(io.StringIO(), watched)
    yield screen
    assert screen.terminal is not None
    screen.terminal.close()


def test_a_job_from_its_start_to_its_end(screen: Screen, folder: RunFolder):
    screen.log("Job stats", LogEvent.RUN_INFO, stats={"segment": 2, "all": 1, "total": 3})
    screen.start(1, folder.results.log("segment", BATCH))
    folder.work("segment", BATCH, {"b": SlideError("no_tissue", "none")})
    screen.log("Finished", LogEvent.JOB_FINISHED, job_id=1)
    screen.log(None, LogEvent.PROGRESS, done=1, total=3)
    root = folder.results.root
    assert screen.lines == [
        "2 jobs for 3 slides in 2 batches, none of the slides new: 2 segment",
        f"what jobs say: {root}/logs; how far they are: hipt status --results {root}",
        "start  segment b0000, 2 slides",
        "done   segment b0000 in N s, 2 slides, 1 no_tissue; 1 of 2 jobs",
    ]


def test_the_command_it_names_can_be_pasted(watched: Watched, tmp_path: Path):
    named = replace(watched, results=Results(tmp_path / "my results; 50%"))
    assert shlex.split(named.command)[-1] == str(named.results.root)


def test_more_failures_than_it_names(screen: Screen, folder: RunFolder):
    for number in range(NAMED + 2):
        screen.start(number)
        screen.fail(number, folder.results.log("fit", str(number)))
    screen.log("Exiting because a job execution failed. Look above for error messages")
    assert screen.lines[-1] == f"  and 2 more: {folder.results.root / 'logs'}"


def test_what_a_checkpoint_adds_is_counted(screen: Screen):
    screen.log("Job stats", LogEvent.RUN_INFO, stats={"split": 1, "all": 1, "total": 2})
    for number, total in enumerate((9, 12)):  # Snakemake counts seven that are not to run
        screen.start(number)
        screen.log("Finished", LogEvent.JOB_FINISHED, job_id=number)
        screen.log(None, LogEvent.PROGRESS, done=number, total=total)
    screen.start(5)
    screen.log("Finished", LogEvent.JOB_FINISHED, job_id=5)
    assert screen.lines[-1].endswith("; 3 of 4 jobs")


def test_a_failed_job_says_its_sentence_now_and_at_the_end(screen: Screen, folder: RunFolder):
    log = folder.results.log("segment", BATCH)
    log.parent.mkdir(parents=True)
    log.write_text("10:00:00 x\nhipt segment: the disk is full\n")
    screen.start(1, log)
    screen.fail(1, log)
    screen.logger.error(
        "RuleException:\nCalledProcessError in file \"x\", line 3:\nCommand 'python -m hipt '{}''"
    )
    screen.start(2, log)
    screen.fail(2, log)
    screen.start(2, log)  # sent again, and it ends well
    screen.log("Finished", LogEvent.JOB_FINISHED, job_id=2)
    screen.log("Exiting because a job execution failed. Look above for error messages")
    assert screen.lines[1:3] == ["FAILED segment b0000: the disk is full", f"         log: {log}"]
    assert screen.lines[-2:] == ["1 job failed:", "  segment b0000: the disk is full"]


def test_a_job_that_the_cluster_ended_says_what_the_cluster_says(screen: Screen, folder: RunFolder):
    log = folder.results.log("segment", BATCH)
    screen.start(1, log)
    screen.log("Job 1 has been submitted with SLURM jobid 12 (log: x).")
    screen.fail(1, log, "SLURM-job '12' failed, SLURM status is: 'TIMEOUT'.")
    assert (
        screen.lines[1]
        == "FAILED segment b0000: SLURM-job '12' failed, SLURM status is: 'TIMEOUT'."
    )
    screen.start(2, log)
    log.parent.mkdir(parents=True)
    log.write_text("10:00:00 1/2 a: ok, kept as it is\n")  # killed, for memory perhaps
    screen.fail(2, log)
    silent = "it ended without a sentence after: 10:00:00 1/2 a: ok, kept as it is"
    assert screen.lines[-2] == f"FAILED segment b0000: {silent}"
    log.write_text("10:00:00 1/2 a: ok, kept as it is\nhipt segment: stopped by SIGTERM\n")
    for message in (None, "SLURM status is: 'TIMEOUT'."):
        screen.start(3, log)
        screen.fail(3, log, message)
        assert screen.lines[-2] == f"FAILED segment b0000: {message or 'stopped by SIGTERM'}"


def test_what_is_not_known_is_said_as_snakemake_says_it(screen: Screen):
    screen.log("Trying to restart job 5.")
    screen.logger.warning("a node has failed")
    screen.log("x", LogEvent.JOB_FINISHED)  # of a version that says it otherwise
    assert screen.lines[:2] == ["Trying to restart job 5.", "a node has failed"]
    assert screen.lines[-1].endswith("x")


def test_the_pace_is_said_now_and_then(watched: Watched, folder: RunFolder):
    stream = io.StringIO()
    theirs = ColorizingTextHandler(stream=stream, formatter=DefaultFormatter())
    terminal = Terminal(theirs, watched, every_s=0.05)
    for batch in (BATCH, "b0001"):
        folder.work("tile", batch, facts={"regions": 1, "patches": 100})
    log = folder.results.log("embed_patches", BATCH)
    log.parent.mkdir(parents=True)
    log.write_text("10:00:00 a: 50/200 patches, 5.0 patches/s, about 30 s left\n")
    logger = new_logger()
    logger.addHandler(terminal)
    facts = {"jobid": 1, "rule_name": "embed_patches", "local": True, "wildcards": {}}
    logger.info("x", extra={"event": LogEvent.JOB_INFO, **facts, "output": ["x"], "log": []})
    until = time.monotonic() + 60
    while "left" not in stream.getvalue() and time.monotonic() < until:
        time.sleep(0.05)
    terminal.close()
    assert "embed_patches 0 of 3 slides, 5 patches/s, about 50 s left" in stream.getvalue()


def test_letters_that_a_terminal_lacks(watched: Watched, tmp_path: Path):
    raw = io.BytesIO()
    screen = Screen(io.TextIOWrapper(raw, encoding="ascii"), watched)
    log = tmp_path / "log"
    log.write_text("hipt segment: große\x1b[2J Schnitte\n", encoding="utf-8")
    screen.fail(1, log)
    assert b"gro\\xdfe\\x1b[2J Schnitte" in raw.getvalue()


def test_lines_on_a_real_terminal_are_the_same(watched: Watched):
    controller, terminal = pty.openpty()
    with open(terminal, "w") as stream:  # noqa: PTH123 (a descriptor)
        Screen(stream, watched).start(1)
        said = os.read(controller, 1000)
    os.close(controller)
    assert said[8:] == b" start  segment b0000, 2 slides\r\n"


def test_a_run_goes_on_when_nobody_reads_any_more(watched: Watched):
    reader, writer = os.pipe()
    with open(writer, "w") as stream:  # noqa: PTH123 (a descriptor)
        screen = Screen(stream, watched)
        screen.start(1)
        os.close(reader)
        screen.start(2)
        screen.log("Trying to restart job 5.")
        screen.start(3)
        assert screen.terminal is not None
        screen.terminal.close()


@pytest.mark.parametrize(
    "flag", ["quiet", "verbose", "printshellcmds", "debug_dag", "show_failed_logs"]
)
def test_flags_of_snakemakes_own(watched: Watched, flag: str):
    logger = new_logger()
    handler = ColorizingTextHandler()
    handler.name = "DefaultStreamHandler"
    logger.addHandler(handler)
    assert take_over(logger, settings(**{flag: True}), watched) is None
    assert logger.handlers == [handler]


def test_another_logger_is_left_alone(watched: Watched):
    logger = new_logger()
    logger.addHandler(logging.StreamHandler())
    assert take_over(logger, settings(), watched) is None


def test_a_plan_in_short(watched: Watched):
    screen = Screen(io.StringIO(), watched, dryrun=True)
    screen.log("Job stats", LogEvent.RUN_INFO, stats={"segment": 1, "report": 1, "total": 2})
    screen.start(1, rule="report")
    screen.start(2)
    screen.log("This was a dry-run (flag -n). The order of jobs does not reflect ...")
    assert screen.lines == [
        "plan: 2 jobs for 3 slides in 2 batches, none of the slides new",
        "  segment               1 job   not made yet",
        "  report                1 job   not made yet",
        "nothing was done (--dry-run); jobs one by one: --printshellcmds",
    ]


def test_reasons_are_a_jobs_own_first():
    text = "Input files updated by another job: a; Params have changed since last execution: {;}"
    assert reason(text) == "settings, slides or version changed"
    assert reason("Input files updated by another job: a") == "follows from the jobs above"
    assert reason("Something new: x") == "Something new"
    assert len(reason("y" * 500)) < 70
