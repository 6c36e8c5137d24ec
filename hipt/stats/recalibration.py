"""Probabilities of a classifier put back to the prevalence of its classes.

A model that was trained on every class equally often says how likely a class is among equals. What
comes true among patients depends on how frequent classes are.

N units, K classes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from hipt.stats.arrays import Floats, Ints

SLOPE_SPREAD = float(np.log(2))
"""Standard deviation of the logarithm of slopes that are expected before anything is seen."""

MOST_LOG_SLOPE = 3.0


class Recalibration(NamedTuple):
    """Calibrated logits are `slope * log p + shift`."""

    slope: float
    """Below 1 where the model is too sure of itself."""
    shift: Floats
    """(K,) logarithms of how much more frequent each class is than where the model was trained."""

    def __call__(self, logits: Floats) -> Floats:
        """[N, K] calibrated probabilities of a model's logits."""
        return np.asarray(softmax(self.slope * log_softmax(logits, axis=1) + self.shift, axis=1))


def class_shares(y: Ints, classes: int) -> Floats:
    """(K,) share of each class; half a unit is added to each, so that none is 0.

    Args:
        y: (N,) class, 0 to K - 1.
        classes: K.
    """
    counts = np.bincount(y, minlength=classes) + 0.5
    return np.asarray(counts / counts.sum(), np.float64)


def recalibration(
    logits: Floats, y: Ints, natural: Floats, trained: Floats | None
) -> Recalibration:
    """The shift by class shares, and the slope that suits validation units best.

    The slope minimises the log loss with a penalty that pulls it to 1, so that few units, or units
    that are all told apart, move it little; of none it is 1.

    Args:
        logits: [N, K] of units that the model was not trained on, at the classes' own prevalence.
        y: (N,) their classes.
        natural: (K,) class shares among patients.
        trained: (K,) class shares in what the model was trained on; None: the natural ones.

    Source: Saerens et al., Neural Comput 2002 (shift); Platt 1999, Guo et al., ICML 2017 (slope).
    Differs: the penalty.
    """
    shift = np.zeros(len(natural)) if trained is None else np.log(natural) - np.log(trained)
    if not len(y):
        return Recalibration(1.0, shift)
    log_p = log_softmax(np.asarray(logits, np.float64), axis=1)

    def loss(log_slope: float) -> float:
        calibrated = log_softmax(np.exp(log_slope) * log_p + shift, axis=1)
        penalty = (log_slope / SLOPE_SPREAD) ** 2 / 2
        return float(penalty - calibrated[np.arange(len(y)), y].sum())

    bounds = (-MOST_LOG_SLOPE, MOST_LOG_SLOPE)
    best = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6}).x
    return Recalibration(float(np.exp(best)), shift)
