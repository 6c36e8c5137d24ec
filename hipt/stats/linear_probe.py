"""What a linear model learns from frozen features: ridge regression on standardised columns.

Groups (cases that share a slide) are never on two sides of a fold, neither where the model is
scored nor where its strength is chosen.

N items, D numbers, K classes, F folds, S strengths, M models, R resamples.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from hipt.stats.arrays import Flags, Floats, Ints
from hipt.stats.bootstrap import bootstrap_balanced_accuracy
from hipt.stats.intervals import difference, interval
from hipt.stats.ridge import Features, RidgePath
from hipt.stats.sufficiency import FEWEST_CASES

FOLDS = 5
"""Most parts that items are dealt into."""

FEWEST_FOLDS = 3
"""One to score, one to choose the strength, one to fit."""

ENOUGH_ITEMS = 1000
"""Folds and training parts are drawn anew until they had so many items in all ..."""

MOST_DRAWS = 10
"""... or so often; what is found is averaged. Of 173 items one draw's score is off by 0.04."""

FEWEST_DRAWN = 2
"""Items per class and fold, on average, that a training part needs."""

FEWEST_DRAWN_GROUPS = 10
"""A training part is drawn group by group from so many on, else item by item."""

STRENGTHS = tuple((10.0 ** (np.arange(-8, 7) / 2)).tolist())
"""Penalties that are tried, per item of the training part."""

RESAMPLES = 2000
"""Bootstrap resamples of groups behind every interval."""


class Judged(NamedTuple):
    """How well a model finds classes; intervals of 95 %, NaN where groups are too few for one."""

    balanced_accuracy: float
    low: float
    high: float
    difference: float
    """How far the first model is ahead."""
    difference_low: float
    difference_high: float
    p: float
    """Two-sided, of the difference."""


def possible_fractions(labels: Ints, groups: Ints, fractions: Sequence[float]) -> list[float]:
    """The fractions of the training part that leave enough to fit; none where groups are too few.

    Args:
        labels: (N,) class.
        groups: (N,) group.
        fractions: above 0, at most 1.
    """
    folds = most_folds(labels, groups)
    needed = FEWEST_DRAWN * folds * len(np.unique(labels))
    enough = [f for f in sorted(set(fractions)) if f == 1 or f * len(labels) >= needed]
    return enough if folds >= FEWEST_FOLDS else []


def linear_hits(
    features: Features, labels: Ints, groups: Ints, fraction: float, seed: int
) -> Floats:
    """(N,) how often each item's class is found by a model that never saw its group, 0 to 1.

    Args:
        features: [N, D].
        labels: (N,) class.
        groups: (N,) group; those of one are held out together.
        fraction: share of the training part that models are fitted on, above 0, at most 1.
        seed: decides folds and draws.

    Raises:
        ValueError: if groups, or items of a class, are too few for `FEWEST_FOLDS` folds.
    """
    if most_folds(labels, groups) < FEWEST_FOLDS:
        raise ValueError(f"a linear probe needs {FEWEST_FOLDS} groups, and items of a class")
    draws = min(MOST_DRAWS, math.ceil(ENOUGH_ITEMS / (fraction * len(labels))))
    hits = np.zeros(len(labels))
    for draw in range(seed, seed + draws):
        fold = folds_apart(labels, groups, draw)
        kept = training_part(fold, labels, groups, fraction, draw)
        hits += linear_predict(features, labels, fold, kept) == labels
    return hits / draws


def most_folds(labels: Ints, groups: Ints) -> int:
    """At most `FOLDS`, and not more than there are groups, or items of the largest class."""
    _, counts = np.unique(labels, return_counts=True)
    return min(FOLDS, len(np.unique(groups)), int(counts.max()))


def folds_apart(labels: Ints, groups: Ints, seed: int) -> Ints:
    """(N,) fold of each item, counted from 0: every group in one of them, classes spread evenly.

    Args:
        labels: (N,) class.
        groups: (N,) group, two or more.
        seed: same seed, same folds.
    """
    fold = np.zeros(len(labels), np.int64)
    dealer = StratifiedGroupKFold(most_folds(labels, groups), shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # a class may have fewer items than there are folds
        warnings.simplefilter("ignore", UserWarning)
        for number, (_, held) in enumerate(dealer.split(labels[:, None], labels, groups)):
            fold[held] = number
    return np.unique(fold, return_inverse=True)[1].astype(np.int64)


def training_part(fold: Ints, labels: Ints, groups: Ints, fraction: float, seed: int) -> Flags:
    """(N,) the items that models may be fitted on: as large a share of every fold and class.

    Whole groups, if that leaves `FEWEST_DRAWN_GROUPS` or more; else items of all groups.

    Args:
        fold: (N,) fold of each item.
        labels: (N,) class.
        groups: (N,) group.
        fraction: above 0, at most 1.
        seed: same seed, same draw.
    """
    _, first, unit = np.unique(groups, return_index=True, return_inverse=True)
    if fraction * len(first) < FEWEST_DRAWN_GROUPS:
        first = unit = np.arange(len(groups))
    rng = np.random.default_rng(seed)
    order = np.lexsort([rng.random(len(first)), labels[first], fold[first]])
    steps = np.floor(np.arange(len(first) + 1) * fraction + rng.random())
    kept = np.zeros(len(first), np.bool_)
    kept[order] = np.diff(steps) > 0  # every 1 / fraction-th in this order
    return kept[unit]


def linear_predict(features: Features, labels: Ints, fold: Ints, kept: Flags) -> Ints:
    """(N,) the class of each item by a model fitted on the kept items of the other folds.

    Its strength is the one with the best balanced accuracy on those: each of the other folds in its
    turn is left out too, and found by the rest. A model without two folds is so fitted once for
    both. Of equally good strengths the largest counts.

    Args:
        features: [N, D].
        labels: (N,) class.
        fold: (N,) from 0 to F - 1, three or more.
        kept: (N,) the items that models are fitted on.
    """
    classes, y = np.unique(labels, return_inverse=True)
    folds = range(int(fold.max()) + 1)
    right = np.zeros((len(folds), len(STRENGTHS)))  # recalls without fold f, summed over classes
    for pair in combinations(folds, 2):
        train = kept & ~np.isin(fold, pair)
        path = RidgePath.fit(features[train], y[train], len(classes), STRENGTHS)
        for held, out in (pair, pair[::-1]):
            rows = np.flatnonzero(kept & (fold == held))
            counts = np.bincount(y[kept & (fold != out)])
            right[out] += (path(features[rows]) == y[rows]) @ (1 / counts[y[rows]])
    answer = np.zeros(len(y), np.int64)
    for f in folds:
        best = np.flatnonzero(right[f] > right[f].max() - 1e-9)[-1]
        train = kept & (fold != f)
        model = RidgePath.fit(features[train], y[train], len(classes), STRENGTHS[best : best + 1])
        answer[fold == f] = model(features[fold == f])[0]
    return np.asarray(classes[answer])


def judged(hits: Sequence[Floats], labels: Ints, groups: Ints, seed: int) -> list[Judged]:
    """How sure the balanced accuracy of each model is, and that the first one is ahead of it.

    All are scored in the same resamples of groups. An interval needs `FEWEST_CASES` groups of each
    class.

    Args:
        hits: of each model (N,) whether it finds an item's class, or how often, 0 to 1.
        labels: (N,) class.
        groups: (N,) group; one is drawn with all of its items.
        seed: same seed, same resamples.
    """
    classes, y = np.unique(labels, return_inverse=True)
    scores = [np.mean([found[y == k].mean() for k in range(len(classes))]) for found in hits]
    per_class = [len(np.unique(groups[y == k])) for k in range(len(classes))]
    sure = min(per_class) >= FEWEST_CASES
    drawn = (
        bootstrap_balanced_accuracy(y, np.array(hits), groups, RESAMPLES, seed)
        if sure
        else np.full((len(hits), 1), np.nan)
    )  # [M, R]
    return [
        Judged(float(s), *interval(d)[:2], float(scores[0] - s), *difference(drawn[0], d))
        for s, d in zip(scores, drawn, strict=True)
    ]
