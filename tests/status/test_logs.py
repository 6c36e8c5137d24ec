from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from hipt.errors import STATUSES, SlideError
from hipt.progress import Progress
from hipt.status.logs import MOST_READ, Pace, read_log
from tests.status.run_folder import RunFolder, logged


def test_verdicts_are_read_as_the_batch_writes_them(tmp_path: Path):
    slides = ["a: ok, 3.0 s", "b 2/3", "ü", "d"]
    folder = RunFolder(tmp_path / "r", slides)
    folder.work("segment", "b0000", {slides[1]: SlideError("no_tissue", "found none: 0.0 mm2")})
    log = read_log(folder.results.log("segment", "b0000"))
    assert log is not None
    assert log.verdicts == {slides[0]: ("ok", ""), slides[1]: ("no_tissue", "found none: 0.0 mm2")}
    assert log.slides is not None
    assert (log.slides.done, log.slides.total, log.slides.unit) == (2, 2, "slides")
    assert (log.error, log.work) == ("", None)


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_is_known(tmp_path: Path, status):
    folder = RunFolder(tmp_path / "r", ["a", "b"])
    folder.work("tile", "b0000", {"a": SlideError(status, "why, 1.0 s, about 3 s left")})
    log = read_log(folder.results.log("tile", "b0000"))
    assert log is not None
    assert log.verdicts["a"][0] == status


def test_progress_is_read_as_it_is_written(tmp_path: Path):
    path, progress = tmp_path / "log", Progress(400, "patches", every_s=0)
    progress._start -= 10  # ten seconds ago
    with logged(path):
        progress.add(100, "slide: 3/4 patches", 1.0, worked=50)
    log = read_log(path)
    assert log is not None
    assert log.pace is not None
    assert (log.pace.done, log.pace.total, log.pace.unit) == (100, 400, "patches")
    assert log.pace.per_s == pytest.approx(10, rel=0.05)  # all of them, computed or not


def test_slow_units_have_a_pace_too(tmp_path: Path):
    path, progress = tmp_path / "log", Progress(10, "folds", every_s=0)
    progress._start -= 100
    with logged(path):
        progress.add(2, "fold 1")
    log = read_log(path)
    assert log is not None
    assert log.pace == Pace(2, 10, "folds", pytest.approx(0.02, rel=0.05))


def test_the_sentence_that_ended_a_job(tmp_path: Path):
    path = tmp_path / "log"
    path.write_text(
        "10:00:00 1/2 a: ok, 0.3 s, about 0 s left\nhipt segment: sheet.csv: is not\n\n"
    )
    log = read_log(path)
    assert log is not None
    assert log.error == "sheet.csv: is not"


def test_the_exception_of_a_traceback(tmp_path: Path):
    path = tmp_path / "log"
    path.write_text(
        "10:00:00 x\nTraceback (most recent call last):\n  File x\nKeyError: '\x1b[2J'\n"
    )
    log = read_log(path)
    assert log is not None
    assert log.error.startswith("KeyError")
    assert log.error.isprintable()


def test_a_job_that_went_on_has_no_error(tmp_path: Path):
    path = tmp_path / "log"
    path.write_text("ValueError: ignored\n10:00:00 goes on\n")
    log = read_log(path)
    assert log is not None
    assert log.error == ""


def test_an_old_endless_log_of_any_bytes(tmp_path: Path):
    path = tmp_path / "log"
    path.write_bytes(b"\xff\xfe line\n" * MOST_READ + b"10:00:00 2/5 a: ok, kept as it is\n")
    os.utime(path, (time.time() - 7200,) * 2)
    log = read_log(path)
    assert log is not None
    assert log.age_s == pytest.approx(7200, abs=60)
    assert log.slides == Pace(2, 5, "slides", 0.0)


def test_no_log(tmp_path: Path):
    assert read_log(tmp_path / "none") is None
    assert read_log(tmp_path) is None
