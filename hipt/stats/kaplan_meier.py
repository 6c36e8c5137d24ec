"""Survival curves without a model, N cases with T distinct times; see `censoring`."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from scipy import stats

from hipt.stats.arrays import Events, Floats
from hipt.stats.censoring import Counts, checked, counts


class KaplanMeier(NamedTuple):
    """A survival curve, a value per distinct time; before the first time survival is 1."""

    counts: Counts
    """Cases at every distinct time."""
    survival: Floats
    """(T,) share without event after this time."""
    lower: Floats
    """(T,) end of the 95 % interval; NaN where survival is 0, 1 where it is 1."""
    upper: Floats
    """(T,) other end."""


def kaplan_meier(time: Floats, event: Events) -> KaplanMeier:
    """The share of cases without event over time.

    The interval is the 95 % interval of log(-log survival) with Greenwood's variance, which stays
    between 0 and 1.

    Raises:
        ValueError: see `checked`.

    Source: Kaplan and Meier, J Am Stat Assoc 1958; Kalbfleisch and Prentice 1980 (the interval).
    """
    time, event = checked(time, event)
    curve = stats.ecdf(stats.CensoredData.right_censored(time, ~event)).sf
    with warnings.catch_warnings():  # where survival is 0 or 1 there is no interval
        warnings.simplefilter("ignore", RuntimeWarning)
        interval = curve.confidence_interval(0.95, method="log-log")
    whole = curve.probabilities == 1
    lower, upper = (np.where(whole, 1, end.probabilities) for end in (interval.low, interval.high))
    return KaplanMeier(counts(time, event), curve.probabilities, lower, upper)
