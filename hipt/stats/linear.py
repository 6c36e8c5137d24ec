"""The baseline to beat: ridge models on one vector per unit, N units, D numbers, K classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from hipt.stats.cox import cox_log_likelihood, cox_ridge

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


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

    def __call__(self, features: Floats) -> Floats:
        """(N, D) scaled."""
        return np.asarray((features - self.mean) * self.factor, np.float64)


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
        classes: K.
        ridge: above 0.
        weight: (N,) of each unit, None: 1.

    Returns:
        Weights (D, K) and bias (K,).
    """
    n, dim = features.shape
    w = np.ones(n) if weight is None else weight
    wanted = np.eye(classes)[y]

    def loss(flat: Floats) -> tuple[float, Floats]:
        coefficients, bias = flat[: dim * classes].reshape(dim, classes), flat[dim * classes :]
        logits = features @ coefficients + bias
        off = w[:, None] * (softmax(logits, axis=1) - wanted)  # (N, K)
        penalty = ridge / 2 * np.square(coefficients).sum()
        gradient = features.T @ off + ridge * coefficients
        value = -(w * (log_softmax(logits, axis=1) * wanted).sum(1)).sum() + penalty
        return float(value), np.concatenate([gradient.ravel(), off.sum(0)])

    start = np.zeros(dim * classes + classes)
    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 2000, "gtol": 1e-6}
    ).x
    return found[: dim * classes].reshape(dim, classes), found[dim * classes :]


def fit_classes(
    features: Floats,
    y: Ints,
    classes: int,
    parts: tuple[Ints, Ints],
    ridges: Sequence[float],
    *,
    balanced: bool,
) -> Linear:
    """Logistic regression; the penalty with the lowest log loss on the validation part.

    Args:
        features: (N, D), a mean over regions per unit.
        y: (N,) class.
        classes: K.
        parts: indices of the training and of the validation part.
        ridges: penalties to try.
        balanced: classes weigh the same, whatever their number.
    """
    train, validation = parts
    scale = Scale.of(features[train])
    x = scale(features)
    weight = _balance(y[train], classes) if balanced else None
    checked = _balance(y[validation], classes) if balanced else np.ones(len(validation))
    found = [logistic_ridge(x[train], y[train], classes, ridge, weight) for ridge in ridges]

    def loss(weights: Floats, bias: Floats) -> float:
        log_p = log_softmax(x[validation] @ weights + bias, axis=1)
        return float(-(checked * log_p[np.arange(len(validation)), y[validation]]).mean())

    losses = tuple(loss(*one) for one in found)
    best = int(np.argmin(losses))
    return Linear(scale, *found[best], ridges[best], losses)


def fit_hazard(
    features: Floats, time: Floats, event: Mask, parts: tuple[Ints, Ints], ridges: Sequence[float]
) -> Linear:
    """Cox regression; the penalty with the highest partial likelihood on the validation part.

    The likelihood is the gain of training and validation part together over the training part
    alone (Verweij and van Houwelingen, Stat. Med. 1993), so that one event there is enough.

    Args:
        features: (N, D), a mean over regions per unit.
        time: (N,) months.
        event: (N,) whether it was seen.
        parts: indices of the training and of the validation part.
        ridges: penalties to try.
    """
    train, validation = parts
    both = np.concatenate([train, validation])
    scale = Scale.of(features[train])
    x = scale(features)
    found = [cox_ridge(x[train], time[train], event[train], ridge) for ridge in ridges]

    def loss(coefficients: Floats) -> float:
        whole = cox_log_likelihood(x[both], time[both], event[both], coefficients)
        return float(cox_log_likelihood(x[train], time[train], event[train], coefficients) - whole)

    losses = tuple(loss(one) for one in found)
    best = int(np.argmin(losses))
    return Linear(scale, found[best][:, None], np.zeros(1), ridges[best], losses)


def _balance(y: Ints, classes: int) -> Floats:
    """(N,) weights with mean 1 that let every class that occurs weigh the same."""
    counts = np.bincount(y, minlength=classes)
    return np.asarray(len(y) / (np.count_nonzero(counts) * counts[y]), np.float64)
