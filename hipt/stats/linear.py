"""The baseline to beat: ridge models on one vector per unit, N units, D numbers, K classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from hipt.stats.arrays import Flags, Floats, Ints
from hipt.stats.cox import cox_log_likelihood, cox_ridge

NEVER = -20.0
"""Bias of a class that no unit of the training part has; those of the others are around 0."""


FREE = 100.0
"""Standard deviation of columns that are hardly penalised: 10,000 times less than others."""


class Scale(NamedTuple):
    """Mean 0 and standard deviation 1 of the training part's columns; a constant one becomes 0."""

    mean: Floats
    factor: Floats

    @classmethod
    def of(cls, features: Floats) -> Scale:
        """Of (N, D) features."""
        spread = features.std(0)
        constant = spread <= 1e-9 * np.abs(features).max(0, initial=0)
        return cls(features.mean(0), np.where(constant, 0, 1 / np.where(constant, 1, spread)))

    def with_free(self, free: int) -> Scale:
        """The same, with the first columns so large that a penalty hardly sees their weights."""
        wide = np.where(np.arange(len(self.factor)) < free, FREE, 1.0)
        return Scale(self.mean, self.factor * wide)

    def __call__(self, features: Floats) -> Floats:
        """(N, D) scaled."""
        return np.asarray((features - self.mean) * self.factor, np.float64)


class Parts(NamedTuple):
    """Indices of the units that a model is fitted on, and of those that choose its penalty."""

    train: Ints
    validation: Ints


class Linear(NamedTuple):
    """A fitted baseline: its answer is `scale(features) @ weights + bias`."""

    scale: Scale
    weights: Floats
    """(D, K) for classes, (D, 1) for the log hazard."""
    bias: Floats
    """(K,)"""
    ridge: float
    """The penalty that validated best."""
    losses: tuple[float, ...]
    """Validation loss of each penalty that was tried."""

    def __call__(self, features: Any) -> Floats:  # noqa: ANN401
        """(N, K) logits, or (N, 1) log hazards."""
        scaled = self.scale(np.asarray(features, np.float64))
        return np.asarray(scaled @ self.weights + self.bias, np.float64)


def logistic_ridge(
    features: Floats, y: Ints, classes: int, ridge: float, weight: Floats | None = None
) -> tuple[Floats, Floats]:
    """Multinomial logistic regression with penalty `ridge / 2 * |weights|^2`; the bias is free.

    Args:
        features: (N, D).
        y: (N,) class, 0 to classes - 1.
        classes: K; those without a unit become as unlikely as `NEVER` says.
        ridge: above 0.
        weight: (N,) of each unit, None: 1.

    Returns:
        Weights (D, K) and bias (K,).
    """
    weights, bias = np.zeros((features.shape[1], classes)), np.full(classes, NEVER)
    present = np.unique(y)
    if len(present) < 2:
        bias[present] = 0
        return weights, bias
    halves = len(present) == 2  # scikit-learn has one column, the difference of ours
    penalty = ridge / 2 if halves else ridge
    model = LogisticRegression(C=1 / penalty, solver="newton-cg", tol=1e-10, max_iter=1000)
    model.fit(features, y, weight)
    signs = np.array([[-0.5], [0.5]]) if halves else np.eye(len(present))
    weights[:, present], bias[present] = (signs @ model.coef_).T, signs @ model.intercept_
    return weights, bias


def fit_classes(  # noqa: PLR0913 (each is a thing of its own)
    features: Floats,
    y: Ints,
    classes: int,
    parts: Parts,
    ridges: Sequence[float],
    *,
    balanced: bool,
    free: int = 0,
) -> Linear:
    """Logistic regression; the penalty with the lowest log loss on the validation part.

    Args:
        features: (N, D), a mean over regions per unit.
        y: (N,) class.
        classes: K.
        parts: training and validation part.
        ridges: penalties to try.
        balanced: classes weigh the same, whatever their number.
        free: the first columns, as many, are hardly penalised.
    """
    train, validation = parts
    scale = Scale.of(features[train]).with_free(free)
    x = scale(features)
    weight = balance(y[train], classes) if balanced else None
    checked = balance(y[validation], classes) if balanced else np.ones(len(validation))
    fitted = [logistic_ridge(x[train], y[train], classes, ridge, weight) for ridge in ridges]

    def loss(weights: Floats, bias: Floats) -> float:
        log_p = log_softmax(x[validation] @ weights + bias, axis=1)
        return float(-(checked * log_p[np.arange(len(validation)), y[validation]]).mean())

    losses = tuple(loss(*model) for model in fitted)
    best = int(np.argmin(losses))
    return Linear(scale, *fitted[best], ridges[best], losses)


def fit_hazard(
    features: Floats,
    time: Floats,
    event: Flags,
    parts: Parts,
    ridges: Sequence[float],
    *,
    free: int = 0,
) -> Linear:
    """Cox regression; the penalty with the highest partial likelihood on the validation part.

    The likelihood is the gain of training and validation part together over the training part
    alone (Verweij and van Houwelingen, Stat. Med. 1993), so that one event there is enough.

    Args:
        features: (N, D), a mean over regions per unit.
        time: (N,) months.
        event: (N,) whether it was seen.
        parts: training and validation part.
        ridges: penalties to try.
        free: the first columns, as many, are hardly penalised.
    """
    train, validation = parts
    both = np.concatenate([train, validation])
    scale = Scale.of(features[train]).with_free(free)
    x = scale(features)
    fitted = [cox_ridge(x[train], time[train], event[train], ridge) for ridge in ridges]

    def loss(coefficients: Floats) -> float:
        whole = cox_log_likelihood(x[both], time[both], event[both], coefficients)
        return float(cox_log_likelihood(x[train], time[train], event[train], coefficients) - whole)

    losses = tuple(loss(coefficients) for coefficients in fitted)
    best = int(np.argmin(losses))
    return Linear(scale, fitted[best][:, None], np.zeros(1), ridges[best], losses)


def balance(y: Ints, classes: int) -> Floats:
    """(N,) weights with mean 1 that let every class that occurs weigh the same."""
    counts = np.bincount(y, minlength=classes)
    return np.asarray(len(y) / (np.count_nonzero(counts) * counts[y]), np.float64)
