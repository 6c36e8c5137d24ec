"""Weighted scores against the plain ones on the drawn items, and against the plain bootstrap."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hipt.stats import bootstrap
from hipt.stats.bootstrap import bootstrap_balanced_accuracy, bootstrap_scores, case_weights
from hipt.stats.evaluation import Classified, Followed, Predicted, horizons, scores
from hipt.stats.intervals import difference, interval

RNG = np.random.default_rng(1)
N = 40
GROUPS = RNG.integers(25, size=N)


def classified(classes: int) -> Classified:
    y = RNG.integers(classes, size=N)
    p = RNG.dirichlet(np.ones(classes), N) + np.eye(classes)[y] / 4
    return Classified(y, np.round(p / p.sum(1, keepdims=True), 1))  # rounded: many are equal


def followed() -> Followed:
    time, event = RNG.integers(1, 15, N).astype(float), RNG.random(N) < 0.6
    event[time.argmax()] = True
    risk = np.round(RNG.normal(size=N) - time / 9, 1)
    return Followed(time, event, risk, (time, event))


CASES = [classified(2), classified(3), classified(5), followed(), followed()]


def plainly(groups: np.ndarray, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """The drawn items themselves: all of as many cases as there are, with replacement."""
    members = [np.flatnonzero(groups == case) for case in np.unique(groups)]
    rng = np.random.default_rng(seed)
    for _ in range(resamples):
        cases = rng.integers(len(members), size=len(members))
        yield np.concatenate([members[case] for case in cases])


@settings(max_examples=30)
@given(st.lists(st.integers(3, 9), min_size=1, max_size=20), st.integers(0, 99))
def test_cases_stay_together_and_as_many_are_drawn(cases: list[int], seed: int):
    groups = np.array(cases)
    kinds = np.unique(groups)
    (weights,) = case_weights(groups, 5, seed)
    for times in weights:
        assert all(len(set(times[groups == kind])) == 1 for kind in kinds)
        assert sum(times[groups == kind][0] for kind in kinds) == len(kinds)


def test_same_seed_same_draws_and_another_seed_others():
    first, again, other = (next(case_weights(np.arange(9), 3, seed)) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()
    assert (first[0] != first[1]).any()


@pytest.mark.parametrize("found", CASES)
def test_weights_give_the_scores_of_the_drawn_items(
    found: Predicted, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(bootstrap, "CHUNK", 7)
    fast = bootstrap_scores(found, GROUPS, 60, 3)
    for k, items in enumerate(plainly(GROUPS, 60, 3)):
        slow = scores(found.take(items))
        for metric, value in slow.items():
            assert fast[metric][k] == pytest.approx(value, abs=1e-12, nan_ok=True), metric


@pytest.mark.parametrize("found", CASES[:3])
def test_balanced_accuracies_of_several_models_are_in_the_same_resamples(found: Classified):
    hits = np.array([found.y == found.p.argmax(1), RNG.random(N) < 0.5], np.float64)
    drawn = bootstrap_balanced_accuracy(found.y, np.array([*hits, hits.mean(0)]), GROUPS, 60, 3)
    expected = bootstrap_scores(found, GROUPS, 60, 3)["balanced_accuracy"]
    np.testing.assert_array_equal(drawn[0], expected)
    np.testing.assert_allclose(drawn[2], drawn[:2].mean(0))  # of shares of hits it is the mean
    assert (drawn[0] != drawn[1]).any()


def test_parts_do_not_change_the_draws(monkeypatch: pytest.MonkeyPatch):
    whole = np.concatenate(list(case_weights(GROUPS, 20, 5)))
    monkeypatch.setattr(bootstrap, "CHUNK", 3)
    assert (np.concatenate(list(case_weights(GROUPS, 20, 5))) == whole).all()
    assert whole.shape == (20, N)


def test_many_items_are_weighted_in_few_resamples_at_once(monkeypatch: pytest.MonkeyPatch):
    whole = np.concatenate(list(case_weights(GROUPS, 20, 5)))
    monkeypatch.setattr(bootstrap, "HELD", 6 * N)
    parts = list(case_weights(GROUPS, 20, 5))
    assert [len(part) for part in parts] == [6, 6, 6, 2]
    assert (np.concatenate(parts) == whole).all()


def test_what_cannot_be_computed_is_no_number():
    y = np.array([0, 0, 0, 1])
    found = bootstrap_scores(Classified(y, np.eye(2)[y]), np.arange(4), 50, 0)
    single = np.isnan(found["auc"])
    assert 0 < single.sum() < 50
    assert (found["auc"][~single] == 1).all()
    assert (single == np.isnan(found["kappa"])).all()
    assert (found["accuracy"] == 1).all()
    time, event = np.array([1.0, 2.0]), np.zeros(2, bool)
    nothing = bootstrap_scores(Followed(time, event, time, (time, event)), np.arange(2), 5, 0)
    assert all(np.isnan(values).all() for values in nothing.values())


@pytest.mark.parametrize("found", CASES)
def test_intervals_and_differences_are_those_of_the_plain_bootstrap(found: Predicted):
    main = next(iter(scores(found)))
    if isinstance(found, Followed):
        other: Predicted = found._replace(risk=RNG.normal(size=N))
    else:
        other = found._replace(p=RNG.permutation(found.p))
    fast = [bootstrap_scores(of, GROUPS, 50, 2)[main] for of in (found, other)]
    drawn = list(plainly(GROUPS, 50, 2))
    slow = [np.array([scores(of.take(rows))[main] for rows in drawn]) for of in (found, other)]
    assert interval(fast[0]) == pytest.approx(interval(slow[0]))
    assert difference(*fast) == pytest.approx(difference(*slow))


def test_horizons_at_one_time_count_once_in_scores_and_resamples():
    time, event = np.array([3.0, 3, 3, 5, 7, 9]), np.array([1, 1, 1, 1, 0, 0], bool)
    found = Followed(time, event, np.array([4.0, 2, 1, 3, 5, 0]), (time, event))
    assert horizons(found).tolist() == [3, 3.5]
    once = bootstrap._dynamic_auc(found, np.ones((1, 6)))
    assert once[0] == pytest.approx(scores(found)["dynamic_auc"], abs=1e-12)
