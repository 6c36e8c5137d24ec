"""Nearest neighbours in other groups, and what is asked about."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hipt.stats.neighbours import evenly, nearest_by_rank, nearest_elsewhere, queries


@given(st.integers(0, 300), st.integers(1, 80))
def test_evenly_gives_as_many_as_there_are_and_no_place_twice(length: int, most: int):
    places = evenly(length, most)
    assert len(places) == min(length, most)
    assert len(set(places.tolist())) == len(places)
    assert ((places >= 0) & (places < length)).all()


@given(st.lists(st.integers(1, 9), min_size=1, max_size=20), st.integers(1, 8))
def test_queries_are_of_different_owners(sizes: list[int], most: int):
    owner = np.repeat(np.arange(len(sizes)), sizes)
    chosen = queries(owner, most)
    assert len(chosen) == len(set(owner[chosen].tolist())) == min(most, len(sizes))


def test_queries_go_from_early_to_late():
    assert (queries(np.repeat(np.arange(3), 30), 3) - np.array([0, 30, 60])).tolist() == [5, 15, 25]


@given(st.integers(0, 2**32 - 1))
def test_nearest_are_those_of_a_plain_search(seed: int):
    rng = np.random.default_rng(seed)
    vectors, groups = rng.normal(size=(30, 4)), rng.integers(0, 3, 30)
    (result,) = nearest_elsewhere(np.array([7]), vectors, groups, 5)
    cosine = {
        i: vectors[i] @ vectors[7] / np.linalg.norm(vectors[i]) / np.linalg.norm(vectors[7])
        for i in range(30)
        if groups[i] != groups[7]
    }
    assert [i for i, _ in result] == sorted(cosine, key=lambda i: -cosine[i])[:5]
    np.testing.assert_allclose([c for _, c in result], [cosine[i] for i, _ in result], atol=1e-5)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 2)), max_size=40),
    st.integers(0, 12),
)
def test_by_rank_is_a_sort_by_rank_then_likeness(items: list[tuple[int, int]], most: int):
    similarity = np.array([alike for alike, _ in items], np.float32)
    rank = np.array([kind for _, kind in items], np.int64)
    order = sorted(range(len(items)), key=lambda i: (rank[i], -similarity[i]))
    wanted = [i for i in order if rank[i] >= 0][:most]
    assert nearest_by_rank(similarity, rank, most).tolist() == wanted
