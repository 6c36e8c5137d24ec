"""Scores of a classifier: AUC and its curve, accuracy, agreement, calibration.

N items, K classes: y is (N,) class from 0 to K - 1, p is [N, K] probabilities.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]  # (N,)
Mask = npt.NDArray[np.bool_]  # (N,)
Floats = npt.NDArray[np.float64]
Scores = npt.NDArray[np.floating[Any]]  # (N,) or [N, K]


class RocCurve(NamedTuple):
    """Corners of an ROC curve, from (0, 0) to (1, 1)."""

    false_positive_rate: Floats
    """(M,) rising; NaN if nothing is negative."""
    true_positive_rate: Floats
    """(M,) rising; NaN if nothing is positive."""
    thresholds: Floats
    """(M,) falling, first infinity: positive is a score not below it."""


class Calibration(NamedTuple):
    """Bins of about as many predictions, from unsure to sure."""

    predicted: Floats
    """(B,) mean probability."""
    observed: Floats
    """(B,) share in which it came true."""
    items: Ints
    """(B,) predictions, above 0."""


def auc(y: Ints, p: Scores) -> float:
    """Area under the ROC curve; of more than two classes the mean of each against the rest.

    NaN if a class has no item, or all.

    Args:
        y: (N,) classes.
        p: [N, K]; of two classes only the second column counts. Equal scores count half.

    Raises:
        ValueError: if a score is not a number.
    """
    kinds = range(p.shape[1]) if p.shape[1] > 2 else [1]
    return float(np.mean([_area(y == kind, p[:, kind]) for kind in kinds]))


def roc_curve(positive: Mask, score: Scores) -> RocCurve:
    """The corners of the ROC curve; points on a straight line between others are left out.

    Args:
        positive: (N,).
        score: (N,) higher for positives.

    Raises:
        ValueError: if a score is not a number.
    """
    true, false = _sides(positive, score)
    thresholds = np.append(np.inf, np.unique(np.concatenate([true, false]))[::-1])
    hits = len(true) - np.searchsorted(true, thresholds)
    alarms = len(false) - np.searchsorted(false, thresholds)
    up, along = np.diff(hits), np.diff(alarms)
    turns = np.ones(len(thresholds), bool)
    turns[1:-1] = along[:-1] * up[1:] != along[1:] * up[:-1]
    rates = [n[turns] / (len(of) or np.nan) for n, of in ((alarms, false), (hits, true))]
    return RocCurve(rates[0], rates[1], thresholds[turns])


def accuracy(y: Ints, predicted: Ints) -> float:
    """The share of items whose class was found."""
    return float(np.mean(y == predicted))


def quadratic_kappa(y: Ints, predicted: Ints, classes: int) -> float:
    """Agreement of ordered classes beyond chance: 1 all, 0 chance; NaN if y has one class alone.

    A disagreement counts with the square of the distance of its classes.

    Args:
        y: (N,) classes.
        predicted: (N,) classes.
        classes: K.

    Source: Cohen, Psychol Bull 1968.
    """
    kinds = np.arange(classes)
    distance = (kinds[:, None] - kinds) ** 2  # [K, K]
    truth, found = (np.bincount(values, minlength=classes) for values in (y, predicted))
    if np.count_nonzero(truth) < 2:  # then 0 whatever is predicted, which says nothing
        return np.nan
    by_chance = truth @ distance @ found / len(y)
    return float(1 - np.sum((y - predicted) ** 2) / by_chance)


def brier(y: Ints, p: Scores) -> float:
    """Mean squared distance of the probabilities from what came true; 0 is best.

    Of two classes that of the second class's probability, 0 to 1; of more the sum over the classes,
    0 to 2.

    Args:
        y: (N,) classes.
        p: [N, K].

    Source: Brier, Mon Weather Rev 1950.
    """
    squares = (p - np.eye(p.shape[1])[y]) ** 2
    return float(np.mean(squares.sum(1) if p.shape[1] > 2 else squares[:, 1]))


def calibration(y: Ints, p: Scores, bins: int = 10) -> Calibration:
    """How often predictions come true, by their probability.

    Of two classes that of the second; of more that of the likeliest, of equal ones the first.
    Equal probabilities share a bin, so bins differ where they are many, and none is empty.

    Args:
        y: (N,) classes.
        p: [N, K].
        bins: at most as many.
    """
    best = p.argmax(1) if p.shape[1] > 2 else np.ones(len(p), np.int64)
    sure = np.take_along_axis(np.asarray(p, np.float64), best[:, None], axis=1)[:, 0]
    edges = np.quantile(sure, np.linspace(0, 1, bins + 1)[1:-1])
    _, place = np.unique(np.searchsorted(edges, sure), return_inverse=True)
    items = np.bincount(place)
    came_true = np.bincount(place, weights=y == best)
    return Calibration(np.bincount(place, weights=sure) / items, came_true / items, items)


def expected_calibration_error(y: Ints, p: Scores, bins: int = 10) -> float:
    """Mean distance, over predictions, of predicted and observed in the bins of `calibration`."""
    predicted, observed, items = calibration(y, p, bins)
    return float(np.average(np.abs(predicted - observed), weights=items))


def _sides(positive: Mask, score: Scores) -> tuple[Floats, Floats]:
    """Rising scores of positives and of negatives."""
    values = np.asarray(score, np.float64)
    if np.isnan(values).any():
        raise ValueError("a score is not a number")
    return np.sort(values[positive]), np.sort(values[~positive])


def _area(positive: Mask, score: Scores) -> float:
    """The share of pairs of a positive and a negative in which it has the higher score."""
    true, false = _sides(positive, score)
    below = np.searchsorted(false, true) + np.searchsorted(false, true, "right")  # twice
    return float(below.sum() / (2 * len(true) * len(false))) if len(true) and len(false) else np.nan
