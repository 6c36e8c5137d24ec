"""The linear probe: nothing is learned from an item's own group; intervals can be trusted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import RidgeClassifier
from sklearn.preprocessing import StandardScaler

from hipt.stats import linear_probe
from hipt.stats.linear_probe import (
    FOLDS,
    MOST_DRAWS,
    STRENGTHS,
    folds_apart,
    judged,
    linear_hits,
    linear_predict,
    most_folds,
    possible_fractions,
    training_part,
)
from hipt.stats.metrics import balanced_accuracy


def separable(
    seed: int, items: int = 240, groups: int = 24, classes: int = 3, distance: float = 1.5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features with a class's mean apart, an offset per group, and noise."""
    rng = np.random.default_rng(seed)
    labels, group = rng.integers(classes, size=items), rng.integers(groups, size=items)
    offsets = rng.normal(size=(groups, 12))
    x = distance * np.eye(12)[labels] + 0.3 * offsets[group] + rng.normal(size=(items, 12))
    return x, labels, group


def lists(most: int) -> st.SearchStrategy[list[tuple[int, int]]]:
    """Class and group of items."""
    return st.lists(st.tuples(st.integers(0, 3), st.integers(0, 11)), min_size=1, max_size=most)


@settings(deadline=None, derandomize=True)
@given(lists(80), st.integers(0, 5))
def test_no_group_is_in_two_folds(items: list[tuple[int, int]], seed: int):
    labels, groups = np.array(items).T
    assume(most_folds(labels, groups) > 1)
    fold = folds_apart(labels, groups, seed)
    assert sorted(set(fold)) == list(range(fold.max() + 1))
    assert fold.max() < min(FOLDS, len(set(groups)))
    for group in set(groups):
        assert len(set(fold[groups == group])) == 1


def test_what_is_fitted_holds_neither_the_scored_group_nor_the_one_that_chooses(
    monkeypatch: pytest.MonkeyPatch,
):
    """Each item's first number is its own: the models of its group's folds never get to see it."""
    x, labels, groups = separable(0)
    x[:, 0] = np.arange(len(x))
    fold, kept = folds_apart(labels, groups, 0), np.arange(len(x)) % 3 > 0
    seen, real = [], linear_probe.RidgePath.fit
    monkeypatch.setattr(
        linear_probe.RidgePath,
        "fit",
        lambda features, *rest: seen.append(features[:, 0].astype(int)) or real(features, *rest),
    )
    linear_predict(x, labels, fold, kept)
    parts = [set(range(FOLDS)) - set(fold[rows]) for rows in seen]
    assert sorted(map(sorted, parts)) == sorted(
        [[f] for f in range(FOLDS)] + [[a, b] for a in range(FOLDS) for b in range(a + 1, FOLDS)]
    )
    assert all(kept[rows].all() for rows in seen)
    for rows, part in zip(seen, parts, strict=True):
        assert not set(groups[rows]) & set(groups[np.isin(fold, list(part))])


def test_it_is_scikit_learns_ridge_with_the_strength_that_does_best_on_inner_folds():
    x, labels, groups = separable(1, distance=0.7)
    fold, kept = folds_apart(labels, groups, 1), np.ones(len(x), bool)
    expected = np.zeros(len(x), int)

    def answers(train: np.ndarray, held: np.ndarray, strength: float) -> np.ndarray:
        scale = StandardScaler().fit(x[train])
        model = RidgeClassifier(alpha=strength * train.sum(), class_weight="balanced")
        return model.fit(scale.transform(x[train]), labels[train]).predict(scale.transform(x[held]))

    chosen = set()
    for out in range(FOLDS):
        others, scores = fold != out, []
        for strength in STRENGTHS:
            inner = np.zeros(len(x), int)
            for held in set(range(FOLDS)) - {out}:
                inner[fold == held] = answers(others & (fold != held), fold == held, strength)
            scores.append(balanced_accuracy(labels[others], inner[others]))
        best = max(s for s, score in zip(STRENGTHS, scores, strict=True) if score == max(scores))
        expected[fold == out] = answers(others, fold == out, best)
        chosen.add(best)
    assert len(chosen) > 1
    np.testing.assert_array_equal(linear_predict(x, labels, fold, kept), expected)


def test_labels_that_say_nothing_are_found_by_chance():
    scores = []
    for seed in range(20):
        x, labels, groups = separable(seed)
        shuffled = np.random.default_rng(seed).permutation(labels)
        hits = linear_hits(x, shuffled, groups, 1.0, seed)
        scores.append(judged([hits], shuffled, groups, 0)[0].balanced_accuracy)
    assert np.mean(scores) == pytest.approx(1 / 3, abs=3 * np.std(scores) / 20**0.5)
    assert np.std(scores) < 0.06


def test_what_only_a_groups_own_items_tell_is_not_found():
    """Features that name the group, labels that belong to it: learned by heart, of no use."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 15)
    x = 10 * np.eye(20)[groups] + 0.1 * rng.normal(size=(300, 20))
    labels = (groups % 2).astype(int)
    everybody = np.arange(300)
    assert linear_hits(x, labels, everybody, 1.0, 0).mean() == 1
    assert linear_hits(x, labels, groups, 1.0, 0).mean() < 0.6


def test_more_to_learn_from_finds_more():
    x, labels, groups = separable(0, items=900, distance=1.2)
    few, every = (linear_hits(x, labels, groups, f, 0) for f in (0.05, 1.0))
    assert 0.4 < few.mean() < every.mean() - 0.05
    assert set(np.round(few * MOST_DRAWS, 9)) <= set(range(MOST_DRAWS + 1))
    assert set(every) == {0, 0.5, 1}  # two draws of 900 items


def test_the_draw_of_folds_decides_less_where_items_are_few():
    """Of 100 items ten draws are averaged, each of which is one run of `linear_predict`."""
    x, labels, groups = separable(2, items=100, distance=0.8)
    scores = [linear_hits(x, labels, groups, 1.0, 50 * i).mean() for i in range(10)]
    single = []
    for seed in range(30):
        fold = folds_apart(labels, groups, seed)
        answers = linear_predict(x, labels, fold, np.ones(100, bool))
        single.append((answers == labels).mean())
    assert np.std(scores) < 0.6 * np.std(single)
    assert np.mean(scores) == pytest.approx(np.mean(single), abs=0.02)


def test_equal_seeds_give_equal_numbers():
    x, labels, groups = separable(3)
    first, again, other = (linear_hits(x, labels, groups, 0.3, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert judged([first, other], labels, groups, 4) == judged([first, other], labels, groups, 4)


def test_names_of_classes_and_groups_do_not_matter():
    x, labels, groups = separable(5)
    hits = linear_hits(x, labels, groups, 0.5, 0)
    np.testing.assert_array_equal(linear_hits(x, 10 * labels + 7, 3 * groups, 0.5, 0), hits)


@pytest.mark.parametrize("fraction", [0.1, 0.35, 1.0])
def test_a_training_part_has_its_share_of_every_fold_and_class(fraction: float):
    _, labels, groups = separable(0, items=1000, groups=15)
    fold = folds_apart(labels, groups, 0)
    kept = training_part(fold, labels, groups, fraction, 0)  # 15 groups: item by item
    assert kept.sum() == pytest.approx(1000 * fraction, abs=1)
    for f in range(FOLDS):
        for label in range(3):
            stratum = (fold == f) & (labels == label)
            assert kept[stratum].sum() == pytest.approx(fraction * stratum.sum(), abs=1)


def test_a_training_part_is_of_whole_groups_where_these_are_many():
    _, labels, groups = separable(0, items=3000, groups=200)
    fold = folds_apart(labels, groups, 0)
    kept = training_part(fold, labels, groups, 0.1, 0)
    assert len(set(groups[kept])) == 20
    assert not set(groups[kept]) & set(groups[~kept])
    assert set(fold[kept]) == set(range(FOLDS))


def test_two_groups_cannot_be_asked():
    x, labels, _ = separable(0)
    two = np.arange(len(x)) % 2
    assert possible_fractions(labels, two, (0.5, 1.0)) == []
    with pytest.raises(ValueError, match="needs 3 groups"):
        linear_hits(x, labels, two, 1.0, 0)
    assert possible_fractions(labels, two * 0, (1.0,)) == []


def test_a_part_of_too_few_items_is_not_asked():
    _, labels, groups = separable(0, items=240)
    assert possible_fractions(labels, groups, (0.1, 0.125, 1.0)) == [0.125, 1.0]


@settings(deadline=None, derandomize=True, max_examples=40)
@given(lists(40), st.sampled_from([0.2, 1.0]))
def test_what_can_be_asked_gets_an_answer(items: list[tuple[int, int]], fraction: float):
    labels, groups = np.array(items).T
    x = np.random.default_rng(0).normal(size=(len(items), 3))
    for possible in possible_fractions(labels, groups, [fraction]):
        hits = linear_hits(x, labels, groups, possible, 0)
        assert ((hits >= 0) & (hits <= 1)).all()


def correlated(rng: np.random.Generator, ahead: float) -> tuple[np.ndarray, ...]:
    """Two models' hits on 40 groups of 10 items, harder in some groups; the first is ahead."""
    groups = np.repeat(np.arange(40), 10)
    ease = 0.2 * rng.uniform(-1, 1, 40)[groups]
    hits = [rng.random(400) < 0.7 + share + ease for share in (ahead / 2, -ahead / 2)]
    return *np.float64(hits), rng.integers(2, size=400), groups


def test_intervals_cover_what_is_true_and_no_difference_is_found_where_there_is_none():
    rng, sims = np.random.default_rng(0), 300
    covered, found = np.zeros((2, sims)), np.zeros(sims)
    for i in range(sims):
        *hits, labels, groups = correlated(rng, 0)
        first, second = judged(hits, labels, groups, i)
        covered[0, i] = first.low <= 0.7 <= first.high
        covered[1, i] = second.difference_low <= 0 <= second.difference_high
        found[i] = second.p < 0.05
    error = (0.05 * 0.95 / sims) ** 0.5
    assert (np.abs(covered.mean(1) - 0.95) < 0.01 + 3 * error).all()
    assert abs(found.mean() - 0.05) < 0.01 + 3 * error


def test_who_is_ahead_is_told():
    *hits, labels, groups = correlated(np.random.default_rng(1), 0.15)
    first, second = judged(hits, labels, groups, 0)
    assert (first.difference, first.difference_low, first.p) == (0, 0, 1)
    assert second.difference == pytest.approx(first.balanced_accuracy - second.balanced_accuracy)
    assert second.difference_low > 0
    assert second.p < 0.01
    assert first.low < first.balanced_accuracy < first.high


def test_the_score_is_scikit_learns_balanced_accuracy():
    rng = np.random.default_rng(0)
    for classes in (2, 3, 7):
        labels, answers = rng.integers(classes, size=(2, 90))
        result = judged([np.float64(labels == answers)], labels, np.arange(90), 0)[0]
        assert result.balanced_accuracy == balanced_accuracy(labels, answers)


def test_a_class_of_few_groups_has_no_interval():
    hits, labels = np.ones(40), np.repeat([0, 1], 20)
    groups = np.concatenate([np.arange(20) % 4, 10 + np.arange(20)])
    first, second = judged([hits, hits * 0], labels, groups, 0)
    assert (first.balanced_accuracy, second.difference) == (1, 1)
    assert np.isnan([first.low, first.high, second.difference_low, second.p]).all()
