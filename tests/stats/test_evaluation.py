"""Scores of a task in and over folds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hipt.stats.bootstrap import bootstrap_scores
from hipt.stats.evaluation import (
    METRICS,
    Classified,
    Followed,
    fold_ranks,
    horizons,
    metrics_of,
    over_folds,
    pooled,
    scores,
)
from hipt.stats.survival import cumulative_dynamic_auc, harrell_c, uno_c

RNG = np.random.default_rng(0)


def followed(time, event, risk) -> Followed:
    time, event = np.array(time, float), np.array(event, bool)
    return Followed(time, event, np.array(risk, float), (time, event))


def test_perfect_classes():
    y = np.array([0, 1, 2, 1])
    assert scores(Classified(y, np.eye(3)[y])) == {
        "auc": 1,
        "balanced_accuracy": 1,
        "kappa": 1,
        "brier": 0,
        "accuracy": 1,
    }


def test_classes_by_hand():
    p = np.array([0.2, 0.6, 0.4, 0.9])
    result = scores(Classified(np.array([0, 0, 1, 1]), np.stack([1 - p, p], 1)))
    assert result == pytest.approx(
        {
            "auc": 3 / 4,
            "balanced_accuracy": 0.5,
            "kappa": 0,
            "brier": (0.04 + 0.36 + 0.36 + 0.01) / 4,
            "accuracy": 0.5,
        }
    )


def test_survival_by_hand():
    perfect = followed([1, 2, 3, 4], [1, 1, 0, 1], [4, 3, 2, 1])
    assert scores(perfect) == dict.fromkeys(METRICS["survival"], 1)
    assert scores(perfect._replace(risk=-perfect.risk)) == dict.fromkeys(METRICS["survival"], 0)
    assert all(math.isnan(v) for v in scores(followed([1, 2], [0, 0], [1, 2])).values())


def test_uno_takes_censoring_from_everyone_and_stops_before_their_last_time():
    time, event = RNG.exponential(size=60), RNG.random(60) < 0.5
    event[time.argmax()] = True
    whole = Followed(time, event, RNG.normal(size=60), (time, event))
    part = whole.take(np.arange(60) < 30)
    value = uno_c(time, event, time[:30], event[:30], whole.risk[:30], tau=time.max())
    assert scores(part)["uno_c"] == value
    assert scores(part)["c_index"] == harrell_c(time[:30], event[:30], whole.risk[:30]).value


def test_dynamic_auc_is_the_mean_over_three_times():
    time, event = RNG.exponential(size=60), RNG.random(60) < 0.7
    event[time.argmax()] = True
    whole = Followed(time, event, RNG.normal(size=60) - time, (time, event))
    part = whole.take(np.arange(60) < 40)
    at = np.quantile(time[event], [0.25, 0.5, 0.75])
    assert horizons(whole) == pytest.approx(at)
    expected = cumulative_dynamic_auc(time, event, part.time, part.event, part.risk, at)
    assert scores(part)["dynamic_auc"] == pytest.approx(expected.mean())
    assert math.isnan(scores(part.take(part.time < at[2]))["dynamic_auc"])
    assert math.isnan(scores(part.take(part.time > at[0]))["dynamic_auc"])


def test_uno_is_known_where_the_last_cases_are_censored_with_an_event():
    result = followed([1, 2, 2, 3, 3], [1, 1, 0, 1, 0], [5, 4, 3, 2, 1])
    assert scores(result)["uno_c"] == 1


def test_metrics_are_named_in_order():
    y = np.array([0, 1])
    for kind, result in (
        ("classification", Classified(y, np.eye(2)[y])),
        ("survival", followed([1, 2], [1, 1], [1, 2])),
    ):
        assert tuple(scores(result)) == METRICS[kind] == metrics_of(result)


def test_ranks_are_those_of_the_fold_and_equal_ones_share_one():
    risk = np.array([10, 0.3, 30, 0.1, 20, 0.1])
    fold = np.array([0, 1, 0, 1, 0, 1])
    ranks = [1 / 6, 5 / 6, 5 / 6, 2 / 6, 3 / 6, 2 / 6]
    assert fold_ranks(risk, fold) == pytest.approx(ranks)


def test_pooling_undoes_a_scale_of_each_fold():
    time, fold = RNG.permutation(80) + 1.0, np.repeat([0, 1], 40)
    result = followed(time, np.ones(80), -time)
    shifted = result._replace(risk=np.where(fold == 0, -time, 1000 - time / 9))
    assert scores(shifted)["c_index"] < 0.8
    assert scores(pooled(shifted, fold)) == scores(pooled(result, fold))
    assert scores(pooled(shifted, fold))["c_index"] > 0.9
    one = np.zeros(80, int)
    assert scores(pooled(result, one)) == scores(result)


def test_pooling_leaves_probabilities():
    result = Classified(np.array([0, 1]), np.eye(2))
    assert pooled(result, np.array([0, 1])) is result


def test_a_unit_in_two_folds_is_not_compared_with_itself():
    twice = followed([1, 1, 2, 2], [1, 1, 1, 1], [9, 8, 1, 2])
    assert scores(twice)["c_index"] == 1


def test_mean_and_deviation_over_folds_leave_out_what_is_no_number():
    result = over_folds([{"auc": 0.5}, {"auc": math.nan}, {"auc": 0.9}])
    assert result == pytest.approx({"auc_mean": 0.7, "auc_sd": 0.2 * math.sqrt(2)})
    alone = over_folds([{"auc": 0.5}])
    assert alone["auc_mean"] == 0.5
    assert math.isnan(alone["auc_sd"])
    assert math.isnan(over_folds([{"auc": math.nan}])["auc_mean"])
    assert over_folds([]) == {}


def test_the_brier_score_alone_is_of_calibrated_probabilities():
    y = np.array([0, 0, 0, 1])
    p = np.array([[0.6, 0.4], [0.3, 0.7], [0.8, 0.2], [0.2, 0.8]])
    calibrated = np.array([[0.9, 0.1], [0.7, 0.3], [0.95, 0.05], [0.6, 0.4]])
    raw, result = scores(Classified(y, p)), scores(Classified(y, p, calibrated))
    assert result["brier"] == pytest.approx((0.1**2 + 0.3**2 + 0.05**2 + 0.6**2) / 4)
    assert result["brier"] != raw["brier"]
    assert {**result, "brier": 0} == {**raw, "brier": 0}
    drawn = bootstrap_scores(Classified(y, p, calibrated), np.arange(4), 50, 0)
    assert np.nanmean(drawn["brier"]) < np.nanmean(
        bootstrap_scores(Classified(y, p), np.arange(4), 50, 0)["brier"]
    )
    some = np.array([3, 0])
    np.testing.assert_array_equal(
        Classified(y, p, calibrated).take(some).calibrated, calibrated[some]
    )
