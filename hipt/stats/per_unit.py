"""Predictions unit by unit (slide or case): each once, and those that are most wrong.

N predictions of U units, K classes. A unit that several folds test has several predictions.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from hipt.stats.arrays import Events, Floats, Ints
from hipt.stats.evaluation import Classified, Followed
from hipt.stats.pairs import comparable

F = TypeVar("F", Classified, Followed)


class Misordered(NamedTuple):
    """Pairs of each unit with the units whose order with it is known."""

    outlived: Floats
    """(N,) units that were followed for longer; 0 for those without event."""
    outlived_wrong: Floats
    """(N,) of these, those that were given a higher risk; equal risks count half."""
    survived: Floats
    """(N,) units whose event came before."""
    survived_wrong: Floats
    """(N,) of these, those that were given a lower risk; equal risks count half."""


def each_once(predicted: F, unit: npt.NDArray[Any]) -> tuple[Ints, Ints, F]:
    """One prediction of each unit: mean probabilities, or the mean risk, over its folds.

    Args:
        predicted: N predictions; risks have to be comparable over folds, see `evaluation.pooled`.
        unit: (N,).

    Returns:
        (U,) index of each unit's first prediction, units rising; (U,) how many it has; U
        predictions.
    """
    _, first, place, times = np.unique(
        unit, return_index=True, return_inverse=True, return_counts=True
    )
    if isinstance(predicted, Classified):

        def mean(p: Floats) -> Floats:
            sums = np.stack([np.bincount(place, weights=column) for column in p.T], 1)
            return np.asarray(sums / times[:, None])

        calibrated = None if predicted.calibrated is None else mean(predicted.calibrated)
        once = Classified(predicted.y[first], mean(predicted.p), calibrated)
        return first, times, once
    risk = np.bincount(place, weights=predicted.risk) / times
    return first, times, predicted.take(first)._replace(risk=risk)


def most_wrong(predicted: Classified, most: int) -> Ints:
    """Indices of the wrong answers, the one with the most probable wrong class first.

    Args:
        predicted: N predictions; of equal probabilities the first class is the answer.
        most: at most as many.
    """
    answer = predicted.p.argmax(1)
    wrong = np.flatnonzero(answer != predicted.y)
    sure = predicted.p[wrong, answer[wrong]]
    return wrong[np.argsort(-sure, kind="stable")][:most]


def misordered(time: Floats, event: Events, risk: Floats) -> Misordered:
    """How many of the pairs that a concordance counts each unit is on the wrong side of.

    A pair is an event and a unit that is followed for longer, or is censored at the very time of
    the event. Summed over units, either kind of wrong pairs is the number that Harrell's index
    takes as discordant, and half of the tied.

    Args:
        time: (N,) months.
        event: (N,).
        risk: (N,) comparable with each other.
    """
    counts = np.zeros((4, len(time)))
    for blocks in comparable(time, event, risk):
        higher, tied = blocks.last - blocks.tied, blocks.tied - blocks.lower
        counts[:2, blocks.event] += blocks.last - blocks.first, higher + tied / 2
        met, tied_or_higher, only_higher = (
            _within(start, blocks.last, blocks.order)
            for start in (blocks.first, blocks.lower, blocks.tied)
        )
        counts[2:] += met, (tied_or_higher + only_higher) / 2
    return Misordered(*counts)


def _within(start: Ints, stop: Ints, order: Ints) -> Ints:
    """(N,) how many ranges of places each unit is in, by unit; `order` has the unit of a place."""
    places = np.arange(len(order))
    inside = np.searchsorted(np.sort(start), places, "right") - np.searchsorted(
        np.sort(stop), places, "right"
    )
    place = np.empty(len(order), np.int64)
    place[order] = inside
    return place


def most_misordered(wrong: Floats, pairs: Floats, most: int) -> Ints:
    """Indices of the units with the most wrong pairs more than right ones, those first.

    Only where most are wrong, and of units that have at least half as many pairs as any other: of
    a late event few pairs say nothing.

    Args:
        wrong: (N,) wrong pairs of each unit.
        pairs: (N,) all of its pairs.
        most: at most as many.
    """
    surplus = np.where(2 * pairs >= pairs.max(), 2 * wrong - pairs, 0)
    order = np.argsort(-surplus, kind="stable")[:most]
    return order[surplus[order] > 0]
