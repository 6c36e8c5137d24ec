"""Standard errors of means over folds, which share training cases."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hipt.stats.fold_error import corrected_error, share_tested
from hipt.stats.linear import Scale


def test_the_formula():
    assert corrected_error(0.06, 10, 0.1) == pytest.approx(0.06 * math.sqrt(1 / 10 + 1 / 9))
    assert corrected_error(0.06, 10, 1e-12) == pytest.approx(0.06 / math.sqrt(10))
    assert corrected_error(0.06, 100, 0.1) > 0.06 / 3  # more folds do not help without end
    assert corrected_error(0.0, 5, 0.2) == 0


def test_of_a_single_fold_nothing_is_known():
    assert math.isnan(corrected_error(0.0, 1, 0.5))


@pytest.mark.parametrize("share", [0, 1, -0.1, math.nan])
def test_a_share_is_between_0_and_1(share: float):
    with pytest.raises(ValueError, match="between 0 and 1"):
        corrected_error(0.1, 5, share)


def test_unused_units_do_not_count():
    parts = np.array([[2, 0], [0, 2], [0, 0], [1, 1], [-1, 0]])
    assert share_tested(parts == 2, parts != -1) == pytest.approx((1 / 4 + 1 / 5) / 2)
    nobody = np.zeros((3, 2), bool)
    assert math.isnan(share_tested(nobody, nobody))


def test_it_is_about_the_true_spread_of_the_mean():
    """Means of ten random tenths, with a model refitted in each, over many cohorts."""
    rng, means, naive, corrected = np.random.default_rng(0), [], [], []
    for _ in range(400):
        x, y = rng.normal(size=(60, 5)), rng.normal(size=60)
        scores = []
        for _ in range(10):
            test = np.isin(np.arange(60), rng.choice(60, 6, replace=False))
            scale = Scale.of(x[~test])
            weights = np.linalg.lstsq(scale(x[~test]), y[~test], rcond=None)[0]
            scores.append(-np.mean((scale(x[test]) @ weights - y[test]) ** 2))
        means.append(np.mean(scores))
        naive.append(np.std(scores, ddof=1) / math.sqrt(10))
        corrected.append(corrected_error(float(np.std(scores, ddof=1)), 10, 0.1))
    truth = np.std(means)
    assert np.mean(naive) < 0.8 * truth
    assert 0.8 * truth < np.mean(corrected) < 1.5 * truth
