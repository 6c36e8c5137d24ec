"""Why no p value is put beside curves of cross-validated risk groups."""

from __future__ import annotations

import numpy as np

from hipt.stats.evaluation import Followed
from tests.stats.null_cohorts import Setting, log_rank_p, shuffled

SHUFFLES = 250


def test_the_log_rank_test_of_groups_by_cross_validation_finds_what_is_not_there():
    """If this should ever hold 5 %, the page may show a p value again."""
    setting = Setting(cases=60, width=3, folds=5, events=0.6, ridges=(1.0,))
    p = np.array([log_rank_p(one) for one, _ in shuffled(setting, SHUFFLES, 0)])
    error = (0.05 * 0.95 / SHUFFLES) ** 0.5
    assert np.mean(p < 0.05) > 0.05 + 2 * error


def test_groups_that_no_model_made_hold_the_level():
    """The same cut by numbers that no fold learnt: the test itself is sound."""
    rng, p, cohorts = np.random.default_rng(1), [], 600
    for _ in range(cohorts):
        time, event = rng.exponential(size=80), rng.random(80) < 0.6
        p.append(log_rank_p(Followed(time, event, rng.random(80), (time, event))))
    error = (0.05 * 0.95 / cohorts) ** 0.5
    assert abs(np.mean(np.array(p) < 0.05) - 0.05) < 2.5 * error
