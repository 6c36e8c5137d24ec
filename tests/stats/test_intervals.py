"""Intervals, differences and corrections against closed forms and known coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hipt.stats.bootstrap import case_weights
from hipt.stats.intervals import difference, holm, interval

P_VALUES = st.lists(st.floats(0, 1) | st.just(math.nan), max_size=8)


def means(values: np.ndarray, groups: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """(R,) mean of the items in every resample of their cases."""
    weights = np.concatenate(list(case_weights(groups, resamples, seed)))
    return weights @ values / weights.sum(1)


def test_interval_of_a_constant_and_of_a_mean():
    assert interval(np.full(20, 0.7)) == (0.7, 0.7, 20)
    values = np.random.default_rng(0).normal(size=400)
    resampled = means(values, np.arange(400), 2000, 0)
    wide, narrow = interval(resampled), interval(resampled, level=0.5)
    error = values.std() / 20
    assert wide.low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert wide.high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_copies_of_a_case_do_not_make_the_interval_narrower():
    values = np.random.default_rng(1).normal(size=30)
    once = interval(means(values, np.arange(30), 200, 3))
    four = interval(means(np.repeat(values, 4), np.repeat(np.arange(30), 4), 200, 3))
    assert four == pytest.approx(once)


def test_ends_are_those_of_the_binomial_that_resampling_makes():
    positive = np.arange(50) < 20
    sums = 50 * means(positive, np.arange(50), 4000, 0)
    for level in (0.5, 0.95):
        low, high, _ = interval(sums, level)
        assert (low, high) == pytest.approx(stats.binom.interval(level, 50, 0.4), abs=1)


def test_resamples_without_a_score_are_dropped_and_counted():
    shares = means(np.array([1.0, 0, 0]), np.arange(3), 2000, 0)
    shares[shares == 0] = np.nan  # as if a score needed a positive
    result = interval(shares)
    assert result.resamples_used == pytest.approx(2000 * (1 - (2 / 3) ** 3), abs=100)
    assert result.low == pytest.approx(1 / 3)


def test_nothing_known_has_no_interval_and_no_p():
    nothing = np.full(5, np.nan)
    low, high, used = interval(nothing)
    assert (math.isnan(low), math.isnan(high), used) == (True, True, 0)
    assert math.isnan(difference(nothing, np.zeros(5)).p)


def test_equal_models_do_not_differ():
    scores = means(np.random.default_rng(0).normal(size=20), np.arange(20), 50, 0)
    assert difference(scores, scores) == (0, 0, 1)


def test_a_difference_that_is_always_there():
    """Paired: the scores vary by 1, their difference not at all."""
    worse = means(np.random.default_rng(0).normal(size=20), np.arange(20), 99, 0)
    assert difference(worse + 0.01, worse) == pytest.approx((0.01, 0.01, 2 / 100))
    assert difference(worse, worse + 0.01) == pytest.approx((-0.01, -0.01, 2 / 100))


def test_p_counts_the_resamples_on_the_other_side():
    values = np.random.default_rng(4).normal(0.2, 1, size=40)
    scores = means(values, np.arange(40), 500, 7)
    result = difference(scores, np.zeros(500))
    fewer = min(sum(s <= 0 for s in scores), sum(s >= 0 for s in scores))
    assert 0 < fewer < 250
    assert result.p == pytest.approx(2 * (fewer + 1) / 501)
    assert (result.low, result.high) == pytest.approx(tuple(np.quantile(scores, [0.025, 0.975])))


def test_holm_by_hand():
    result = holm(np.array([0.01, 0.04, 0.03, 0.005]))
    np.testing.assert_allclose(result, [0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.9, 0.8])).tolist() == [1, 1]
    np.testing.assert_allclose(holm(np.array([0.02, np.nan, 0.01])), [0.02, np.nan, 0.02])
    assert holm(np.array([])).tolist() == []
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm(np.array([1.1]))


@settings(max_examples=100)
@given(P_VALUES, st.floats(0, 1))
def test_holm_rejects_what_its_procedure_rejects(p_values: list[float], level: float):
    """Step by step: the smallest p against level / m, the next against level / (m - 1), ..."""
    known = sorted((p, i) for i, p in enumerate(p_values) if not math.isnan(p))
    rejected = set()
    for step, (p, i) in enumerate(known):
        if p * (len(known) - step) > level:
            break
        rejected.add(i)
    adjusted = holm(np.array(p_values))
    assert {i for i, p in enumerate(adjusted) if p <= level} == (
        rejected if level < 1 else {i for _, i in known}
    )
