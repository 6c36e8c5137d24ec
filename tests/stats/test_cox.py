"""Cox models against closed forms, the likelihood written as a loop, and R's numbers."""

from __future__ import annotations

import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from hipt.stats import cox
from hipt.stats.cox import cox_log_likelihood, cox_ridge
from tests.stats.survival_reference import expected, random_cases, table


def loop_likelihood(risk: np.ndarray, time: np.ndarray, event: np.ndarray) -> float:
    """Time by time; of d events at one time the l-th has l / d of their hazard taken off."""
    total = 0.0
    for t in set(time[event].tolist()):
        died = [math.exp(r) for r, s, e in zip(risk, time, event, strict=True) if e and s == t]
        at_risk = sum(math.exp(r) for r, s in zip(risk, time, strict=True) if s >= t)
        for passed, hazard in enumerate(died):
            gone = passed / len(died) * sum(died)
            total += math.log(hazard) - math.log(at_risk - gone)
    return total


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 30))
def test_likelihood_as_a_loop(seed: int, n: int):
    time, event, _ = random_cases(seed, n)
    features = np.random.default_rng(seed).normal(size=(n, 3))
    b = np.array([0.5, -1, 2])
    result = cox_log_likelihood(features, time, event, b)
    assert result == pytest.approx(loop_likelihood(features @ b, time, event), rel=1e-12)
    assert cox_log_likelihood(features + 7, time, event, b) == pytest.approx(result)


def test_likelihood_by_hand():
    """Risks all equal: 4 see 4 at risk, then 2 die of 3, the second (Efron) sees 2."""
    time, event = np.array([1, 2, 2, 3.0]), np.array([1, 1, 1, 0], bool)
    none = (np.ones((4, 1)), time, event, np.zeros(1))
    assert cox_log_likelihood(*none) == pytest.approx(-math.log(4 * 3 * 2))
    assert cox_log_likelihood(np.ones((4, 1)), time, ~event & (time > 9), np.zeros(1)) == 0


def test_likelihood_of_huge_risks_is_finite():
    time, event = np.array([1, 2, 3.0]), np.ones(3, bool)
    features = np.array([[-2000.0], [0], [2000]])
    assert cox_log_likelihood(features, time, event, np.ones(1)) == pytest.approx(-6000)


def test_coefficient_in_closed_form():
    """Three cases, solved on paper.

    Times 1, 2, 3 with x = 1, 0, 1: likelihood e^b / (2 e^b + 1) * 1 / (1 + e^b); its slope is 0
    where 2 e^(2b) = 1.
    """
    features, time = np.array([[1.0], [0], [1]]), np.array([1, 2, 3.0])
    result = cox_ridge(features, time, np.ones(3, bool), 0)
    assert result == pytest.approx([-math.log(2) / 2], rel=1e-10)


def test_coefficient_with_ties_in_closed_form():
    """Two die at 1, x = 1 and 0, of three at risk, the third with x = 0; with w = e^b.

    Likelihood w / ((w + 2) (w / 2 + 3 / 2)), highest where w^2 = 6.
    """
    case = (np.array([[1.0], [0], [0]]), np.array([1, 1, 2.0]), np.array([1, 1, 0], bool))
    assert cox_ridge(*case, 0) == pytest.approx([math.log(6) / 2], rel=1e-10)


@pytest.mark.parametrize("ridge", [0, 0.3, 50])
def test_the_maximum_is_the_one_that_scipy_finds(ridge: float):
    time, event, _ = random_cases(1, 60)
    features = np.random.default_rng(1).normal(size=(60, 4)) * [1, 1, 3, 0.2]

    def loss(b: np.ndarray) -> float:
        return ridge / 2 * b @ b - loop_likelihood(features @ b, time, event)

    other = minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-5})
    result = cox_ridge(features, time, event, ridge)
    np.testing.assert_allclose(result, other.x, atol=1e-4)
    assert loss(result) <= other.fun + 1e-12


def test_more_features_than_cases():
    """Adding zeros changes nothing, and no coefficient points where no case does."""
    rng = np.random.default_rng(0)
    time, event, _ = random_cases(0, 25)
    few = rng.normal(size=(25, 6))
    turn = np.linalg.qr(rng.normal(size=(80, 6)))[0]  # [80, 6] orthonormal columns
    wide = cox_ridge(few @ turn.T, time, event, 0.7)
    np.testing.assert_allclose(wide, turn @ cox_ridge(few, time, event, 0.7), atol=1e-9)
    features = rng.normal(size=(25, 300))
    result = cox_ridge(features, time, event, 2)
    risk = features @ result
    step = 1e-6 * rng.normal(size=300)
    up, down = (
        cox_log_likelihood(features, time, event, b) - b @ b for b in (result + step, result - step)
    )
    assert abs(up - down) / np.linalg.norm(step) < 1e-4
    assert np.isfinite(risk).all()


def test_a_ridge_shrinks_and_a_constant_or_doubled_feature_is_harmless():
    time, event, _ = random_cases(5, 50)
    x = np.random.default_rng(5).normal(size=(50, 1))
    sizes = [abs(cox_ridge(x, time, event, ridge)[0]) for ridge in (0, 1, 10, 1e6)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 1e-3
    alone = cox_ridge(x, time, event, 0)[0]
    assert cox_ridge(np.hstack([x, np.full((50, 1), 3.3)]), time, event, 0) == pytest.approx(
        [alone, 0], abs=1e-9
    )
    assert cox_ridge(np.hstack([x, x]), time, event, 0) == pytest.approx([alone / 2] * 2)
    assert cox_ridge(x * 1e6 + 1e7, time, event, 0) == pytest.approx([alone / 1e6], rel=1e-6)


def test_a_far_start_is_reached_by_halving():
    """One outlying case makes a full Newton step overshoot."""
    time, event = np.arange(1.0, 41), np.ones(40, bool)
    features = np.random.default_rng(2).normal(size=(40, 1))
    features[20] = 300.0
    result = cox_ridge(features, time, event, 0)
    value = cox_log_likelihood(features, time, event, result)
    for other in (result * 0.99, result * 1.01, np.zeros(1)):
        assert cox_log_likelihood(features, time, event, other) < value


@pytest.mark.parametrize("ridge", [1e-6, 0.1, 10])
def test_any_ridge_gives_features_that_order_all_events_a_maximum(ridge: float):
    """The slope of what is maximised, along any direction, is 0 there."""
    rng = np.random.default_rng(0)
    time, event, _ = random_cases(0, 60)
    features = rng.normal(size=(60, 90))
    result = cox_ridge(features, time, event, ridge)

    def objective(b: np.ndarray) -> float:
        return cox_log_likelihood(features, time, event, b) - ridge / 2 * float(b @ b)

    for step in rng.normal(size=(5, 90)):
        small = step * 1e-4 / np.linalg.norm(features @ step)
        slope = (objective(result + small) - objective(result - small)) / 2e-4
        assert slope == pytest.approx(0, abs=1e-6)


def test_no_event_no_effect_and_perfect_order_no_maximum():
    time, features = np.arange(1.0, 9), np.arange(8.0)[:, None]
    assert cox_ridge(features, time, np.zeros(8, bool), 1).tolist() == [0]
    with pytest.raises(ValueError, match="no maximum"):
        cox_ridge(features, time, np.ones(8, bool), 0)
    assert cox_ridge(features, time, np.ones(8, bool), 1e-6)[0] < -5
    with pytest.raises(ValueError, match="0 or more"):
        cox_ridge(features, time, np.ones(8, bool), -1)


@pytest.mark.real
def test_rossi_as_r(shared_dir: Path):
    data, reference = table(shared_dir, "surv_rossi.csv"), expected(shared_dir, "rossi")
    names = list(reference["coxph_efron_coef"])
    case = (data[names].to_numpy(float), data["week"].to_numpy(), data["arrest"].to_numpy() == 1)
    result = cox_ridge(*case, 0)
    np.testing.assert_allclose(result, list(reference["coxph_efron_coef"].values()), atol=1e-8)
    value = cox_log_likelihood(*case, result)
    printed = reference["coxph_efron_negative_log_partial_likelihood"]
    assert -value == pytest.approx(printed, abs=1e-4)
    gained = 2 * (value - cox_log_likelihood(*case, np.zeros(7)))
    assert gained == pytest.approx(reference["coxph_efron_likelihood_ratio_statistic"], abs=0.01)


@pytest.mark.parametrize("block", [1, 3, 1000])
def test_blocks_do_not_change_the_maximum(block: int, monkeypatch: pytest.MonkeyPatch):
    time, event, _ = random_cases(4, 150)
    features = np.random.default_rng(4).normal(size=(150, 3))
    result = cox_ridge(features, time, event, 1.0)
    monkeypatch.setattr(cox, "BLOCK", block)
    assert cox_ridge(features, time, event, 1.0) == pytest.approx(result, abs=1e-12)


def held(cases: int) -> int:
    """Bytes that a fit holds at most."""
    rng = np.random.default_rng(cases)
    features, time = rng.normal(size=(cases, 4)), rng.exponential(size=cases) + 0.1
    tracemalloc.start()
    cox_ridge(features, time, rng.random(cases) < 0.5, 1.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_grows_with_the_cases_and_not_with_their_pairs():
    held(100)
    assert held(4000) < 5 * held(1000)
