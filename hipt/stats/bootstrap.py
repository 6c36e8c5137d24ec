"""The scores of `evaluation` in all bootstrap resamples at once.

A resample is not drawn as a list of items but as how often each counts: its scores are then sums
over weights, and a thousand of them one matrix product. Items belong to cases; those of a case
(slides of a patient) are not independent, so cases are drawn, each with all of its items.

N items, K classes, R resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from hipt.stats.arrays import Events, Floats, Ints
from hipt.stats.censoring import censoring_survival
from hipt.stats.evaluation import Classified, Followed, Predicted, horizons, metrics_of
from hipt.stats.pairs import Blocks, comparable

CHUNK = 512
"""Most resamples that are worked on at once."""

HELD = 2**21
"""Most weights that are held at once: of more items, fewer resamples."""

SUMMED = 32
"""Resamples whose pairs are summed at once."""


def bootstrap_scores(
    predicted: Predicted, groups: Ints, n_resamples: int, seed: int
) -> dict[str, Floats]:
    """(R,) each score of predictions in every resample of their cases; NaN where it cannot be told.

    What is known of censoring is not drawn anew.

    Args:
        predicted: N predictions, comparable with each other.
        groups: (N,) case of each; a case is drawn with all of its items.
        n_resamples: R.
        seed: same seed and cases, same draws.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993.
    """
    score = _scorer(predicted)
    parts = [score(w) for w in case_weights(groups, n_resamples, seed)]
    return {name: np.concatenate([part[name] for part in parts]) for name in metrics_of(predicted)}


def bootstrap_balanced_accuracy(
    y: Ints, hits: Floats, groups: Ints, n_resamples: int, seed: int
) -> Floats:
    """[M, R] balanced accuracy of M models in the same resamples; NaN where one class is left.

    Args:
        y: (N,) class.
        hits: [M, N] whether each model finds an item's class, or how often, 0 to 1.
        groups: (N,) case of each; a case is drawn with all of its items.
        n_resamples: R.
        seed: same seed and cases, same draws.
    """
    kinds = np.eye(int(y.max()) + 1)[y]
    parts = []
    for weight in case_weights(groups, n_resamples, seed):
        truth = weight @ kinds  # [r, K]
        parts.append([_mean_recall(weight @ (kinds * found[:, None]), truth) for found in hits])
    return np.concatenate(parts, axis=1)


def case_weights(groups: Ints, n_resamples: int, seed: int) -> Iterator[Floats]:
    """[r, N] how often each item counts in the next resamples: as often as its case is drawn.

    As many cases are drawn as there are, with replacement.

    Args:
        groups: (N,) case of each item.
        n_resamples: R, in parts of at most `CHUNK`, and `HELD` weights.
        seed: same seed, same draws.
    """
    _, place = np.unique(groups, return_inverse=True)
    cases = int(place.max()) + 1
    rng = np.random.default_rng(seed)
    most = max(1, min(CHUNK, HELD // len(groups)))
    for start in range(0, n_resamples, most):
        rows = min(most, n_resamples - start)
        drawn = [np.bincount(rng.integers(cases, size=cases), minlength=cases) for _ in range(rows)]
        yield np.array(drawn, np.float64)[:, place]


def _scorer(predicted: Predicted) -> Callable[[Floats], dict[str, Floats]]:
    """What gives the scores under [r, N] weights."""
    if isinstance(predicted, Classified):
        return partial(_classified, predicted)
    pairs = tuple(comparable(predicted.time, predicted.event, predicted.risk))
    return partial(_followed, predicted, pairs)


def _classified(predicted: Classified, weight: Floats) -> dict[str, Floats]:
    """Scores of classes under [r, N] weights."""
    y, p = predicted.y, predicted.p
    kinds = np.eye(p.shape[1])
    best = p.argmax(1)
    hit = np.asarray(y == best, np.float64)
    total = weight.sum(1)
    truth, answers = weight @ kinds[y], weight @ kinds[best]  # [r, K]
    index = np.arange(len(kinds))
    apart = (index[:, None] - index) ** 2.0
    by_chance = ((truth @ apart) * answers).sum(1) / total
    several = (truth > 0).sum(1) > 1  # of one class alone neither kappa nor recalls say anything
    squares = (predicted.at_prevalence - kinds[y]) ** 2
    return {
        "auc": _auc(y, p, weight),
        "balanced_accuracy": _mean_recall(weight @ (kinds[y] * hit[:, None]), truth),
        "kappa": np.where(several, 1 - _share(weight @ apart[y, best], by_chance), np.nan),
        "brier": weight @ (squares.sum(1) if len(kinds) > 2 else squares[:, 1]) / total,
        "accuracy": weight @ hit / total,
    }


def _mean_recall(right: Floats, truth: Floats) -> Floats:
    """(r,) mean over the classes that occur; NaN for one alone, of which it says nothing.

    Args:
        right: [r, K] weight of each class's items that are found.
        truth: [r, K] weight of all.
    """
    occurring = (truth > 0).sum(1)
    mean = np.nansum(_share(right, truth), 1) / occurring
    return np.asarray(np.where(occurring > 1, mean, np.nan))


def _auc(y: Ints, p: Floats, weight: Floats) -> Floats:
    """(r,) AUC; of more than two classes the mean of each against the rest."""
    kinds = range(p.shape[1]) if p.shape[1] > 2 else [1]
    return np.asarray(np.mean([_area(y == kind, p[:, kind], weight) for kind in kinds], axis=0))


def _area(positive: Events, score: Floats, weight: Floats) -> Floats:
    """(r,) weighted share of pairs in which the positive has the higher score; equal count half."""
    order = np.argsort(score, kind="stable")
    first = np.flatnonzero(np.diff(score[order], prepend=-np.inf))  # (S,) of each distinct score
    inside = weight[:, order]
    true, false = (
        np.add.reduceat(inside * side[order], first, axis=1) for side in (positive, ~positive)
    )  # [r, S]
    below = np.cumsum(false, axis=1) - false / 2
    return _share((true * below).sum(1), true.sum(1) * false.sum(1))


def _followed(predicted: Followed, pairs: Sequence[Blocks], weight: Floats) -> dict[str, Floats]:
    """Concordances under [r, N] weights: pairs in the right order by pairs, for each event."""
    inverse = _inverse_censoring(predicted)
    shares = [_concordances(pairs, inverse, rows) for rows in _slices(weight)]
    values = [*np.concatenate(shares, axis=1), _dynamic_auc(predicted, weight)]
    return dict(zip(metrics_of(predicted), values, strict=True))


def _slices(weight: Floats) -> Iterator[Floats]:
    """[N, r] weights of a few resamples each: what is summed at once stays in the cache."""
    for start in range(0, len(weight), SUMMED):
        yield np.ascontiguousarray(weight[start : start + SUMMED].T)


def _concordances(pairs: Sequence[Blocks], inverse: Floats, weight: Floats) -> Floats:
    """[2, r] share of pairs in the right order, ties half: all alike, and by (N,) weights."""
    right, total = np.zeros((2, 2, weight.shape[1]))
    below = np.zeros((len(weight) + 1, weight.shape[1]))
    for blocks in pairs:
        np.cumsum(weight[blocks.order], axis=0, out=below[1:])
        before, own = below[blocks.first], weight[blocks.event]  # [e, r]
        better = (below[blocks.lower] + below[blocks.tied]) / 2 - before
        for sums, counted in ((right, better), (total, below[blocks.last] - before)):
            counted *= own
            sums += counted.sum(0), inverse[blocks.event] @ counted
    return _share(right, total)


def _dynamic_auc(predicted: Followed, weight: Floats) -> Floats:
    """(r,) mean over the horizons of the AUC of events by then, by 1 / G(t), against the others."""
    time, everyone = predicted.time, predicted.everyone
    areas, times = [], horizons(predicted)
    if len(times) and time.max() <= times[-1]:  # nobody is left to compare with
        times = times[:0]
    for horizon in times:
        early = predicted.event & (time <= horizon)
        counts = np.asarray(time > horizon, np.float64)
        counts[early] = 1 / censoring_survival(*everyone, time[early])
        areas.append(_area(early, predicted.risk, weight * counts))
    return np.mean(areas, axis=0) if areas else np.full(len(weight), np.nan)


def _inverse_censoring(predicted: Followed) -> Floats:
    """(N,) 1 / G(t)^2 of each event that `uno_c` counts, 0 of all others."""
    counted = predicted.event & (predicted.time < predicted.everyone[0].max())
    weight = np.zeros(len(predicted.time))
    weight[counted] = censoring_survival(*predicted.everyone, predicted.time[counted]) ** -2
    return weight


def _share(part: Floats, whole: Floats) -> Floats:
    """Part by whole, NaN where there is no whole."""
    share = np.full(part.shape, np.nan)
    np.divide(part, whole, out=share, where=whole > 0)
    return share
