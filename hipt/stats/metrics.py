"""Scores of a classifier, as scikit-learn has them where its definition is ours.

N items, K classes: y is (N,) class from 0 to K - 1, p is [N, K] probabilities.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.metrics import cohen_kappa_score, recall_score, roc_auc_score

from hipt.stats.arrays import Floats, Ints

Scores = npt.NDArray[np.floating[Any]]  # (N,) or [N, K]


class Calibration(NamedTuple):
    """Bins of about as many predictions, from unsure to sure."""

    predicted: Floats
    """(B,) mean probability."""
    hits: Ints
    """(B,) predictions that came true."""
    items: Ints
    """(B,) predictions, above 0."""

    @property
    def observed(self) -> Floats:
        """(B,) share of the predictions that came true."""
        return np.asarray(self.hits / self.items, np.float64)

    @property
    def expected_error(self) -> float:
        """Mean distance, over predictions, of predicted and observed."""
        return float(np.average(np.abs(self.predicted - self.observed), weights=self.items))


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
    sides = [y == kind for kind in kinds]
    if any(side.all() or not side.any() for side in sides):
        return np.nan
    areas = [roc_auc_score(side, p[:, kind]) for side, kind in zip(sides, kinds, strict=True)]
    return float(np.mean(areas))


def balanced_accuracy(y: Ints, predicted: Ints) -> float:
    """The mean over the classes in y of the share of each that is predicted; chance is 1 / classes.

    Args:
        y: (N,) classes.
        predicted: (N,) classes; those that y lacks do not count.
    """
    return float(recall_score(y, predicted, labels=np.unique(y), average="macro"))


def quadratic_kappa(y: Ints, predicted: Ints, classes: int) -> float:
    """Agreement of ordered classes beyond chance: 1 all, 0 chance; NaN if y has one class alone.

    A disagreement counts with the square of the distance of its classes.

    Args:
        y: (N,) classes.
        predicted: (N,) classes.
        classes: K.

    Source: Cohen, Psychol Bull 1968.
    """
    if len(np.unique(y)) < 2:  # then 0 whatever is predicted, which says nothing
        return np.nan
    return float(cohen_kappa_score(y, predicted, labels=np.arange(classes), weights="quadratic"))


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
    hits = np.bincount(place[y == best], minlength=len(items))
    return Calibration(np.bincount(place, weights=sure) / items, hits, items)
