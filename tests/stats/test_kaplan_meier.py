"""Curves and their comparison against fractions, plain loops and other programs."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hipt.stats.kaplan_meier import kaplan_meier
from tests.stats.survival_reference import random_cases, table

TIME = np.array([1, 2, 2, 3, 5, 5, 5, 8.0])
EVENT = np.array([1, 1, 0, 0, 1, 1, 0, 0], bool)


def test_a_curve_by_hand():
    curve = kaplan_meier(TIME, EVENT)
    assert curve.counts.time.tolist() == [1, 2, 3, 5, 8]
    assert curve.counts.at_risk.tolist() == [8, 7, 5, 4, 1]
    assert curve.counts.events.tolist() == [1, 1, 0, 2, 0]
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


@settings(max_examples=50)
@given(st.integers(0, 10**6), st.integers(1, 40))
def test_curve_and_interval_as_a_loop(seed: int, n: int):
    time, event, _ = random_cases(seed, n)
    curve = kaplan_meier(time, event)
    assert curve.counts.time.tolist() == sorted(set(time.tolist()))
    survival, greenwood = 1.0, 0.0
    for i, at in enumerate(curve.counts.time):
        left, died = int(sum(time >= at)), int(sum((time == at) & event))
        assert (curve.counts.at_risk[i], curve.counts.events[i]) == (left, died)
        assert curve.counts.censored[i] == sum((time == at) & ~event)
        survival *= 1 - died / left
        assert curve.survival[i] == pytest.approx(survival, abs=1e-12)
        if left == died:
            assert np.isnan([curve.lower[i], curve.upper[i]]).all()
            continue
        greenwood += died / (left * (left - died))
        margin = 1.959963984540054 * math.sqrt(greenwood) / -math.log(survival or 1) if died else 0
        if survival == 1:
            assert curve.lower[i] == curve.upper[i] == 1
        elif died:
            ends = survival ** math.exp(margin), survival ** math.exp(-margin)
            assert (curve.lower[i], curve.upper[i]) == pytest.approx(ends, abs=1e-9)


def test_an_event_on_the_first_day_is_possible():
    curve = kaplan_meier(np.array([0, 1.0]), np.ones(2, bool))
    assert (curve.counts.time.tolist(), curve.survival.tolist()) == ([0, 1], [0.5, 0])


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


@pytest.mark.real
def test_curve_of_whas500(shared_dir: Path):
    data = table(shared_dir, "surv_whas500.csv")
    reference = table(shared_dir, "surv_whas500_km_reference.csv")
    curve = kaplan_meier(data["lenfol"].to_numpy(), data["fstat"].to_numpy() == 1)
    assert curve.counts.time.tolist() == reference["time"].tolist()
    np.testing.assert_allclose(curve.survival, reference["km_survival"], atol=1e-14)
