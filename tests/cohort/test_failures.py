"""Errors that nobody foresaw: the slide's or the machine's, in one line that never varies."""

from __future__ import annotations

import errno
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from hipt.cohort.batch_run import BatchRun, read_index
from hipt.cohort.failures import MANY, OneSlide
from hipt.errors import HiptError, SlideError
from hipt.layout import Results


def index_of(folder: Path) -> Path:
    return Results(folder).index("tile", "b0000")


def run(folder: Path, error: BaseException, slides: int = 3, bad: int = 1) -> list[dict]:
    """A batch whose first slides raise; its rows."""
    index = index_of(folder)
    with BatchRun(index, slides, "record") as batch:
        for number in range(slides):
            with batch.slide(f"s{number}"):
                if number < bad:
                    raise error
    return read_index(index)


def cv2_error() -> Exception:
    with pytest.raises(cv2.error) as caught:
        cv2.resize(np.zeros((0, 0), np.uint8), (4, 4))
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        *(ValueError("v"), KeyError("k"), StopIteration(), AssertionError(), RuntimeError("r")),
        *(RecursionError("deep"), OSError(errno.EIO, "Input/output error"), TimeoutError("slow")),
        *(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), np.linalg.LinAlgError("singular")),
        HiptError("a.parquet: not readable as Parquet"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_any_error_is_a_row(tmp_path: Path, error: Exception):
    rows = run(tmp_path, error)
    assert [row["status"] for row in rows] == ["failed", "ok", "ok"]
    head = str(error) if isinstance(error, HiptError) else type(error).__name__
    assert rows[0]["reason"].startswith(head)
    assert rows[0]["reason"].isprintable()


def test_an_error_of_opencv_is_a_row(tmp_path: Path):
    rows = run(tmp_path, cv2_error())
    assert rows[0]["reason"].startswith("error: OpenCV(")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError("Unable to allocate 9.31 GiB"), "MemoryError: Unable to allocate 9.31 GiB"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
        (OSError(errno.EROFS, "Read-only file system"), "Read-only file system"),
        (torch.OutOfMemoryError("CUDA out of memory."), "OutOfMemoryError: CUDA out of memory."),
        (RuntimeError("CUDA error: unspecified launch failure"), "CUDA error"),
        (RuntimeError("can't start new thread"), "can't start new thread"),
    ],
)
def test_the_machines_fault_stops_the_job(tmp_path: Path, error: Exception, message: str):
    with pytest.raises(HiptError) as caught:
        run(tmp_path, error)
    assert str(caught.value).startswith("slide s0: ")
    assert message in str(caught.value)
    assert "this is the machine's trouble and not the slide's" in str(caught.value)
    assert not index_of(tmp_path).exists()


def test_trouble_of_the_machine_that_reads_like_damage_stops_the_job(tmp_path: Path):
    """Whoever opens a file says that it cannot be read; why is in the error it was raised for."""
    for kind in (lambda text: SlideError("unreadable", text), HiptError):
        try:
            try:
                raise OSError(errno.EMFILE, "Too many open files")
            except OSError:
                raise kind("a.svs: cannot be read") from None
        except HiptError as error:
            with pytest.raises(HiptError, match=r"Too many open files: this is the machine's"):
                run(tmp_path, error)


def test_a_full_disk_stops_the_job_as_it_is(tmp_path: Path):
    with pytest.raises(OSError, match="No space left"):
        run(tmp_path, OSError(errno.ENOSPC, "No space left on device"))


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_who_asks_to_stop_is_obeyed(tmp_path: Path, kind: type[BaseException]):
    with pytest.raises(kind):
        run(tmp_path, kind())
    assert not index_of(tmp_path).exists()


def test_many_failures_stop_the_job(tmp_path: Path):
    with pytest.raises(HiptError, match=r"8 of 12 slides of batch b0000 failed .* 8 as 'failed'"):
        run(tmp_path, ValueError("x"), 12, MANY)
    assert len(run(tmp_path, ValueError("x"), 12, MANY - 1)) == 12


def test_the_reason_is_the_same_in_every_run(tmp_path: Path):
    reasons = {run(tmp_path, ValueError(object()))[0]["reason"] for _ in range(3)}
    assert len(reasons) == 1
    assert "<object object at 0x...>" in reasons.pop()


def test_a_slide_succeeds_whatever_lies_where_tracebacks_go(tmp_path: Path):
    (tmp_path / "logs").touch()
    assert [row["status"] for row in run(tmp_path, ValueError(), bad=0)] == ["ok"] * 3


def test_an_error_without_words(tmp_path: Path):
    assert run(tmp_path, AssertionError())[0]["reason"].startswith("AssertionError (traceback: ")


def test_a_traceback_that_cannot_be_written_is_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "logs").touch()
    at_work = OneSlide("a", tmp_path / "logs" / "a.txt", tmp_path / "i.parquet", stop=False)
    with caplog.at_level(logging.WARNING):
        row = at_work.ended(ValueError("x"))
    assert row["reason"].startswith("ValueError: x (traceback: in the job's log; to try it again: ")
    assert "ValueError: x" in caplog.text
