"""Survival curves without a model: Kaplan-Meier, and how long cases are followed.

N cases, T distinct times. Times are months above 0; event is True where it happened and
False where the case was censored. A case censored at the time of an event was still at risk.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Events = npt.NDArray[np.bool_]  # (N,)

NORMAL_95 = float(special.ndtri(0.975))
"""95 % of a standard normal lie within plus and minus this."""


class KaplanMeier(NamedTuple):
    """A survival curve, a value per distinct time; before the first time survival is 1."""

    time: Floats
    """(T,) months, rising."""
    at_risk: Ints
    """(T,) cases that were followed until this time or longer."""
    events: Ints
    """(T,)."""
    survival: Floats
    """(T,) share without event after this time."""
    lower: Floats
    """(T,) end of the 95 % interval; NaN where survival is 0, 1 where it is 1."""
    upper: Floats
    """(T,) other end."""


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


def kaplan_meier(time: Floats, event: Events) -> KaplanMeier:
    """The share of cases without event over time.

    The interval is the 95 % interval of log(-log survival) with Greenwood's variance, which stays
    between 0 and 1.

    Args:
        time: (N,) months.
        event: (N,).

    Source: Kaplan and Meier, J Am Stat Assoc 1958; Kalbfleisch and Prentice 1980 (the interval).
    """
    times, at_risk, events, _ = _counts(*checked(time, event))
    survival = np.asarray(np.cumprod(1 - events / at_risk), np.float64)
    return KaplanMeier(times, at_risk, events, survival, *_interval(at_risk, events, survival))


def step_value(times: Floats, values: Floats, at: Floats) -> Floats:
    """(M,) values of a step function that is 1 before its first step.

    Args:
        times: (T,) rising; a value holds from its time on.
        values: (T,).
        at: (M,) where it is asked for.
    """
    return np.concatenate([[1.0], values])[np.searchsorted(times, at, side="right")]


def censoring_survival(time: Floats, event: Events, at: Floats) -> Floats:
    """(M,) share of cases that would not be censored up to and including each time asked for.

    Kaplan-Meier with the roles exchanged; an event comes before censoring at the same time.

    Args:
        time: (N,) months.
        event: (N,).
        at: (M,) months.

    Raises:
        ValueError: if a time asked for is after the last one and the share was not down to 0.
    """
    times, at_risk, events, censored = _counts(*checked(time, event))
    share = np.cumprod(1 - censored / np.maximum(at_risk - events, 1))
    if share[-1] > 0 and (at > times[-1]).any():
        raise ValueError(f"nothing is known of censoring after {times[-1]:g} months")
    return step_value(times, share, at)


def _counts(time: Floats, event: Events) -> tuple[Floats, Ints, Ints, Ints]:
    """Distinct times, and at each the cases at risk, with event and censored."""
    times, place = np.unique(time, return_inverse=True)
    events = np.bincount(place[event], minlength=len(times))
    censored = np.bincount(place[~event], minlength=len(times))
    at_risk = np.cumsum((events + censored)[::-1])[::-1]
    return times, at_risk, events, censored


def _interval(at_risk: Ints, events: Ints, survival: Floats) -> tuple[Floats, Floats]:
    """Both ends of the 95 % interval."""
    left = at_risk - events
    greenwood = np.cumsum(np.where(left > 0, events / (at_risk * np.maximum(left, 1)), 0))
    inside = (survival > 0) & (survival < 1)
    log_survival = np.log(np.where(inside, survival, 0.5))
    margin = NORMAL_95 * np.sqrt(greenwood) / -log_survival
    outside = np.where(survival > 0, 1, np.nan)
    ends = [np.where(inside, np.exp(log_survival * np.exp(m)), outside) for m in (margin, -margin)]
    return ends[0], ends[1]
