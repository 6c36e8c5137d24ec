"""Probabilities at the prevalence of the classes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from hipt.stats.linear import Parts, fit_classes
from hipt.stats.metrics import brier, calibration
from hipt.stats.recalibration import class_shares, recalibration

RNG = np.random.default_rng(5)
EQUAL = np.full(2, 0.5)


def drawn(n: int, rare: float, sure: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a model trained on equal classes, `sure` times as sure as it may be; classes."""
    y = (RNG.random(n) < rare).astype(np.int64)
    x = RNG.normal(size=n) + 2 * y  # log odds among equals: 2 x - 2
    return sure * np.stack([np.zeros(n), 2 * x - 2], 1), y


def test_a_rare_class_is_predicted_as_often_as_it_comes():
    logits, y = drawn(20_000, rare=0.1)
    raw = softmax(logits, axis=1)
    assert raw[:, 1].mean() > 0.2
    result = recalibration(*drawn(500, rare=0.1), class_shares(y, 2), EQUAL)
    p = result(logits)
    assert p[:, 1].mean() == pytest.approx(0.1, abs=0.01)
    assert calibration(y, p).expected_error < 0.02 < calibration(y, raw).expected_error
    assert brier(y, p) < brier(y, raw)


def test_a_model_that_is_too_sure_gets_a_slope_below_1():
    natural = np.array([0.9, 0.1])
    result = recalibration(*drawn(2000, rare=0.1, sure=4), natural, EQUAL)
    assert result.slope == pytest.approx(0.25, rel=0.15)
    assert recalibration(*drawn(2000, rare=0.1, sure=0.5), natural, EQUAL).slope > 1.7


def test_without_a_validation_part_the_class_shares_alone_count():
    result = recalibration(np.empty((0, 2)), np.empty(0, int), np.array([0.8, 0.2]), EQUAL)
    assert result.slope == 1
    p = result(np.zeros((1, 2)))
    assert p.tolist() == [[pytest.approx(0.8), pytest.approx(0.2)]]


def test_few_units_that_are_all_separated_make_no_model_certain():
    logits = np.array([[3.0, 0.0], [0.0, 3.0], [3.0, 0.0]])
    assert recalibration(logits, np.array([0, 1, 0]), EQUAL, None).slope < 2


def test_natural_draws_are_not_shifted():
    logits, y = drawn(50, rare=0.3)
    result = recalibration(logits, y, class_shares(y, 2), None)
    assert result.shift.tolist() == [0, 0]


def test_a_class_that_nobody_has_keeps_a_probability():
    shares = class_shares(np.array([0, 0, 1]), 3)
    assert shares.sum() == pytest.approx(1)
    assert 0 < shares[2] < shares[1] < shares[0]


def test_a_balanced_fit_put_back_is_the_fit_without_balance():
    n = 4000
    y = (RNG.random(n) < 0.15).astype(np.int64)
    x = RNG.normal(size=(n, 3)) + y[:, None]
    parts = Parts(np.arange(n // 2), np.arange(n // 2, n))
    fits = [fit_classes(x, y, 2, parts, (1e-3,), balanced=balanced) for balanced in (True, False)]
    balanced, natural = (fit(x) for fit in fits)
    result = recalibration(
        balanced[parts.validation], y[parts.validation], class_shares(y[parts.train], 2), EQUAL
    )
    wanted = np.exp(log_softmax(natural, axis=1))[:, 1]
    assert np.abs(result(balanced)[:, 1] - wanted).mean() < 0.01
