"""What features know without training: nearest neighbours vote on a class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

from hipt.stats.arrays import Floats, Ints, unit_rows

CHUNK = 1024
"""Queries that are compared with all keys at once."""

PAIRS = 4_000_000
"""Distances that `knn_shares` holds at once, however many keys there are."""

Distance = Literal["euclidean", "cosine"]

Features = npt.NDArray[np.floating[Any]]  # [N, D]


def standardised(features: Features) -> npt.NDArray[np.float32]:
    """Every column with mean 0 and standard deviation 1; a constant column becomes 0.

    Without it the cosine of features with a common offset, such as mean colours, tells little.
    """
    values = np.asarray(features, np.float64)
    centred = values - values.mean(0)
    spread = centred.std(0)
    constant = spread <= 1e-9 * np.abs(values).max(0, initial=0)
    scaled = np.where(constant, 0, centred / np.where(constant, 1, spread))
    return np.asarray(scaled, np.float32)


def knn_predict(
    queries: Features,
    keys: Features,
    labels: Ints,
    k: int,
    exclude: tuple[Ints, Ints] | None = None,
) -> Ints:
    """The class of each query: its nearest keys vote, each with its cosine similarity.

    Of equally near keys the first ones vote; of classes with equal votes the smallest wins. A key
    that is not similar at all (cosine 0 or less) has no vote; where none has one, the nearest key
    decides.

    Args:
        queries: [Q, D].
        keys: [N, D].
        labels: (N,) class of each key.
        k: how many keys vote, fewer where there are not so many.
        exclude: (Q,) group of each query and (N,) of each key; a key of the query's own group
            never votes.

    Raises:
        ValueError: if a query has no key outside its group.
    """
    classes, kinds = np.unique(labels, return_inverse=True)
    query, known = (unit_rows(np.asarray(side, np.float32)) for side in (queries, keys))
    answer = np.zeros(len(query), np.int64)
    for rows in _chunks(len(query)):
        similarity = query[rows] @ known.T  # (q, N)
        if exclude is not None:
            similarity[exclude[0][rows, None] == exclude[1][None, :]] = -np.inf
        nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
        weights = np.take_along_axis(similarity, nearest, axis=1)  # (q, k)
        if np.isneginf(weights[:, 0]).any():
            raise ValueError("a query has no key outside its own group")
        votes = _votes(kinds[nearest], np.maximum(weights, 0), len(classes))
        winner = np.where(votes.any(1), votes.argmax(1), kinds[nearest[:, 0]])
        answer[rows] = classes[winner]
    return answer


def knn_shares(
    queries: Features, keys: Features, labels: Ints, k: int, classes: int, distance: Distance
) -> Floats:
    """[Q, C] share of each query's k nearest keys that is of each class: n / k.

    Every key has one vote, however near it is. Of equally near keys the first ones vote.

    Args:
        queries: [Q, D].
        keys: [N, D].
        labels: (N,) class of each key, from 0 to C - 1.
        k: how many keys vote.
        classes: C.
        distance: `euclidean`, or `cosine`, for which the length of a vector says nothing.

    Raises:
        ValueError: if there are fewer keys than k.
    """
    if len(keys) < k:
        raise ValueError(f"{k} neighbours are asked for, but there are {len(keys)} keys")
    query, known = (np.asarray(side, np.float64) for side in (queries, keys))
    if distance == "cosine":  # of vectors of length 1 it is half the squared Euclidean distance
        query, known = (unit_rows(side) for side in (query, known))
    shares = np.zeros((len(query), classes))
    for rows in _chunks(len(query), max(1, PAIRS // len(keys))):
        nearest = _nearest(query[rows], known, k)
        shares[rows] = _votes(labels[nearest], np.ones(nearest.shape), classes) / k
    return shares


def _nearest(query_vectors: Floats, known: Floats, k: int) -> Ints:
    """[q, k] the nearest keys of each query, of equally near ones the first; in any order.

    By one matrix product, whose rounding is bounded; distances that it cannot tell apart are
    computed again, one by one.
    """
    squares = np.einsum("ij,ij->i", known, known)
    apart = squares - 2 * (
        query_vectors @ known.T
    )  # (q, N) squared distance, less that of the query to 0
    nearest = np.argpartition(apart, k - 1, axis=1)[:, :k]
    farthest = np.take_along_axis(apart, nearest, axis=1).max(1)
    longest = np.einsum("ij,ij->i", query_vectors, query_vectors) + squares.max()
    rounding = 8 * (known.shape[1] + 2) * np.finfo(float).eps * longest
    near = apart <= (farthest + rounding)[:, None]
    for query in np.flatnonzero(near.sum(1) > k):
        undecided = np.flatnonzero(near[query])
        exact = cdist(query_vectors[query : query + 1], known[undecided], "sqeuclidean")[0]
        nearest[query] = undecided[np.argsort(exact, kind="stable")[:k]]
    return nearest


def drawn_evenly(groups: Ints, most: int, seed: int) -> Ints:
    """Indices, rising, of at most so many items: every group gives as many, or all that it has."""
    shuffled = np.random.default_rng(seed).permutation(len(groups))
    by_group = shuffled[np.argsort(groups[shuffled], kind="stable")]
    _, starts, sizes = np.unique(groups[by_group], return_index=True, return_counts=True)
    turn = np.arange(len(groups)) - np.repeat(starts, sizes)  # (N,) rank inside its group
    return np.sort(by_group[np.argsort(turn, kind="stable")[:most]])


def _chunks(queries: int, most: int = CHUNK) -> Iterator[slice]:
    """Rows that are worked on at once."""
    return (slice(start, start + most) for start in range(0, queries, most))


def _votes(kinds: Ints, weights: Features, classes: int) -> Floats:
    """[q, C] summed weights of the votes for each class; kinds and weights are [q, k]."""
    votes = np.zeros((len(kinds), classes))
    np.add.at(votes, (np.arange(len(kinds))[:, None], kinds), weights)
    return votes
