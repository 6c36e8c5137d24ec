"""What is said of scores that are missing agrees with which scores are missing."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hipt.stats.bootstrap import bootstrap_scores
from hipt.stats.evaluation import Classified, Followed, scores
from hipt.stats.sufficiency import missing_resamples, missing_scores


@settings(max_examples=200)
@given(st.integers(0, 10_000), st.integers(1, 7), st.integers(1, 4))
def test_every_missing_survival_score_has_a_reason_and_no_other_has(seed: int, n: int, last: int):
    rng = np.random.default_rng(seed)
    everyone = rng.integers(1, last + 1, size=n + 3).astype(float), rng.random(n + 3) < 0.5
    time, event = (column[:n] for column in everyone)
    predictions = Followed(time, event, rng.normal(size=n), everyone)
    missing = {name for name, value in scores(predictions).items() if np.isnan(value)}
    assert missing == missing_scores(predictions).keys()
    drawn = bootstrap_scores(predictions, np.arange(n), 20, 0)  # warnings are errors
    assert all(np.isnan(drawn[name]).all() for name in missing)


@settings(max_examples=100)
@given(st.integers(0, 10_000), st.integers(1, 7), st.integers(2, 4))
def test_every_missing_score_of_classes_has_a_reason(seed: int, n: int, classes: int):
    rng = np.random.default_rng(seed)
    y = rng.integers(classes, size=n)
    predictions = Classified(y, rng.dirichlet(np.ones(classes), n))
    missing = {name for name, value in scores(predictions).items() if np.isnan(value)}
    assert missing <= missing_scores(predictions).keys()
    drawn = bootstrap_scores(predictions, np.arange(n), 20, 0)
    assert all(np.isnan(drawn[name]).all() for name in missing)


def test_a_score_that_most_resamples_do_not_have():
    assert missing_resamples({"auc": 90, "kappa": 37}, 100) == {
        "kappa": "no interval: only 37 of 100 resamples have this score"
    }
