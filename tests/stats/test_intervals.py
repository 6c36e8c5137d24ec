"""Bootstrap and corrections against closed forms, plain loops and known coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hipt.stats.intervals import (
    bootstrap_interval,
    holm,
    paired_difference,
    resamples,
    wilson,
)

P_VALUES = st.lists(st.floats(0, 1) | st.just(math.nan), max_size=8)


@settings(max_examples=30)
@given(st.lists(st.integers(3, 9), min_size=1, max_size=20), st.integers(0, 99))
def test_cases_stay_together_and_as_many_are_drawn(cases: list[int], seed: int):
    groups = np.array(cases)
    kinds, sizes = np.unique(groups, return_counts=True)
    for items in resamples(groups, 5, seed):
        times = np.bincount(items, minlength=len(groups))
        assert all(len(set(times[groups == kind])) == 1 for kind in kinds)
        drawn = [times[groups == kind][0] for kind in kinds]
        assert sum(drawn) == len(kinds)
        assert len(items) == drawn @ sizes


def test_same_seed_same_draws_and_another_seed_others():
    def first(seed: int) -> list[list[int]]:
        return [items.tolist() for items in resamples(np.arange(9), 3, seed)]

    assert first(1) == first(1)
    assert first(1) != first(2)
    assert first(1)[0] != first(1)[1]


def test_interval_of_a_constant_and_of_a_mean():
    groups = np.arange(400)
    assert bootstrap_interval(lambda _: 0.7, groups, 20, 0) == (0.7, 0.7, 20)
    values = np.random.default_rng(0).normal(size=400)
    found = bootstrap_interval(lambda items: values[items].mean(), groups, 2000, 0)
    error = values.std() / 20
    assert found.low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert found.high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)
    narrow = bootstrap_interval(lambda items: values[items].mean(), groups, 2000, 0, level=0.5)
    assert found.low < narrow.low < narrow.high < found.high


def test_copies_of_a_case_do_not_make_the_interval_narrower():
    values = np.random.default_rng(1).normal(size=30)
    once = bootstrap_interval(lambda items: values[items].mean(), np.arange(30), 200, 3)
    copied, groups = np.repeat(values, 4), np.repeat(np.arange(30), 4)
    four = bootstrap_interval(lambda items: copied[items].mean(), groups, 200, 3)
    assert four == pytest.approx(once)


def test_ends_are_those_of_the_binomial_that_resampling_makes():
    positive = np.arange(50) < 20
    for level in (0.5, 0.95):
        found = bootstrap_interval(lambda i: positive[i].sum(), np.arange(50), 4000, 0, level)
        ends = stats.binom.interval(level, 50, 0.4)
        assert (found.low, found.high) == pytest.approx(ends, abs=1)


def test_resamples_without_a_score_are_dropped_and_counted():
    positive = np.array([True, False, False])

    def share(items: np.ndarray) -> float:
        return float(np.mean(positive[items])) if positive[items].any() else math.nan

    found = bootstrap_interval(share, np.arange(3), 2000, 0)
    assert found.resamples_used == pytest.approx(2000 * (1 - (2 / 3) ** 3), abs=100)
    assert found.low == pytest.approx(1 / 3)
    never = bootstrap_interval(lambda _: math.nan, np.arange(3), 10, 0)
    assert math.isnan(never.low)
    assert math.isnan(never.high)
    assert never.resamples_used == 0
    nothing = paired_difference(lambda _: math.nan, share, np.arange(3), 10, 0)
    assert math.isnan(nothing.p)
    assert nothing.resamples_used == 0


def test_equal_models_do_not_differ():
    values = np.random.default_rng(0).normal(size=20)

    def mean(items: np.ndarray) -> float:
        return float(values[items].mean())

    assert paired_difference(mean, mean, np.arange(20), 50, 0) == (0, 0, 0, 1, 50)


def test_a_difference_that_is_always_there():
    """Paired: the scores vary by 1, their difference not at all."""
    values = np.random.default_rng(0).normal(size=20)

    def better(items: np.ndarray) -> float:
        return float(values[items].mean() + 0.01)

    def worse(items: np.ndarray) -> float:
        return float(values[items].mean())

    found = paired_difference(better, worse, np.arange(20), 99, 0)
    assert found[:3] == pytest.approx((0.01, 0.01, 0.01))
    assert found.p == 2 / 100
    turned = paired_difference(worse, better, np.arange(20), 99, 0)
    assert turned[:4] == pytest.approx((-0.01, -0.01, -0.01, 2 / 100))


def test_p_counts_the_resamples_on_the_other_side():
    values = np.random.default_rng(4).normal(0.2, 1, size=40)
    found = paired_difference(lambda i: values[i].mean(), lambda _: 0.0, np.arange(40), 500, 7)
    scores = [values[items].mean() for items in resamples(np.arange(40), 500, 7)]
    fewer = min(sum(s <= 0 for s in scores), sum(s >= 0 for s in scores))
    assert 0 < fewer < 250
    assert found.p == pytest.approx(2 * (fewer + 1) / 501)
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(scores, [0.025, 0.975])))


def test_holm_by_hand():
    found = holm(np.array([0.01, 0.04, 0.03, 0.005]))
    np.testing.assert_allclose(found, [0.03, 0.06, 0.06, 0.02])
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


@settings(max_examples=50)
@given(st.integers(1, 200), st.floats(0, 1), st.sampled_from([0.5, 0.95]))
def test_wilson_agrees_with_scipy(items: int, share: float, level: float):
    hits = round(share * items)
    low, high = wilson(np.array([float(hits)]), np.array([items]), level)
    other = stats.binomtest(hits, items).proportion_ci(level, method="wilson")
    assert (low[0], high[0]) == pytest.approx((other.low, other.high), abs=1e-12)


def test_wilson_of_nothing_and_of_all():
    low, high = wilson(np.array([0.0, 4.0]), np.array([4, 4]))
    z = 1.959963984540054
    assert (low[0], high[1]) == (0, 1)
    assert high[0] == pytest.approx(z**2 / (4 + z**2))
    assert low[1] == pytest.approx(4 / (4 + z**2))
