"""Progress: what is said, and how seldom."""

from __future__ import annotations

import logging

import pytest

from hipt import progress
from hipt.progress import Progress, rate_text, say, size_text, time_text
from tests.clock import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="hipt.progress")
    return caplog


def test_a_line_has_rate_share_of_waiting_and_time_left(clock: Clock, said):
    bar = Progress(400, "patches")
    clock.now += 20
    bar.add(100, "slide 7", waited_s=5)
    (line,) = said.messages
    assert line == (
        "slide 7: 100/400 patches, 5.0 patches/s, 25% of the time waiting for the reader, "
        "about 60 s left"
    )


def test_the_rate_is_that_of_what_was_computed(clock: Clock, said):
    bar = Progress(400, "patches")
    clock.now += 20
    bar.add(0, "slide 7", 0, worked=16)  # nothing to say yet
    bar.add(100, "slide 7", 0, worked=44)
    (line,) = said.messages
    assert line.startswith("slide 7: 100/400 patches, 60 computed, 3.0 patches/s, ")


def test_at_most_one_line_in_ten_seconds_and_no_work_is_lost(clock: Clock, said):
    bar = Progress(1000, "patches")
    for _ in range(100):
        clock.now += 1
        bar.add(10, "s", waited_s=0)
    assert len(said.messages) == 10
    assert bar.summary(0).startswith("1000/1000 patches, 10.0 patches/s, 0% ")
    assert said.messages[-1].endswith("about 0 s left")
    assert bar.spent_s == 100


def test_short_work_says_nothing(clock: Clock, said):
    bar = Progress(10, "patches")
    clock.now += 9
    bar.add(10, "s", waited_s=1)
    assert said.messages == []


def test_nothing_done_in_no_time_can_be_summed_up(clock: Clock):
    assert clock.now == 1000
    assert Progress(0, "patches").summary(0.0).startswith("0/0 patches, 0.0 patches/s, 0% ")


def test_slow_work_that_waits_for_no_reader(clock: Clock, said):
    bar = Progress(10, "folds")
    clock.now += 30
    bar.add(2, "fold 1")
    assert said.messages == ["fold 1: 2/10 folds, 15.0 s each, about 120 s left"]


@pytest.mark.parametrize(
    ("hours", "text"),
    [(0.001, "4 s"), (0.02, "1 min"), (1.9, "114 min"), (2.0, "2.0 h"), (1234.56, "1,234.6 h")],
)
def test_time(hours: float, text: str):
    assert time_text(hours) == text


@pytest.mark.parametrize(
    ("size", "text"), [(2e5, "0 MB"), (9.9e8, "990 MB"), (3.21e12, "3,210.0 GB")]
)
def test_size(size: float, text: str):
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("rate", "text"), [(0.123456, "0.123"), (9.876, "9.88"), (12345.6, "12,346")]
)
def test_rate(rate: float, text: str):
    assert rate_text(rate) == text


def test_headings_stand_in_a_column(capsys: pytest.CaptureFixture[str]):
    say("head", "a")
    say("", "b")
    assert capsys.readouterr().out == "head      a\n          b\n"
