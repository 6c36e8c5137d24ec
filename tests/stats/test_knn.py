"""Nearest neighbours against a plain loop, and against what can be said without one."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hipt.stats import knn
from hipt.stats.knn import (
    Distance,
    drawn_evenly,
    knn_predict,
    knn_shares,
    standardised,
)


def by_loop(features: np.ndarray, labels: np.ndarray, cases: np.ndarray, k: int) -> list[int]:
    unit = [row / np.linalg.norm(row) for row in features.astype(float)]
    result = []
    for i, query in enumerate(unit):
        others = [j for j in range(len(unit)) if cases[j] != cases[i]]
        others.sort(key=lambda j: -float(query @ unit[j]))
        votes: Counter[int] = Counter()
        for j in others[:k]:
            votes[int(labels[j])] += max(0.0, float(query @ unit[j]))
        best = max(votes.values())
        first = int(labels[others[0]])
        result.append(min(c for c in votes if votes[c] == best) if best > 0 else first)
    return result


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 12))
def test_as_a_plain_loop(seed: int, k: int):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(40, 5))
    labels, cases = rng.integers(3, 7, 40), np.arange(40) % rng.integers(2, 6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(knn, "CHUNK", 7)
        result = knn_predict(features, features, labels, k, (cases, cases))
    assert result.tolist() == by_loop(features, labels, cases, k)


def test_a_query_is_its_own_nearest_key_unless_its_group_is_left_out():
    angles, labels = np.radians([0, 10, 30, 60]), np.array([5, 6, 7, 8])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert knn_predict(features, features, labels, 1).tolist() == [5, 6, 7, 8]
    groups = np.arange(4)
    result = knn_predict(features, features, labels, 1, (groups, groups))
    assert result.tolist() == [6, 5, 6, 7]


def test_nearer_keys_outvote_more_keys():
    keys = np.array([[1, 0], [1, 3], [1, 3.0]])
    query = np.array([[1, 0.0]])
    assert knn_predict(query, keys, np.array([1, 2, 2]), 3).tolist() == [1]  # 1 > 2 * 0.32
    keys = np.array([[1, 0], [1, 1], [1, 1.0]])
    assert knn_predict(query, keys, np.array([1, 2, 2]), 3).tolist() == [2]  # 1 < 2 * 0.71


def test_equal_votes_go_to_the_smallest_class_and_no_votes_to_the_nearest():
    query, keys = np.array([[1, 0.0]]), np.array([[1, 1], [1, 1.0]])
    assert knn_predict(query, keys, np.array([9, 4]), 2).tolist() == [4]
    assert knn_predict(query, keys, np.array([9, 4]), 1).tolist() == [9]  # the first of two
    away = np.array([[-1, 1], [-1, 0.0]])
    assert knn_predict(query, away, np.array([9, 4]), 2).tolist() == [9]


def test_somebody_has_to_vote():
    one = np.zeros(3, np.int64)
    with pytest.raises(ValueError, match="no key outside its own group"):
        knn_predict(np.eye(3), np.eye(3), one, 1, (one, one))


def shares_by_loop(
    queries: np.ndarray, keys: np.ndarray, labels: np.ndarray, k: int, cosine: bool
) -> list[list[float]]:
    def apart(one: np.ndarray, other: np.ndarray) -> float:
        if cosine:
            return 1 - sum(one * other) / math.sqrt(sum(one * one) * sum(other * other))
        return math.sqrt(sum((a - b) ** 2 for a, b in zip(one, other, strict=True)))

    result = []
    for query in queries:
        order = sorted(range(len(keys)), key=lambda j: (apart(query, keys[j]), j))
        votes = [int(labels[j]) for j in order[:k]]
        result.append([votes.count(kind) / k for kind in range(4)])
    return result


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 12), cosine=st.booleans())
def test_shares_as_a_plain_loop(seed: int, k: int, cosine: bool):
    rng = np.random.default_rng(seed)
    queries, keys = rng.normal(size=(20, 5)), rng.normal(size=(30, 5)).astype(np.float32)
    labels = rng.integers(0, 4, 30)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(knn, "CHUNK", 7)
        result = knn_shares(queries, keys, labels, k, 4, "cosine" if cosine else "euclidean")
    assert result.tolist() == shares_by_loop(queries, keys.astype(float), labels, k, cosine)


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), distance=st.sampled_from(["euclidean", "cosine"]))
def test_shares_ignore_the_order_of_keys_and_a_common_scale(seed: int, distance: Distance):
    rng = np.random.default_rng(seed)
    queries, keys = rng.normal(size=(10, 4)), rng.normal(size=(25, 4))
    labels, order = rng.integers(0, 3, 25), rng.permutation(25)
    result = knn_shares(queries, keys, labels, 5, 3, distance)
    assert (
        result.tolist()
        == knn_shares(7 * queries, 7 * keys[order], labels[order], 5, 3, distance).tolist()
    )
    assert result.sum(1) == pytest.approx(1)
    assert set(result.ravel().tolist()) <= {n / 5 for n in range(6)}


def test_of_equally_near_keys_the_first_ones_vote():
    keys = np.array([[3, 0], [0, 1], [0, -1], [1, 0], [-1, 0.0]])
    labels = np.array([0, 1, 2, 2, 1])
    shares = [knn_shares(np.zeros((1, 2)), keys, labels, k, 3, "euclidean")[0] for k in (1, 2, 3)]
    assert [one.tolist() for one in shares] == [[0, 1, 0], [0, 0.5, 0.5], [0, 1 / 3, 2 / 3]]


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6])
def test_distances_that_a_product_cannot_tell_apart_are_computed_one_by_one(offset: float):
    """Far from 0, products of vectors round by more than their distances differ."""
    rng = np.random.default_rng(5)
    keys = offset + rng.integers(0, 9, (60, 4)) / 8  # exact, with many ties
    queries, labels = keys[::3] + 1 / 16, np.arange(60)
    result = knn_shares(queries, keys, labels, 3, 60, "euclidean")
    for query, shares in zip(queries, result, strict=True):
        apart = ((keys - query) ** 2).sum(1)
        expected = np.argsort(apart, kind="stable")[:3]
        assert np.flatnonzero(shares).tolist() == sorted(expected.tolist())


def test_equal_vectors_are_equally_near_wherever_they_stand():
    rng = np.random.default_rng(3)
    one, queries = rng.normal(size=192), rng.normal(size=(50, 192))
    keys, labels = np.tile(one, (40, 1)), np.arange(40)
    result = knn_shares(queries, keys, labels, 5, 40, "euclidean")
    assert (result[:, :5] == 0.2).all()


def test_a_vectors_length_counts_for_one_distance_and_not_for_the_other():
    keys, labels = np.array([[10, 1], [1, 1.0]]), np.array([0, 1])
    query = np.array([[1, 0.0]])
    assert knn_shares(query, keys, labels, 1, 2, "euclidean").tolist() == [[0, 1]]
    assert knn_shares(query, keys, labels, 1, 2, "cosine").tolist() == [[1, 0]]


def test_no_query_and_too_few_keys():
    keys, labels = np.eye(3), np.zeros(3, np.int64)
    assert knn_shares(np.zeros((0, 3)), keys, labels, 3, 2, "cosine").shape == (0, 2)
    with pytest.raises(ValueError, match="4 neighbours are asked for, but there are 3 keys"):
        knn_shares(keys, keys, labels, 4, 2, "euclidean")


def test_standardised_knows_no_offset_scale_or_constant_column():
    values = np.random.default_rng(0).normal(size=(50, 3))
    values[:, 2] = 0.1
    result = standardised(values)
    np.testing.assert_allclose(result.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(result.std(0), [1, 1, 0], atol=1e-6)
    np.testing.assert_allclose(standardised(values * [3, 9, 7] + 100), result, atol=1e-5)


@settings(max_examples=50)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=6), st.integers(1, 80), st.integers(0, 9))
def test_groups_give_as_many_as_the_others_or_all_that_they_have(
    sizes: list[int], most: int, seed: int
):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    drawn = drawn_evenly(groups, most, seed)
    assert len(drawn) == min(most, len(groups))
    assert (np.diff(drawn) > 0).all()
    given = np.bincount(groups[drawn], minlength=len(sizes))
    largest = given.max(initial=0)
    assert all(n == size or n >= largest - 1 for n, size in zip(given, sizes, strict=True))
    assert drawn.tolist() == drawn_evenly(groups, most, seed).tolist()


def test_another_seed_draws_others():
    groups = np.zeros(1000, np.int64)
    assert drawn_evenly(groups, 10, 0).tolist() != drawn_evenly(groups, 10, 1).tolist()


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(2, 30), st.sampled_from(["euclidean", "cosine"]))
def test_of_equally_near_keys_the_first_vote_however_few_are_compared_at_once(
    seed: int, n: int, distance: Distance
):
    rng = np.random.default_rng(seed)
    keys, queries = (rng.integers(-1, 2, (size, 2)).astype(float) for size in (n, 7))
    labels, k = rng.integers(3, size=n), int(rng.integers(1, n + 1))
    whole = knn_shares(queries, keys, labels, k, 3, distance)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(knn, "PAIRS", 2 * n)
        assert (knn_shares(queries, keys, labels, k, 3, distance) == whole).all()
    if distance == "euclidean":
        for query, shares in zip(queries, whole, strict=True):
            first = np.argsort(((keys - query) ** 2).sum(1), kind="stable")[:k]
            assert (shares == np.bincount(labels[first], minlength=3) / k).all()
