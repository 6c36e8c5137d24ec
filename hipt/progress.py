"""What long work and commands print for a person: progress, times, sizes, rates."""

from __future__ import annotations

import logging
import time

log = logging.getLogger(__name__)


class Progress:
    """Counts what is done and says so at most every `every_s` seconds."""

    def __init__(self, total: int, unit: str, every_s: float = 10.0) -> None:
        self._total, self._unit, self._every_s = total, unit, every_s
        self._start = self._said = time.monotonic()
        self._done = self._worked = 0

    @property
    def spent_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    def add(
        self, count: int, where: str, waited_s: float | None = None, worked: int | None = None
    ) -> None:
        """`count` more are done.

        Args:
            count: how many.
            where: what is being worked on.
            waited_s: seconds of all so far that were spent waiting for input; None: it waits for
                none.
            worked: how many were computed for it, where some take no work; None: as many.
        """
        self._done += count
        self._worked += count if worked is None else worked
        if self._done and time.monotonic() - self._said >= self._every_s:
            self._said = time.monotonic()
            left = self.spent_s / self._done * (self._total - self._done)
            log.info("%s: %s, about %.0f s left", where, self.summary(waited_s), left)

    def summary(self, waited_s: float | None = None) -> str:
        """What was done so far, its rate, and the share of the time spent waiting for input."""
        spent = max(self.spent_s, 1e-9)
        waited = (
            ""
            if waited_s is None
            else f", {waited_s / spent:.0%} of the time waiting for the reader"
        )
        worked = "" if self._worked == self._done else f", {self._worked} computed"
        done = f"{self._done}/{self._total} {self._unit}{worked}"
        return f"{done}, {self._rate(spent)}{waited}"

    def _rate(self, spent_s: float) -> str:
        """Computed units per second; seconds per unit, where each takes longer than one."""
        if 0 < self._worked < spent_s:
            return f"{spent_s / self._worked:.1f} s each"
        return f"{self._worked / spent_s:.1f} {self._unit}/s"


def say(head: str, text: str) -> None:
    """One line of the answer."""
    print(f"{head:10}{text}", flush=True)  # noqa: T201


def time_text(hours: float) -> str:
    """A time as people say it."""
    if hours * 60 < 1:
        return f"{hours * 3600:.0f} s"
    return f"{hours * 60:,.0f} min" if hours < 2 else f"{hours:,.1f} h"


def size_text(size: float) -> str:
    """Bytes as people say them."""
    return f"{size / 1e6:,.0f} MB" if size < 1e9 else f"{size / 1e9:,.1f} GB"


def rate_text(per_s: float) -> str:
    """A rate with three digits or all before the point."""
    return f"{per_s:,.0f}" if per_s >= 100 else f"{per_s:.3g}"
