"""Which items are most like an item: by the cosine of their vectors, in other groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hipt.stats.arrays import Ints, unit_rows


def evenly(length: int, most: int) -> Ints:
    """At most so many of the places 0 to length - 1, evenly apart."""
    count = min(length, most)
    return np.asarray((np.arange(count) + 0.5) * length / max(count, 1), np.int64)


def queries(owner: Ints, most: int) -> Ints:
    """Items to ask about, each of another owner, from early to late among the owner's items.

    Args:
        owner: (N,) of each item, rising.
        most: most items.
    """
    _, starts, sizes = np.unique(owner, return_index=True, return_counts=True)
    chosen = evenly(len(starts), most)
    within = [evenly(int(sizes[group]), len(chosen)) for group in chosen]
    turns = [places[i * len(places) // len(chosen)] for i, places in enumerate(within)]
    return np.asarray(starts[chosen] + np.array(turns, np.int64), np.int64)


def nearest_elsewhere(
    chosen: Ints, vectors: npt.NDArray[np.floating[Any]], groups: Ints, most: int
) -> list[list[tuple[int, float]]]:
    """The items of other groups that are most like each query, with the cosine.

    Args:
        chosen: (Q,) places of the queries.
        vectors: (N, D).
        groups: (N,) an item of the query's own group is no neighbour.
        most: how many, fewer where there are not so many.
    """
    unit = unit_rows(np.asarray(vectors, np.float32))
    nearest_of = []
    for query in chosen:
        cosine = unit @ unit[query]  # (N,)
        elsewhere = np.flatnonzero(groups != groups[query])
        nearest = elsewhere[np.argsort(-cosine[elsewhere], kind="stable")[:most]]
        nearest_of.append([(int(item), float(cosine[item])) for item in nearest])
    return nearest_of


def nearest_by_rank(
    similarity: npt.NDArray[np.floating[Any]], rank: npt.NDArray[np.integer[Any]], most: int
) -> Ints:
    """The most similar items: of rank 0 first, then of rank 1 and so on; of equal ones the first.

    Args:
        similarity: (N,) of each item; what is no number is left out.
        rank: (N,) items below 0 are left out.
        most: how many, fewer where there are not so many.
    """
    chosen = np.zeros(0, np.int64)
    rank = np.where(np.isnan(similarity), -1, rank)
    for kind in range(int(rank.max(initial=-1)) + 1):
        items, left = np.flatnonzero(rank == kind), most - len(chosen)
        alike = similarity[items]
        if len(items) > left > 0:
            fit = alike >= np.partition(alike, len(items) - left)[len(items) - left]
            items, alike = items[fit], alike[fit]
        order = np.argsort(-alike, kind="stable")[:left]
        chosen = np.concatenate([chosen, items[order]])
    return chosen
