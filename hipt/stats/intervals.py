"""How sure a score is: from its values in bootstrap resamples, and among many tests at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hipt.stats.arrays import Floats


class Interval(NamedTuple):
    """A percentile interval; NaN where no resample had a score."""

    low: float
    high: float
    resamples_used: int
    """Those in which the score was a number."""


class Difference(NamedTuple):
    """How sure the difference of two models' scores is; NaN where no resample had both."""

    low: float
    high: float
    p: float
    """Two-sided."""


def interval(resampled: Floats, level: float = 0.95) -> Interval:
    """Percentile interval of a score.

    Args:
        resampled: (R,) the score in each resample; NaN is dropped.
        level: share of the resamples inside, 0 to 1.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993.
    """
    known = resampled[~np.isnan(resampled)]
    if not len(known):
        return Interval(np.nan, np.nan, 0)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), len(known))


def difference(a: Floats, b: Floats) -> Difference:
    """Percentile interval and p of the difference of two models' scores on the same cases.

    p is twice the smaller share of resamples whose difference is not above, or not below, 0; one
    is added to both counts, so it is never 0.

    Args:
        a: (R,) score of the first model in each resample.
        b: (R,) score of the second, in the same resamples.

    Source: Davison and Hinkley, Bootstrap Methods and their Application, 1997 (adding one).
    """
    low, high, used = interval(a - b)
    fewest = min(np.sum(a <= b), np.sum(a >= b))
    p = min(1.0, 2 * float(fewest + 1) / (used + 1)) if used else np.nan
    return Difference(low, high, p)


def holm(p_values: Floats) -> Floats:
    """(M,) p values corrected for their number: the chance of one false alarm stays below each.

    Args:
        p_values: (M,) 0 to 1; NaN stays NaN and does not count.

    Raises:
        ValueError: if one is outside 0 to 1.

    Source: Holm, Scand J Stat 1979.
    """
    values = np.asarray(p_values, np.float64)
    if ((values < 0) | (values > 1)).any():
        raise ValueError("a p value is not between 0 and 1")
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    factors = len(order) - np.arange(len(order))
    adjusted = np.full(len(values), np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * factors), 1)
    return adjusted
