"""Dealing groups to folds, against every possible deal and against the greedy one."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hipt.tasks.folds import balance
from hipt.tasks.folds.balance import UNASSIGNED, deal, deal_greedily, deviation


def best_of_all(counts: np.ndarray, fixed: np.ndarray, folds: int) -> float:
    """The least deviation of all deals without an empty fold."""
    found = []
    for deal_ in itertools.product(range(folds), repeat=len(counts)):
        fold = np.array(deal_)
        held = (fixed == UNASSIGNED) | (fixed == fold)
        if held.all() and len(set(deal_)) == folds:
            found.append(deviation(counts, fold, folds))
    return min(found)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3)).filter(any), min_size=4, max_size=7),
    st.integers(2, 3),
    st.booleans(),
)
def test_no_deal_is_better(groups: list[tuple[int, int]], folds: int, some_fixed: bool):
    counts = np.array(groups)
    fixed = np.full(len(counts), UNASSIGNED)
    if some_fixed:
        fixed[:2] = [1, 0]
    dealt = deal(counts, fixed, folds)
    assert dealt.how == "optimal"
    assert deviation(counts, dealt.fold, folds) == pytest.approx(best_of_all(counts, fixed, folds))
    for fold in (dealt.fold, deal_greedily(counts, fixed, folds)):
        assert set(fold.tolist()) == set(range(folds))
        assert (fold == fixed)[fixed != UNASSIGNED].all()


def cohort(seed: int) -> np.ndarray:
    """As TCGA: few large sites of forty, many small ones, three classes of which one is rare."""
    rng = np.random.default_rng(seed)
    sizes = np.maximum(1, 130 * 0.9 ** np.arange(40) * rng.uniform(0.6, 1.4, 40)).astype(int)
    return np.stack([rng.multinomial(n, rng.dirichlet([6, 3, 1])) for n in sizes])


def test_forty_sites_take_seconds_beat_greedy_and_come_out_alike():
    counts, fixed = cohort(0), np.full(40, UNASSIGNED)
    start = time.process_time()
    dealt = deal(counts, fixed, 5)
    assert time.process_time() - start < 60  # 2 s on an idle core
    assert dealt.how == "optimal"
    greedy = deviation(counts, deal_greedily(counts, fixed, 5), 5)
    assert deviation(counts, dealt.fold, 5) < 0.6 * greedy
    assert dealt.fold.tolist() == deal(counts, fixed, 5).fold.tolist()


@pytest.mark.parametrize("seed", range(3))
def test_ten_folds_are_never_worse_than_greedy(seed: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(balance, "NODE_BUDGET", balance.NODE_BUDGET // 100)
    counts, fixed = cohort(seed), np.full(40, UNASSIGNED)
    greedy = deal_greedily(counts, fixed, 10)
    assert deviation(counts, deal(counts, fixed, 10).fold, 10) <= deviation(counts, greedy, 10)


def test_moves_and_exchanges_leave_nothing_to_gain_and_no_fold_empty():
    counts, fixed = cohort(3), np.full(40, UNASSIGNED)
    start = np.arange(40) % 10
    fold = balance._improved(counts, start, fixed, 10)
    held = balance._fold_counts(counts, fold, 10)
    assert deviation(counts, fold, 10) < deviation(counts, start, 10) / 2
    assert balance._move_deltas(counts, fold, held).min() >= 0
    assert balance._swap_deltas(counts, fold, held).min() >= 0


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_the_gain_of_a_change_is_what_it_changes(seed: int):
    rng = np.random.default_rng(seed)
    counts, fold = rng.integers(0, 9, (7, 2)) + 1, np.array([0, 1, 2, *rng.integers(0, 3, 4)])
    held = balance._fold_counts(counts, fold, 3)

    def cost(fold: np.ndarray) -> int:
        return int(balance._cost(balance._fold_counts(counts, fold, 3), counts.sum(0), 3).sum())

    one, two = rng.choice(7, 2, replace=False)
    moved, swapped = fold.copy(), fold.copy()
    moved[one] = two % 3
    swapped[[one, two]] = fold[[two, one]]
    assert balance._move_deltas(counts, fold, held)[one, two % 3] == cost(moved) - cost(fold)
    assert balance._swap_deltas(counts, fold, held)[one, two] == cost(swapped) - cost(fold)


def test_one_large_group_does_not_leave_other_folds_empty():
    counts = np.array([[100], *[[1]] * 8])  # all other folds are short by the same sum, however
    dealt = deal(counts, np.full(9, UNASSIGNED), 5)
    assert sorted(np.bincount(dealt.fold)) == [1, 2, 2, 2, 2]
    greedy = deal_greedily(counts, np.full(9, UNASSIGNED), 5)
    assert sorted(np.bincount(greedy)) == [1, 2, 2, 2, 2]


def test_what_is_fixed_is_made_up_for():
    counts = np.array([[3], [1], [1], [1]])
    assert deal(counts, np.array([1, UNASSIGNED, UNASSIGNED, UNASSIGNED]), 2).fold.tolist() == [
        1,
        0,
        0,
        0,
    ]
    done = deal(counts, np.array([1, 0, 0, 1]), 2)
    assert (done.fold.tolist(), done.how) == ([1, 0, 0, 1], "optimal")


@settings(max_examples=100)
@given(st.integers(0, 10**6), st.integers(2, 5), st.booleans())
def test_greedy_leaves_no_fold_empty(seed: int, folds: int, some_fixed: bool):
    rng = np.random.default_rng(seed)
    counts = rng.geometric(0.2, (folds + 2, 3)) * (rng.random((folds + 2, 3)) < 0.4)
    counts[:, 0] += ~counts.any(1)  # no group is empty
    fixed = np.full(len(counts), UNASSIGNED)
    if some_fixed:
        fixed[:2] = 0
    assert set(deal_greedily(counts, fixed, folds).tolist()) == set(range(folds))


@pytest.mark.parametrize(("limit", "how"), [("NODE_BUDGET", "bounded"), ("SECONDS", "greedy")])
def test_what_a_stopped_solver_leaves_is_said(
    limit: str, how: str, monkeypatch: pytest.MonkeyPatch
):
    counts, fixed = cohort(1), np.full(40, UNASSIGNED)
    monkeypatch.setattr(balance, limit, 0)
    dealt = deal(counts, fixed, 10)
    greedy = deal_greedily(counts, fixed, 10)
    assert dealt.how == how
    assert deviation(counts, dealt.fold, 10) <= deviation(counts, greedy, 10)
    if how == "greedy":
        assert dealt.fold.tolist() == greedy.tolist()


def test_too_few_groups_are_refused():
    with pytest.raises(ValueError, match="1 groups cannot fill 2 empty folds"):
        deal(np.ones((3, 1), np.int64), np.array([0, 0, UNASSIGNED]), 3)


def test_deviation_counts_too_many_and_too_few():
    assert deviation(np.array([[3, 0], [1, 2]]), np.array([0, 1]), 2) == 1 + 1 + 1 + 1


def test_groups_that_are_alike_are_compared_once(monkeypatch: pytest.MonkeyPatch):
    """Cases without a site are groups of their own, thousands of them."""
    compared = []
    plain = balance._swap_deltas

    def counted(counts: np.ndarray, *where: np.ndarray) -> np.ndarray:
        compared.append(len(counts))
        return plain(counts, *where)

    monkeypatch.setattr(balance, "_swap_deltas", counted)
    counts = np.vstack([np.eye(2, dtype=int)[np.arange(3000) % 2], [[7, 40], [90, 3]]])
    fixed = np.full(len(counts), UNASSIGNED)
    fold = deal_greedily(counts, fixed, 4)
    assert deviation(counts, fold, 4) == deviation(counts, deal(counts, fixed, 4).fold, 4)
    assert compared
    assert max(compared) <= 4 * 2 + 2


def test_numbers_of_a_solver_that_failed_are_no_solution(monkeypatch: pytest.MonkeyPatch):
    counts, fixed = cohort(1), np.full(40, UNASSIGNED)
    plain = balance._solution

    def failed(*args: np.ndarray) -> object:
        result = plain(*args)
        result.status, result.x = 4, np.zeros_like(result.x)  # no group is in any fold
        return result

    monkeypatch.setattr(balance, "_solution", failed)
    assignment = deal(counts, fixed, 10)
    assert assignment.how == "greedy"
    assert assignment.fold.tolist() == deal_greedily(counts, fixed, 10).tolist()
