"""Follow-up: who is at risk at which time, and how long cases are followed.

N cases, T distinct times. Times are months above 0; event is True where it happened and
False where the case was censored. A case censored at the time of an event was still at risk.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hipt.stats.arrays import Events, Floats, Ints


class Counts(NamedTuple):
    """Cases at every distinct time."""

    time: Floats
    """(T,) months, rising."""
    at_risk: Ints
    """(T,) cases that were followed until this time or longer."""
    events: Ints
    """(T,)."""
    censored: Ints
    """(T,)."""


def checked(time: npt.ArrayLike, event: npt.ArrayLike) -> tuple[Floats, Events]:
    """Times and events as arrays.

    Raises:
        ValueError: if there is none, not as many events, or a time is negative or not a number.
    """
    months, happened = np.asarray(time, np.float64), np.asarray(event, bool)
    if months.ndim != 1 or months.shape != happened.shape or not len(months):
        raise ValueError(f"times are {months.shape}, events {happened.shape}")
    if not (np.isfinite(months) & (months >= 0)).all():
        raise ValueError("a survival time is negative or not a number")
    return months, happened


def counts(time: Floats, event: Events) -> Counts:
    """Cases at risk, with event and censored, at every distinct time."""
    times, place = np.unique(time, return_inverse=True)
    events = np.bincount(place[event], minlength=len(times))
    censored = np.bincount(place[~event], minlength=len(times))
    return Counts(times, np.cumsum((events + censored)[::-1])[::-1], events, censored)


def censoring_survival(time: Floats, event: Events, at: Floats) -> Floats:
    """(M,) share of cases that would not be censored up to and including each time.

    Kaplan-Meier with the roles exchanged; an event comes before censoring at the same time.

    Args:
        time: (N,) months.
        event: (N,).
        at: (M,) months.

    Raises:
        ValueError: if a time is after the last one and the share was not down to 0.
    """
    times, at_risk, events, censored = counts(*checked(time, event))
    share = np.cumprod(1 - censored / np.maximum(at_risk - events, 1))
    if share[-1] > 0 and (at > times[-1]).any():
        raise ValueError(f"nothing is known of censoring after {times[-1]:g} months")
    return np.append(1.0, share)[np.searchsorted(times, at, side="right")]
