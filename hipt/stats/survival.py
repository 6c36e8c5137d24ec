"""How well risks order survival: time bins, concordance and time-dependent AUC.

N cases. Times are months above 0; event is True where it happened and False where the case was
censored; a higher risk means an earlier event.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hipt.stats.arrays import Events, Floats, Ints
from hipt.stats.censoring import censoring_survival, checked
from hipt.stats.pairs import TIED_RISK, comparable


class Concordance(NamedTuple):
    """Harrell's concordance index with the pairs it counts."""

    value: float
    """0 to 1, chance is 0.5; NaN if no pair is comparable."""
    concordant: int
    """Pairs in which the earlier event has the higher risk."""
    discordant: int
    tied_risk: int
    """Pairs with equal risks; each counts as half concordant."""


def time_bins(time: Floats, event: Events, bins: int = 4) -> Floats:
    """(bins - 1,) inner edges, in months, between which as many events lie.

    Where many events share a time, edges can be equal: the bin between them stays empty.

    Args:
        time: (N,) months.
        event: (N,); censored cases do not count.
        bins: how many.

    Raises:
        ValueError: if there is no event.

    Source: Chen et al., ICCV 2021 (MCAT), whose code takes the quartiles of the uncensored times.
    """
    months, happened = checked(time, event)
    if not happened.any():
        raise ValueError("no time bins without an event")
    return np.asarray(np.quantile(months[happened], np.linspace(0, 1, bins + 1)[1:-1]))


def bin_of(time: Floats, edges: Floats) -> Ints:
    """(N,) bin, from 0, of each time; one equal to an edge is above it, no time is outside.

    Args:
        time: (N,) months.
        edges: inner edges, rising.
    """
    return np.searchsorted(edges, time, side="right")


def harrell_c(time: Floats, event: Events, risk: Floats) -> Concordance:
    """Of the pairs whose order is known, the share that the risks order alike.

    Comparable are an event and a case that is followed for longer, or is censored at the very time
    of the event. NaN if there is no such pair: no event, or none but the last.

    Args:
        time: (N,) months.
        event: (N,).
        risk: (N,) any scale.

    Source: Harrell et al., Stat Med 1996; pairs as in scikit-survival.
    """
    counts = _pairs(time, event, risk).sum(0)
    concordant, discordant, tied_risk = (int(pairs) for pairs in counts)
    pairs = concordant + discordant + tied_risk
    value = (concordant + tied_risk / 2) / pairs if pairs else np.nan
    return Concordance(value, concordant, discordant, tied_risk)


def uno_c(
    train_time: Floats,
    train_event: Events,
    time: Floats,
    event: Events,
    risk: Floats,
    tau: float | None = None,
) -> float:
    """Concordance that does not depend on how many cases are censored, and when.

    A pair counts with 1 / G(t)^2: G is the share of training cases that are not censored by the
    time t of its event. NaN if no pair is comparable.

    Args:
        train_time: (M,) months of the cases from which censoring is learnt.
        train_event: (M,).
        time: (N,) months.
        event: (N,).
        risk: (N,) any scale.
        tau: months; only events before it count. None: all.

    Raises:
        ValueError: if the training cases are not followed up to an event that counts.

    Source: Uno et al., Stat Med 2011; ties as in scikit-survival.
    """
    time, event = checked(time, event)
    counted = event if tau is None else event & (time < tau)
    weight = _inverse_censoring(train_time, train_event, time, counted) ** 2
    concordant, discordant, tied_risk = weight @ _pairs(time, event, risk)
    pairs = concordant + discordant + tied_risk
    return float((concordant + tied_risk / 2) / pairs) if pairs > 0 else np.nan


def cumulative_dynamic_auc(
    train_time: Floats,
    train_event: Events,
    time: Floats,
    event: Events,
    risk: Floats,
    times: Floats,
) -> Floats:
    """(M,) AUC at given times: cases with an event by then against those followed for longer.

    A case with event at t counts with 1 / G(t), as in `uno_c`. NaN before the first event.

    Args:
        train_time: (M,) months of the cases from which censoring is learnt.
        train_event: (M,).
        time: (N,) months.
        event: (N,).
        risk: (N,) any scale.
        times: (M,) when, in months; from the first to before the last of `time`.

    Raises:
        ValueError: if one of `times` is outside, or the training cases are not followed up to an
            event.

    Source: Uno et al., J Am Stat Assoc 2007; Hung and Chiang, Can J Stat 2010; as scikit-survival.
    """
    time, event = checked(time, event)
    if not (time.min() <= times.min() and times.max() < time.max()):
        raise ValueError(f"times have to be from {time.min():g} to before {time.max():g} months")
    weight = _inverse_censoring(train_time, train_event, time, event)
    level = _levels(_finite(risk, time))
    return np.array([_auc_at(t, time, weight, level) for t in times])


def _pairs(time: Floats, event: Events, risk: Floats) -> Ints:
    """[N, 3] comparable pairs of each event: concordant, discordant, tied in risk."""
    time, event = checked(time, event)
    risk = _finite(risk, time)
    counts = np.zeros((len(time), 3), np.int64)
    for blocks in comparable(time, event, risk):
        higher, tied = blocks.lower - blocks.first, blocks.tied - blocks.lower
        counts[blocks.event] += np.stack([higher, blocks.last - blocks.tied, tied], axis=1)
    return counts


def _finite(risk: npt.ArrayLike, time: Floats) -> Floats:
    """Risks as an array with one number for each time."""
    values = np.asarray(risk, np.float64)
    if values.shape != time.shape or not np.isfinite(values).all():
        raise ValueError("every case needs a risk, a finite number")
    return values


def _inverse_censoring(
    train_time: Floats, train_event: Events, time: Floats, counted: Events
) -> Floats:
    """(N,) 1 / share not censored by the time of each counted case; 0 for the others."""
    share = censoring_survival(train_time, train_event, time[counted])
    if (share == 0).any():
        raise ValueError("all training cases are censored before an event; set an earlier limit")
    weight = np.zeros(len(time))
    weight[counted] = 1 / share
    return weight


def _levels(risk: Floats) -> Ints:
    """(N,) rank of each risk; neighbours that differ by no more than `TIED_RISK` share one."""
    order = np.argsort(risk, kind="stable")
    level = np.zeros(len(risk), np.int64)
    level[order[1:]] = np.cumsum(np.diff(risk[order]) > TIED_RISK)
    return level


def _auc_at(at: float, time: Floats, weight: Floats, level: Ints) -> float:
    """Weighted share of pairs, one with event by a time and one without, in the right order."""
    with_event = (time <= at) & (weight > 0)
    without = np.sort(level[time > at])
    if not with_event.any():
        return np.nan
    sides = [np.searchsorted(without, level[with_event], side) for side in ("left", "right")]
    below = (sides[0] + sides[1]) / 2  # a tie counts half
    return float(np.average(below, weights=weight[with_event]) / len(without))
