"""What a job's log says of it: how far it is, how fast, and in which sentence it ended."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hipt.errors import STATUSES

MOST_READ = 1 << 18
"""Bytes of a log's end: a training may write for days."""

_TIME = re.compile(r"\d\d:\d\d:\d\d ")
_SLIDE = re.compile(
    rf"(?P<done>\d+)/(?P<total>\d+) (?P<slide>.*?): (?P<status>{'|'.join(STATUSES)})"
    r"(?:: (?P<reason>.*))?, (?:kept as it is|(?P<seconds>[\d.]+) s, about \d+ s left)"
)
"""A slide's verdict, as `cohort.batch_run` logs it."""
_PROGRESS = re.compile(
    r"(?:.*: )?(?P<done>\d+)/(?P<total>\d+) (?P<unit>\w[\w ]*?)(?:, (?P<worked>\d+) computed)?, "
    r"(?P<rate>[\d.e+]+) (?:(?P<each>s each)|(?P=unit)/s)(?:, .*)?"
)
"""What was done so far, as `progress.Progress` says it."""
_SENTENCE = re.compile(r"hipt \w+: (?P<sentence>.+)")
"""How `hipt.__main__` ends what the user can put right."""
_STOPPED = re.compile(r"stopped by SIG[A-Z]+")
"""How it ends what was asked to stop."""
_RAISED = re.compile(r"[A-Za-z_][\w.]*(?:Error|Exception|Interrupt)\b.*")


@dataclass(frozen=True)
class Pace:
    """How much of a job is done, and how fast."""

    done: int
    total: int
    unit: str
    """`patches`, `slides`, `folds`, ..."""
    per_s: float
    """Of the unit; 0 where nothing is known yet."""


@dataclass(frozen=True)
class JobLog:
    """A job's log as it is now."""

    age_s: float
    """Since its last line."""
    verdicts: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Status and reason of the slides that it has worked on."""
    slides: Pace | None = None
    work: Pace | None = None
    """Of what slides consist of, or of another unit of its work."""
    error: str = ""
    """The sentence or error that ended it; empty where none did."""
    stopped: bool = False
    """Whether it ended because it was asked to."""
    last: str = ""
    """Its last line."""

    @property
    def pace(self) -> Pace | None:
        """The finest that is known."""
        return self.work or self.slides


def read_log(path: Path) -> JobLog | None:
    """What a log says; None where there is none, or nobody may read it."""
    try:
        with path.open("rb") as file:
            stat = os.fstat(file.fileno())
            file.seek(max(0, stat.st_size - MOST_READ))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return None
    lines = [line for line in text.splitlines() if line.strip()]
    messages = [line[9:] for line in lines if _TIME.match(line)]
    slides = [match for text in messages if (match := _SLIDE.fullmatch(text))]
    progress = [match for text in messages if (match := _PROGRESS.fullmatch(text))]
    error = _error(lines)
    return JobLog(
        age_s=max(0.0, time.time() - stat.st_mtime),
        verdicts={line["slide"]: (line["status"], line["reason"] or "") for line in slides},
        slides=_pace_of_slides(slides) if slides else None,
        work=_pace_of_work(progress[-1]) if progress else None,
        error=error,
        stopped=_STOPPED.fullmatch(error) is not None,
        last=_printable(lines[-1]) if lines else "",
    )


def _pace_of_slides(slides: list[re.Match[str]]) -> Pace:
    """Slides per second of those that were not kept."""
    spent = [float(line["seconds"]) for line in slides if line["seconds"]]
    per_s = len(spent) / max(sum(spent), 1e-3) if spent else 0.0
    return Pace(int(slides[-1]["done"]), int(slides[-1]["total"]), "slides", per_s)


def _pace_of_work(line: re.Match[str]) -> Pace:
    """Units per second, with those that took no work: the pace at which the end comes nearer."""
    done, rate = int(line["done"]), float(line["rate"])
    worked = int(line["worked"] or done)
    per_s = 1 / rate if line["each"] and rate else rate
    return Pace(done, int(line["total"]), line["unit"], per_s * done / max(worked, 1))


def _error(lines: list[str]) -> str:
    """The last sentence or exception below which nothing else was logged."""
    for line in reversed(lines):
        if _TIME.match(line):
            return ""
        if match := _SENTENCE.fullmatch(line):
            return _printable(match["sentence"])
        if _RAISED.fullmatch(line):
            return _printable(line)
    return ""


def _printable(line: str) -> str:
    """A line that a terminal shows and does not obey."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)
