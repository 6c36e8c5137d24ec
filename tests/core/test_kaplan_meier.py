"""Curves and their comparison against fractions, plain loops and other programs."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hipt.core.kaplan_meier import censoring_survival, kaplan_meier, log_rank
from tests.core.survival_reference import expected, random_cases, table

TIME = np.array([1, 2, 2, 3, 5, 5, 5, 8.0])
EVENT = np.array([1, 1, 0, 0, 1, 1, 0, 0], bool)


def test_a_curve_by_hand():
    curve = kaplan_meier(TIME, EVENT)
    assert curve.time.tolist() == [1, 2, 3, 5, 8]
    assert curve.at_risk.tolist() == [8, 7, 5, 4, 1]
    assert curve.events.tolist() == [1, 1, 0, 2, 0]
    by_hand = [Fraction(7, 8), Fraction(3, 4), Fraction(3, 4), Fraction(3, 8), Fraction(3, 8)]
    np.testing.assert_allclose(curve.survival, [float(s) for s in by_hand], rtol=1e-15)


def test_the_interval_by_hand():
    curve = kaplan_meier(TIME, EVENT)
    variance = 1 / (8 * 7) + 1 / (7 * 6) + 2 / (4 * 2)  # Greenwood at 5 months
    margin = 1.959963984540054 * math.sqrt(variance) / abs(math.log(3 / 8))
    assert curve.lower[3] == pytest.approx((3 / 8) ** math.exp(margin), rel=1e-12)
    assert curve.upper[3] == pytest.approx((3 / 8) ** math.exp(-margin), rel=1e-12)
    assert curve.lower[4] == curve.lower[3]


def test_all_censored_stay_and_all_events_go():
    stay = kaplan_meier(TIME, np.zeros(8, bool))
    for values in (stay.survival, stay.lower, stay.upper):
        assert values.tolist() == [1] * 5
    go = kaplan_meier(np.arange(1.0, 6), np.ones(5, bool))
    np.testing.assert_allclose(go.survival, [0.8, 0.6, 0.4, 0.2, 0], atol=1e-15)
    assert np.isnan([go.lower[-1], go.upper[-1]]).all()
    assert np.isfinite([go.lower[:-1], go.upper[:-1]]).all()


@pytest.mark.filterwarnings("ignore:The confidence interval is undefined")
@settings(deadline=None, max_examples=50, derandomize=True)
@given(st.integers(0, 10**6), st.integers(2, 40))
def test_curve_and_interval_agree_with_scipy(seed: int, n: int):
    time, event, _ = random_cases(seed, n)
    data = stats.CensoredData.right_censored(time, ~event)
    other = stats.ecdf(data).sf
    curve = kaplan_meier(time, event)
    np.testing.assert_allclose(curve.survival, other.evaluate(curve.time), atol=1e-12)
    inside = (curve.survival > 0) & (curve.survival < 1)
    with np.errstate(all="ignore"):  # SciPy divides by 0 at the ends
        low, high = other.confidence_interval(0.95, method="log-log")
    for mine, theirs in ((curve.lower, low), (curve.upper, high)):
        found = theirs.evaluate(curve.time[inside])
        np.testing.assert_allclose(mine[inside], found, atol=1e-9)


def test_censoring_comes_after_an_event_at_the_same_time():
    """At 2 months one of 6 left is censored, at 3 one of 5, at 5 one of 2, at 8 the last."""
    at = np.array([0.5, 1, 2, 2.5, 3, 5, 7.9, 8, 99])
    by_hand = [1, 1, 5 / 6, 5 / 6, 2 / 3, 1 / 3, 1 / 3, 0, 0]
    np.testing.assert_allclose(censoring_survival(TIME, EVENT, at), by_hand, atol=1e-15)


def test_nothing_is_known_after_the_last_case():
    time, event = np.array([1, 2.0]), np.array([False, True])
    assert censoring_survival(time, event, np.array([2.0])).tolist() == [0.5]
    with pytest.raises(ValueError, match="after 2 months"):
        censoring_survival(time, event, np.array([2.5]))


def test_an_event_on_the_first_day_is_possible():
    curve = kaplan_meier(np.array([0, 1.0]), np.ones(2, bool))
    assert (curve.time.tolist(), curve.survival.tolist()) == ([0, 1], [0.5, 0])


@pytest.mark.parametrize(
    ("time", "event", "message"),
    [
        ([1, -1], [1, 0], "negative"),
        ([1, np.nan], [1, 0], "not a number"),
        ([1, 2], [1], "times are"),
        ([], [], "times are"),
    ],
)
def test_impossible_times_are_refused(time: list[float], event: list[int], message: str):
    with pytest.raises(ValueError, match=message):
        kaplan_meier(np.array(time), np.array(event, bool))


def test_log_rank_by_hand():
    """Two groups of two; at 1: 1 of 2 against 2, at 2: 1 of 1 against 2, at 3: 1 of 2 of b."""
    time, event = np.array([1, 2, 3, 4.0]), np.array([1, 1, 1, 0], bool)
    found = log_rank(time, event, np.array(["a", "a", "b", "b"]))
    surplus = 2 - (Fraction(1, 2) + Fraction(1, 3))
    variance = Fraction(1, 4) + Fraction(2, 9)
    assert found.chi2 == pytest.approx(float(surplus**2 / variance), rel=1e-12)
    assert found.dof == 1
    assert found.p == pytest.approx(stats.chi2.sf(found.chi2, 1), rel=1e-12)


@settings(deadline=None, max_examples=50, derandomize=True)
@given(st.integers(0, 10**6), st.integers(4, 40))
def test_log_rank_agrees_with_scipy(seed: int, n: int):
    time, event, risk = random_cases(seed, n)
    first = np.argsort(np.argsort(risk)) % 2 == 0
    found = log_rank(time, event, first)
    x, y = (stats.CensoredData.right_censored(time[m], ~event[m]) for m in (first, ~first))
    if found.dof:
        other = stats.logrank(x, y)
        assert found.chi2 == pytest.approx(other.statistic**2, rel=1e-9, abs=1e-12)
        assert found.p == pytest.approx(other.pvalue, rel=1e-9)


def groups_by_loop(time: np.ndarray, event: np.ndarray, group: np.ndarray) -> tuple[float, int]:
    """Chi2 from all groups but the last, and their number."""
    kinds = sorted(set(group.tolist()))[:-1]
    surplus, variance = np.zeros(len(kinds)), np.zeros((len(kinds), len(kinds)))
    for t in sorted(set(time[event].tolist())):
        n, d = sum(time >= t), sum(event & (time == t))
        at_risk = [sum((time >= t) & (group == g)) for g in kinds]
        for i, g in enumerate(kinds):
            surplus[i] += sum(event & (time == t) & (group == g)) - d * at_risk[i] / n
            for j in range(len(kinds)):
                spread = d * (n - d) / (n - 1) if n > 1 else 0
                variance[i, j] += spread * at_risk[i] / n * ((i == j) - at_risk[j] / n)
    return float(surplus @ np.linalg.solve(variance, surplus)), len(kinds)


@pytest.mark.parametrize("seed", range(10))
def test_log_rank_of_several_groups_as_a_loop(seed: int):
    time, event, _ = random_cases(seed, 60)
    group = np.random.default_rng(seed).permutation(np.arange(60) % (2 + seed % 4))
    found = log_rank(time, event, group)
    chi2, dof = groups_by_loop(time, event, group)
    assert (found.chi2, found.dof) == (pytest.approx(chi2, rel=1e-9), dof)


def test_log_rank_without_a_comparison():
    for event, group in ((np.zeros(8, bool), np.arange(8) % 2), (EVENT, np.zeros(8))):
        found = log_rank(TIME, event, group)
        assert found.dof == 0
        assert math.isnan(found.chi2)
        assert math.isnan(found.p)


def test_a_group_that_left_before_the_first_event_takes_no_part():
    time = np.concatenate([TIME, [0.5, 0.7]])
    event = np.concatenate([EVENT, [False, False]])
    two = np.array([0, 1] * 4)
    found = log_rank(time, event, np.concatenate([two, [2, 2]]))
    assert found == pytest.approx(log_rank(TIME, EVENT, two))
    assert found.dof == 1


@pytest.mark.real
def test_curve_of_whas500(shared_dir: Path):
    data = table(shared_dir, "surv_whas500.csv")
    reference = table(shared_dir, "surv_whas500_km_reference.csv")
    curve = kaplan_meier(data["lenfol"].to_numpy(), data["fstat"].to_numpy() == 1)
    assert curve.time.tolist() == reference["time"].tolist()
    np.testing.assert_allclose(curve.survival, reference["km_survival"], atol=1e-14)


@pytest.mark.real
def test_log_rank_of_published_trials(shared_dir: Path):
    rossi = table(shared_dir, "surv_rossi.csv")
    found = log_rank(rossi["week"], rossi["arrest"] == 1, rossi["race"].to_numpy())
    reference = expected(shared_dir, "rossi")["logrank_by_race"]
    assert (found.chi2, found.p) == pytest.approx((reference["chisq"], reference["p"]), rel=1e-10)
    veteran = table(shared_dir, "surv_veteran.csv")
    died = (veteran["Status"] == "dead").to_numpy()
    cell = veteran["Celltype"].to_numpy(str)
    found = log_rank(veteran["Survival_in_days"].to_numpy(), died, cell)
    reference = expected(shared_dir, "veteran")["logrank_by_Celltype"]
    assert (found.chi2, found.p) == pytest.approx((reference["chisq"], reference["p"]), rel=1e-10)
    assert found.dof == 3
