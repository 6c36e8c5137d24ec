"""Weighted scores against the plain ones on the drawn items, and against the plain bootstrap."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hipt.stats import bootstrap
from hipt.stats.bootstrap import bootstrap_scores, case_weights, difference, interval
from hipt.stats.evaluation import Classified, Followed, Found, scores
from hipt.stats.intervals import bootstrap_interval, paired_difference, resamples

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


@pytest.mark.parametrize("found", CASES)
def test_weights_give_the_scores_of_the_drawn_items(found: Found, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bootstrap, "CHUNK", 7)
    fast = bootstrap_scores(found, GROUPS, 60, 3)
    for k, items in enumerate(resamples(GROUPS, 60, 3)):
        slow = scores(found.take(items))
        for metric, value in slow.items():
            assert fast[metric][k] == pytest.approx(value, abs=1e-12, nan_ok=True), metric


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


def test_what_cannot_be_told_is_no_number():
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
def test_intervals_and_differences_are_those_of_the_plain_bootstrap(found: Found):
    main = next(iter(scores(found)))
    if isinstance(found, Followed):
        other: Found = found._replace(risk=RNG.normal(size=N))
    else:
        other = found._replace(p=RNG.permutation(found.p))

    def plain(of: Found):
        return lambda items: scores(of.take(items))[main]

    one, two = (bootstrap_scores(of, GROUPS, 50, 2)[main] for of in (found, other))
    assert interval(one) == pytest.approx(bootstrap_interval(plain(found), GROUPS, 50, 2))
    value = scores(found)[main] - scores(other)[main]
    wanted = paired_difference(plain(found), plain(other), GROUPS, 50, 2)
    assert difference(value, one, two) == pytest.approx(wanted)


def test_nothing_known_has_no_interval_and_no_p():
    nothing = np.full(5, np.nan)
    low, high, used = interval(nothing)
    assert math.isnan(low) and math.isnan(high) and used == 0  # noqa: PT018
    assert math.isnan(difference(0.1, nothing, nothing).p)
