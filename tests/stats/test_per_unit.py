"""Units once, and their errors, against plain loops and Harrell's pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hipt.stats.evaluation import Classified, Followed
from hipt.stats.per_unit import each_once, misordered, most_misordered, most_wrong
from hipt.stats.survival import harrell_c
from tests.stats.survival_reference import random_cases


def test_a_unit_of_several_folds_counts_once_with_its_mean():
    unit = np.array(["b", "a", "c", "a"])
    p = np.array([[0.1, 0.9], [0.8, 0.2], [0.5, 0.5], [0.4, 0.6]])
    first, times, result = each_once(Classified(np.array([1, 0, 1, 0]), p), unit)
    assert first.tolist() == [1, 0, 2]
    assert times.tolist() == [2, 1, 1]
    assert result.y.tolist() == [0, 1, 1]
    np.testing.assert_allclose(result.p, [[0.6, 0.4], [0.1, 0.9], [0.5, 0.5]])


def test_a_risk_is_the_mean_of_its_folds():
    time, event = np.array([3.0, 1.0, 3.0]), np.array([True, False, True])
    result = Followed(time, event, np.array([0.2, 0.9, 0.6]), (time[:2], event[:2]))
    _, times, once = each_once(result, np.array(["x", "y", "x"]))
    assert once.time.tolist() == [3, 1]
    assert once.event.tolist() == [True, False]
    assert once.risk == pytest.approx([0.4, 0.9])
    assert times.tolist() == [2, 1]


def test_the_most_probable_wrong_class_is_first():
    p = np.array([[0.9, 0.1, 0], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8], [0.6, 0.4, 0], [0.5, 0.5, 0]])
    y = np.array([1, 0, 2, 1, 1])
    assert most_wrong(Classified(y, p), 9).tolist() == [0, 3, 1, 4]
    assert most_wrong(Classified(y, p), 2).tolist() == [0, 3]
    assert most_wrong(Classified(p.argmax(1), p), 9).tolist() == []


def plainly(time: np.ndarray, event: np.ndarray, risk: np.ndarray) -> np.ndarray:
    """Pairs and wrong pairs of each unit, as event and as the one that outlived another."""
    counts = np.zeros((4, len(time)))
    for i in np.flatnonzero(event):
        for j in range(len(time)):
            if time[i] < time[j] or (time[i] == time[j] and not event[j]):
                wrong = 0.5 if risk[i] == risk[j] else float(risk[i] < risk[j])
                counts[:, [i]] += [[1], [wrong], [0], [0]]
                counts[:, [j]] += [[0], [0], [1], [wrong]]
    return counts


@settings(max_examples=50)
@given(st.integers(0, 10**6), st.integers(2, 40))
def test_pairs_are_those_of_a_plain_loop_and_of_harrell(seed: int, n: int):
    time, event, risk = random_cases(seed, n)
    pairs = misordered(time, event, risk)
    np.testing.assert_array_equal(pairs, plainly(time, event, risk))
    result = harrell_c(time, event, risk)
    wrong = result.discordant + result.tied_risk / 2
    assert pairs.outlived_wrong.sum() == pairs.survived_wrong.sum() == wrong
    assert pairs.outlived.sum() == result.concordant + result.discordant + result.tied_risk


def test_the_worst_are_on_the_wrong_side_of_most_pairs():
    """The first to die has the lowest risk, and the last to be followed the highest."""
    time, event = np.array([1, 2, 3, 4, 5, 9.0]), np.array([1, 1, 1, 1, 1, 0], bool)
    risk = np.array([0.0, 5, 4, 3, 2, 9])
    pairs = misordered(time, event, risk)
    assert pairs.outlived_wrong.tolist() == [5, 1, 1, 1, 1, 0]
    early = most_misordered(pairs.outlived_wrong, pairs.outlived, 3)
    assert early.tolist() == [0]  # of the fifth the only pair is wrong: too few
    late = pairs.survived_wrong, pairs.survived
    assert most_misordered(*late, 3).tolist() == [5]
    assert most_misordered(*late, 0).tolist() == []
    right = misordered(time, event, -time)
    assert most_misordered(right.outlived_wrong, right.outlived, 3).tolist() == []
    assert most_misordered(right.survived_wrong, right.survived, 3).tolist() == []
