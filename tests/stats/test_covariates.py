"""Covariates as numbers, decided by the training part alone."""

from __future__ import annotations

import numpy as np
import pytest

from hipt.stats.covariates import coded

ROWS = [
    ("50", "ii"),
    ("", "i"),
    ("70", ""),
    ("90", "iii"),
    ("1e3", "iv"),
    ("", ""),
]


def test_numbers_words_and_gaps():
    result = coded(ROWS, np.arange(4))
    expected = [
        # age, its gap; ii, iii, the gap of the stage
        [50, 0, 1, 0, 0],
        [70, 1, 0, 0, 0],
        [70, 0, 0, 0, 1],
        [90, 0, 0, 1, 0],
        [1000, 0, 0, 0, 0],  # a stage that training does not know is as its first one
        [70, 1, 0, 0, 1],
    ]
    np.testing.assert_array_equal(result, expected)


def test_units_outside_the_training_part_change_nothing_of_others():
    other = [*ROWS[:4], ("-5", "i"), ("3", "0")]
    np.testing.assert_array_equal(coded(other, np.arange(4))[:4], coded(ROWS, np.arange(4))[:4])


def test_a_gap_that_training_does_not_have_is_the_mean():
    assert coded([("1",), ("3",), ("",)], np.arange(2)).tolist() == [[1], [3], [2]]


@pytest.mark.parametrize("word", ["x", "1_0", "nan", "inf"])
def test_one_word_makes_a_column_of_words(word: str):
    result = coded([("1",), ("2",), (word,)], np.arange(3))
    assert result.sum(0).tolist() == [1, 1]
    assert set(result.ravel().tolist()) == {0, 1}


def test_what_training_does_not_know_at_all_says_nothing():
    assert coded([("",), ("",), ("7",)], np.arange(2)).tolist() == [[0, 1], [0, 1], [7, 0]]
