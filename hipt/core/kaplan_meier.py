"""Survival curves without a model: Kaplan-Meier, the log-rank test, how long cases are followed.

N cases, T distinct times, K groups. Times are months above 0; event is True where it happened and
False where the case was censored. A case censored at the time of an event was still at risk.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import linalg, special

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


class LogRank(NamedTuple):
    """Do groups differ in survival?"""

    chi2: float
    dof: int
    """Groups that can be told apart, less one."""
    p: float


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


def log_rank(time: Floats, event: Events, group: npt.NDArray[Any]) -> LogRank:
    """Whether groups have one survival curve; chi2 and p are NaN where nothing can be compared.

    Args:
        time: (N,) months.
        event: (N,).
        group: (N,) group of each case, K values. A group without a case at risk at any event, or
            alone at all of its events, takes no part.

    Source: Mantel, Cancer Chemother Rep 1966; Peto and Peto, J R Stat Soc A 1972.
    """
    time, event = checked(time, event)
    at_risk, events = _grouped_counts(time, event, group)
    deaths, n = events.sum(0), at_risk.sum(0)
    share = at_risk / n  # [K, T]
    surplus = (events - share * deaths).sum(1)  # (K,) observed less expected
    spread = deaths * (n - deaths) / np.maximum(n - 1, 1)
    variance = np.diag(share @ spread) - (share * spread) @ share.T  # [K, K]
    inverse, dof = linalg.pinvh(variance, atol=1e-9, return_rank=True)
    chi2 = float(surplus @ inverse @ surplus) if dof else np.nan
    return LogRank(chi2, int(dof), float(special.chdtrc(dof, chi2)) if dof else np.nan)


def _counts(time: Floats, event: Events) -> tuple[Floats, Ints, Ints, Ints]:
    """Distinct times, and at each the cases at risk, with event and censored."""
    times, place = np.unique(time, return_inverse=True)
    events = np.bincount(place[event], minlength=len(times))
    censored = np.bincount(place[~event], minlength=len(times))
    at_risk = np.cumsum((events + censored)[::-1])[::-1]
    return times, at_risk, events, censored


def _grouped_counts(time: Floats, event: Events, group: npt.NDArray[Any]) -> tuple[Ints, Ints]:
    """[K, T] cases at risk and events of each group at the distinct times of events."""
    times = np.unique(time[event])
    at_risk, events = [], []
    for kind in np.unique(group):
        followed, died = np.sort(time[group == kind]), np.sort(time[(group == kind) & event])
        at_risk.append(len(followed) - np.searchsorted(followed, times))
        events.append(np.searchsorted(died, times, "right") - np.searchsorted(died, times))
    return np.array(at_risk), np.array(events)


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
