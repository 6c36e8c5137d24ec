"""How sure a score is: bootstrap over cases, differences of models, many tests at once.

N items belong to cases; the items of a case (slides of a patient) are not independent, so cases are
drawn, each with all of its items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Statistic = Callable[[Ints], float]
"""A score of the items with these indices, some of them twice; NaN if they have none."""


class Interval(NamedTuple):
    """A percentile interval; NaN where no resample had a score."""

    low: float
    high: float
    resamples_used: int
    """Those in which the score was a number."""


class Difference(NamedTuple):
    """Score of model a less score of model b."""

    value: float
    """On all items."""
    low: float
    high: float
    p: float
    """Two-sided; NaN where no resample had both scores."""
    resamples_used: int
    """Those in which both scores were numbers."""


def bootstrap_interval(
    statistic: Statistic, groups: Ints, n_resamples: int, seed: int, level: float = 0.95
) -> Interval:
    """Interval of a score if other cases had been drawn.

    Args:
        statistic: score of the items with given indices.
        groups: (N,) case of each item.
        n_resamples: how many; those in which the score is NaN are dropped.
        seed: same seed, same interval.
        level: share of the resamples inside, 0 to 1.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993.
    """
    scores = np.array([statistic(items) for items in resamples(groups, n_resamples, seed)])
    return _percentiles(scores, level)


def paired_difference(
    statistic_a: Statistic,
    statistic_b: Statistic,
    groups: Ints,
    n_resamples: int,
    seed: int,
    level: float = 0.95,
) -> Difference:
    """Difference of the scores of two models on the same cases.

    p is twice the smaller share of resamples whose difference is not above, or not below, 0; one
    is added to both counts, so it is never 0.

    Args:
        statistic_a: score of the first model on the items with given indices.
        statistic_b: that of the second, on the same items.
        groups: (N,) case of each item.
        n_resamples: how many, the same for both; those in which a score is NaN are dropped.
        seed: same seed, same result.
        level: share of the resamples inside the interval, 0 to 1.

    Source: Davison and Hinkley, Bootstrap Methods and their Application, 1997 (adding one).
    """

    def difference(items: Ints) -> float:
        return statistic_a(items) - statistic_b(items)

    scores = np.array([difference(items) for items in resamples(groups, n_resamples, seed)])
    low, high, used = _percentiles(scores, level)
    fewest = min(np.sum(scores <= 0), np.sum(scores >= 0))
    p = min(1.0, 2 * float(fewest + 1) / (used + 1)) if used else np.nan
    return Difference(float(difference(np.arange(len(groups)))), low, high, p, used)


def resamples(groups: Ints, n_resamples: int, seed: int) -> Iterator[Ints]:
    """Indices of the items of as many cases as there are, drawn with replacement.

    Args:
        groups: (N,) case of each item.
        n_resamples: how many.
        seed: same seed, same draws.

    Yields:
        Indices; their number varies where cases have different numbers of items.
    """
    _, sizes = np.unique(groups, return_counts=True)
    members = np.split(np.argsort(groups, kind="stable"), np.cumsum(sizes)[:-1])
    rng = np.random.default_rng(seed)
    for _ in range(n_resamples):
        yield np.concatenate([members[case] for case in rng.integers(len(sizes), size=len(sizes))])


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


def wilson(hits: Floats, items: Ints, level: float = 0.95) -> tuple[Floats, Floats]:
    """Both ends, each (M,), of the interval of a share; never outside 0 to 1.

    Args:
        hits: (M,) items of which something is so.
        items: (M,) all, above 0, independent of each other.
        level: of confidence, 0 to 1.

    Source: Wilson, J Am Stat Assoc 1927.
    """
    z = float(special.ndtri((1 + level) / 2))
    share = hits / items
    middle = (share + z**2 / (2 * items)) / (1 + z**2 / items)
    spread = np.sqrt(share * (1 - share) / items + (z / (2 * items)) ** 2)
    margin = z * spread / (1 + z**2 / items)
    return np.clip(middle - margin, 0, share), np.clip(middle + margin, share, 1)


def _percentiles(scores: Floats, level: float) -> Interval:
    """Interval of the scores that are numbers."""
    known = scores[~np.isnan(scores)]
    if not len(known):
        return Interval(np.nan, np.nan, 0)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), len(known))
