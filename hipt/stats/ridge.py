"""Ridge regression on classes for many penalties at once.

N items, D numbers, K classes, S penalties.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from hipt.stats.arrays import Floats, Ints
from hipt.stats.linear import Scale, balance

Features = npt.NDArray[np.floating[Any]]  # [N, D]


class RidgePath(NamedTuple):
    """Models of classes, one per penalty, on columns scaled as those that they were fitted on."""

    scale: Scale
    weights: Floats
    """[S, D, K]"""
    bias: Floats
    """[S, K]"""

    @classmethod
    def fit(cls, features: Features, y: Ints, classes: int, penalties: Sequence[float]) -> Self:
        """Least squares on 1 for an item's class and -1 for the others; classes weigh the same.

        They are scikit-learn's `RidgeClassifier(alpha=penalty * N, class_weight="balanced")` on
        standardised columns, but one eigendecomposition serves all penalties.

        Args:
            features: [N, D]; of no items models answer class 0.
            y: (N,) class, 0 to K - 1.
            classes: K; one without an item is never the answer.
            penalties: S times the penalty on squared weights per item, above 0.

        Source: Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 2009, 3.4.1.
        """
        n, d = features.shape
        if not n:
            none = np.zeros((len(penalties), d, classes))
            return cls(Scale(np.zeros(d), np.zeros(d)), none, none.sum(1))
        scale, weight = Scale.of(x := np.asarray(features, np.float64)), balance(y, classes)
        x, signs = scale(x), 2 * np.eye(classes)[y] - 1
        x_mean, y_mean = weight @ x / n, weight @ signs / n
        root = np.sqrt(weight)[:, None]
        x, signs = root * (x - x_mean), root * (signs - y_mean)
        # weights = basis @ (inside / (values + penalty * N)), by the smaller of the two products
        values, vectors = np.linalg.eigh(x @ x.T if n < d else x.T @ x)
        basis = x.T @ vectors if n < d else vectors  # [D, min(N, D)]
        inside = vectors.T @ (signs if n < d else x.T @ signs)  # [min(N, D), K]
        weaker = np.maximum(values, 0) + n * np.asarray(penalties)[:, None]  # [S, min(N, D)]
        weights = basis @ (inside / weaker[..., None])
        return cls(scale, weights, y_mean - x_mean @ weights)

    def __call__(self, features: Features) -> Ints:
        """[S, n] the class of each of n items, by each model.

        Of scores that are equal to six digits the first class's counts: what rounding decides
        differs with the number of threads.
        """
        scores = self.scale(np.asarray(features, np.float64)) @ self.weights  # [S, n, K]
        return np.asarray(np.round(scores + self.bias[:, None], 6).argmax(2), np.int64)
