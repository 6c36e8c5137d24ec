"""The linear baselines: at the optimum of their penalised likelihoods, penalties by validation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from hipt.stats.linear import Parts, Scale, fit_classes, fit_hazard, logistic_ridge

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
Y = (X[:, 0] + 0.5 * RNG.normal(size=60) > 0).astype(np.int64) + (X[:, 1] > 1)


def test_logistic_regression_is_at_its_optimum():
    weight = RNG.uniform(0.5, 2, 60)
    weights, bias = logistic_ridge(X, Y, 3, 0.7, weight)
    off = weight[:, None] * (softmax(X @ weights + bias, axis=1) - np.eye(3)[Y])
    np.testing.assert_allclose(X.T @ off + 0.7 * weights, 0, atol=1e-6)
    np.testing.assert_allclose(off.sum(0), 0, atol=1e-6)

    def loss(w: np.ndarray) -> float:
        log_p = log_softmax(X @ w + bias, axis=1)[np.arange(60), Y]
        return float(-(weight * log_p).sum() + 0.35 * np.square(w).sum())

    for _ in range(20):
        assert loss(weights + 0.01 * RNG.normal(size=weights.shape)) > loss(weights)


def test_two_classes_are_the_same_model():
    """Both columns are penalised, where one column of their difference has a penalty of its own."""
    y = np.minimum(Y, 1)
    weights, bias = logistic_ridge(X, y, 2, 0.7)
    off = softmax(X @ weights + bias, axis=1) - np.eye(2)[y]
    np.testing.assert_allclose(X.T @ off + 0.7 * weights, 0, atol=1e-6)
    np.testing.assert_allclose(off.sum(0), 0, atol=1e-6)


def test_a_class_that_nobody_has_is_never_the_answer():
    two, bias = logistic_ridge(X, np.minimum(Y, 1), 2, 0.7)
    weights, with_third = logistic_ridge(X, 2 * np.minimum(Y, 1), 3, 0.7)
    np.testing.assert_array_equal(weights[:, [0, 2]], two)
    np.testing.assert_array_equal(with_third[[0, 2]], bias)
    assert softmax(X @ weights + with_third, axis=1)[:, 1].max() < 1e-6
    weights, bias = logistic_ridge(X, np.ones(60, np.int64), 2, 0.7)
    assert softmax(X @ weights + bias, axis=1)[:, 1].min() > 1 - 1e-6


def test_a_constant_column_says_nothing():
    values = np.column_stack([np.full(5, 7.0), np.arange(5.0)])
    scaled = Scale.of(values)(values)
    assert not scaled[:, 0].any()
    assert scaled[:, 1].std() == pytest.approx(1)


def test_free_columns_are_hardly_penalised():
    time, event = np.exp(-X[:, 0] + 0.3 * RNG.normal(size=60)) * 10, RNG.random(60) < 0.7
    parts = Parts(np.arange(60), np.arange(60))
    free = fit_hazard(X, time, event, parts, (1e4,), free=1)
    alone = fit_hazard(X[:, :1], time, event, parts, (1.0,))
    np.testing.assert_allclose(free(X), alone(X[:, :1]), atol=0.05)
    assert np.abs(fit_hazard(X, time, event, parts, (1e4,))(X)).max() < 0.05
    classes = fit_classes(X, np.minimum(Y, 1), 2, parts, (1e4,), balanced=False, free=1)
    one = fit_classes(X[:, :1], np.minimum(Y, 1), 2, parts, (1.0,), balanced=False)
    np.testing.assert_allclose(classes(X), one(X[:, :1]), atol=0.05)


def test_the_penalty_that_validates_best_is_chosen_and_units_left_out_do_not_count():
    parts = Parts(np.arange(30), np.arange(30, 45))
    ridges = (1e-3, 1.0, 1e3)
    result = fit_classes(X, Y, 3, parts, ridges, balanced=False)
    assert result.ridge == ridges[int(np.argmin(result.losses))]
    log_p = log_softmax(result(X), axis=1)[np.arange(30, 45), Y[30:45]]
    assert min(result.losses) == pytest.approx(-log_p.mean())
    changed = X.copy()
    changed[45:] = 99
    again = fit_classes(changed, Y, 3, parts, ridges, balanced=False)
    np.testing.assert_array_equal(again.weights, result.weights)


def test_hazards_rise_with_what_kills():
    time = np.exp(-X[:, 2]) * 10
    event = np.arange(60) % 5 > 0
    result = fit_hazard(X, time, event, Parts(np.arange(40), np.arange(40, 60)), (0.1, 1.0, 10.0))
    assert result.weights[2, 0] > 3 * np.abs(np.delete(result.weights[:, 0], 2)).max()
    assert np.corrcoef(result(X)[:, 0], X[:, 2])[0, 1] > 0.9
