"""Scores against closed forms and their definitions as loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.calibration import calibration_curve

from hipt.stats.metrics import auc, balanced_accuracy, brier, calibration, quadratic_kappa

RANDOM = st.tuples(st.integers(0, 10**6), st.integers(2, 5), st.integers(1, 40))


def binary(score: list[float]) -> np.ndarray:
    return np.stack([1 - np.array(score), np.array(score)], axis=1)


def drawn(seed: int, classes: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Classes and probabilities, half of the seeds with many ties."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(classes), n)
    return rng.integers(0, classes, n), np.round(p * 5) / 5 if seed % 2 else p


def test_auc_of_perfect_reversed_and_tied_scores():
    y = np.array([0, 0, 1, 1])
    assert auc(y, binary([0.1, 0.2, 0.3, 0.4])) == 1
    assert auc(y, binary([0.4, 0.3, 0.2, 0.1])) == 0
    assert auc(y, binary([0.3] * 4)) == 0.5
    assert auc(y, binary([0.1, 0.3, 0.3, 0.2])) == 0.625  # 2.5 of 4 pairs


def test_auc_of_three_classes_is_the_mean_of_each_against_the_rest():
    y, p = np.array([0, 1, 2]), np.array([[0.6, 0.2, 0.2], [0.3, 0.3, 0.4], [0.1, 0.5, 0.4]])
    assert auc(y, p) == pytest.approx((1 + 0.5 + 0.75) / 3)


def test_auc_of_two_classes_looks_at_the_second_column():
    assert auc(np.array([0, 1]), np.array([[9, 0.1], [9, 0.2]])) == 1


def test_auc_needs_every_class_and_numbers():
    assert math.isnan(auc(np.zeros(3, int), binary([0.1, 0.2, 0.3])))
    assert math.isnan(auc(np.array([0, 1, 1]), np.full((3, 3), 1 / 3)))
    with pytest.raises(ValueError, match="NaN"):
        auc(np.array([0, 1]), binary([0.1, np.nan]))


@settings(max_examples=60)
@given(RANDOM)
def test_auc_as_a_loop_and_as_the_u_test(draw: tuple[int, int, int]):
    y, p = drawn(*draw)
    kinds = [1] if p.shape[1] == 2 else range(p.shape[1])
    values = []
    for kind in kinds:
        true, false = p[y == kind, kind], p[y != kind, kind]
        wins = [1 if a > b else 0.5 if a == b else 0 for a in true for b in false]
        values.append(np.mean(wins) if wins else math.nan)
        if wins:
            u = stats.mannwhitneyu(true, false, method="asymptotic").statistic
            assert u == pytest.approx(sum(wins))
    assert auc(y, p) == pytest.approx(np.mean(values), nan_ok=True)


def test_balanced_accuracy_counts_every_class_alike():
    truth = np.array([1] * 98 + [2] * 2)
    assert balanced_accuracy(truth, np.ones(100, np.int64)) == 0.5
    assert balanced_accuracy(truth, truth) == 1
    assert balanced_accuracy(truth, np.array([1] * 49 + [2] * 50 + [1])) == 0.5
    assert balanced_accuracy(np.array([1, 1]), np.array([1, 3])) == 0.5  # nobody is of class 3


def test_kappa_in_closed_form():
    y = np.array([0, 1, 2, 2])
    assert quadratic_kappa(y, y, 3) == 1
    assert quadratic_kappa(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), 2) == 0
    assert quadratic_kappa(np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0]), 2) == -1
    assert quadratic_kappa(np.array([0, 2]), np.array([0, 1]), 3) == pytest.approx(1 - 0.5 / 1.5)
    assert math.isnan(quadratic_kappa(np.ones(3, int), np.ones(3, int), 2))
    assert math.isnan(quadratic_kappa(np.ones(3, int), np.array([0, 1, 1]), 2))  # 0 says nothing


@settings(max_examples=60)
@given(RANDOM)
def test_kappa_as_a_loop(draw: tuple[int, int, int]):
    y, p = drawn(*draw)
    predicted = p.argmax(1)
    seen = sum((int(a) - int(b)) ** 2 for a, b in zip(y, predicted, strict=True)) / len(y)
    chance = sum((int(a) - int(b)) ** 2 for a in y for b in predicted) / len(y) ** 2
    by_loop = 1 - seen / chance if len(set(y.tolist())) > 1 else math.nan
    assert quadratic_kappa(y, predicted, draw[1]) == pytest.approx(by_loop, nan_ok=True)


def test_brier_of_two_classes_is_of_the_second_and_of_more_the_sum():
    y = np.array([0, 1])
    assert brier(y, binary([0.2, 0.6])) == pytest.approx((0.04 + 0.16) / 2)
    p = np.array([[0.5, 0.3, 0.2], [0, 1, 0]])
    assert brier(y, p) == pytest.approx((0.25 + 0.09 + 0.04) / 2)
    assert brier(np.array([2, 0]), np.eye(3)[[0, 2]]) == 2


def test_calibration_in_bins_of_equal_size():
    score = [0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9]
    y = np.array([0, 0, 0, 1, 0, 1, 1, 1])
    order = np.random.default_rng(0).permutation(8)
    result = calibration(y[order], binary(score)[order], bins=2)
    np.testing.assert_allclose(result.predicted, [0.25, 0.75])
    np.testing.assert_allclose(result.observed, [0.25, 0.75])
    assert result.items.tolist() == [4, 4]
    many = np.arange(30)
    assert calibration(many % 2, binary((many / 30).tolist())).items.tolist() == [3] * 10
    assert result.expected_error == pytest.approx(0)


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(20, 90), st.integers(2, 10))
def test_bins_are_those_of_scikit_learn(seed: int, n: int, bins: int):
    assume(math.gcd(n - 1, bins) == 1)  # else an edge is a score, and rounding decides
    rng = np.random.default_rng(seed)
    score, y = rng.random(n), np.append(rng.integers(2, size=n - 2), [0, 1])
    result = calibration(y, binary(score.tolist()), bins)
    observed, predicted = calibration_curve(y, score, n_bins=bins, strategy="quantile")
    np.testing.assert_allclose(result.observed, observed, atol=1e-12)
    np.testing.assert_allclose(result.predicted, predicted, atol=1e-12)


def test_equal_probabilities_share_a_bin():
    y, p = np.array([0, 1, 1, 0, 1, 1]), binary([0.2, 0.8, 0.8, 0.8, 0.8, 0.8])
    result = calibration(y, p, bins=3)
    assert result.items.tolist() == [6]
    np.testing.assert_allclose([result.predicted, result.observed], [[0.7], [4 / 6]])
    result = calibration(y, p, bins=6)
    assert result.items.tolist() == [1, 5]
    assert result.expected_error == pytest.approx((0.2 + 5 * 0) / 6)


def test_of_more_than_two_classes_the_likeliest_counts():
    y, p = np.array([1, 0]), np.array([[0.1, 0.7, 0.2], [0.4, 0.5, 0.1]])
    result = calibration(y, p, bins=1)
    np.testing.assert_allclose([result.predicted, result.observed], [[0.6], [0.5]])
    assert calibration(y, p, bins=2).expected_error == pytest.approx((0.3 + 0.5) / 2)


@settings(max_examples=60)
@given(RANDOM, st.integers(1, 12))
def test_bins_hold_every_item_and_neighbours_only(draw: tuple[int, int, int], bins: int):
    y, p = drawn(*draw)
    result = calibration(y, p, bins)
    right = y == (p.argmax(1) if p.shape[1] > 2 else 1)
    assert result.items.sum() == len(y)
    assert len(result.items) <= bins
    assert (result.items > 0).all()
    assert (np.diff(result.predicted) > 0).all()
    assert (result.observed * result.items).sum() == pytest.approx(right.sum())
    if draw[0] % 2 == 0:  # where an edge is a score, rounding decides
        apart = 1 if math.gcd(len(y) - 1, bins) == 1 else 2
        assert result.items.max() - result.items.min() <= apart
