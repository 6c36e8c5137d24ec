"""Why a score cannot be computed, and why no interval should be put around it, in words.

N predictions of C cases, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hipt.stats.arrays import Events, Ints
from hipt.stats.evaluation import Followed, Predicted, horizons, metrics_of
from hipt.stats.per_unit import misordered
from hipt.stats.survival import harrell_c

FEWEST_CASES = 5
"""Cases on either side of a comparison (a class against another, events against those who outlive
them) that an interval needs: of five 126 resamples differ, of four 35, too few for 2.5 % at an
end."""

USED_SHARE = 0.9
"""Share of the resamples that must have a score: an interval of the others alone is too narrow."""


def missing_scores(predictions: Predicted) -> dict[str, str]:
    """Why each score is no number, or what it leaves out; nothing of scores that are whole."""
    if isinstance(predictions, Followed):
        return _missing_survival(predictions)
    n, classes = predictions.p.shape
    counts = np.bincount(predictions.y, minlength=classes)
    occurring = np.flatnonzero(counts)
    if len(occurring) == 1:
        text = f"all {n} predictions are of units with y = {occurring[0]}"
        return dict.fromkeys(("auc", "balanced_accuracy", "kappa"), text)
    if len(occurring) < classes:
        absent = ", ".join(map(str, np.flatnonzero(counts == 0).tolist()))
        return {
            "auc": f"no unit has y = {absent}",
            "balanced_accuracy": f"no unit has y = {absent}: mean over the rest",
        }
    return {}


def _missing_survival(predictions: Followed) -> dict[str, str]:
    """As `missing_scores`, of survival."""
    time, event = predictions.time, predictions.event
    if not event.any():
        text = f"none of {len(time)} predictions is of a unit with an event"
        return dict.fromkeys(metrics_of(predictions), text)
    missing = {}
    pairs = _pairs(predictions)
    if not pairs:
        text = (
            f"no comparable pair: no unit is followed for longer than the first event "
            f"({time[event].min():g} months)"
        )
        missing = dict.fromkeys(("c_index", "uno_c"), text)
    elif not _pairs(_before_the_end(predictions)):
        end = predictions.everyone[0].max()
        missing["uno_c"] = f"no comparable pair with an event before the last time ({end:g} months)"
    first, last = horizons(predictions)[[0, -1]]
    if time[event].min() > first:
        missing["dynamic_auc"] = f"no event by {first:g} months, when a quarter of all have come"
    elif time.max() <= last:
        missing["dynamic_auc"] = (
            f"nobody is followed beyond {last:g} months, when three quarters of all events have "
            "come"
        )
    return missing


def missing_intervals(predictions: Predicted, groups: Ints) -> dict[str, str]:
    """Why a score gets no interval: too few cases on a side; nothing of scores with enough.

    Args:
        predictions: N, comparable with each other.
        groups: (N,) case of each.
    """
    if isinstance(predictions, Followed):
        return {
            metric: text
            for metric, sides in _survival_sides(predictions).items()
            if (text := _too_few_pairs(sides, groups, _pairs(predictions)))
        }
    kinds = [
        (f"{cases} with y = {kind}", cases)
        for kind in np.unique(predictions.y).tolist()
        if (cases := _cases(groups, predictions.y == kind))
    ]
    text, fewest = min(kinds, key=lambda kind: kind[1])
    missing = {}
    if fewest < FEWEST_CASES:
        missing = dict.fromkeys(("auc", "balanced_accuracy", "kappa"), _too_few(text))
    if (cases := len(np.unique(groups))) < FEWEST_CASES:
        missing |= dict.fromkeys(("brier", "accuracy"), _too_few(str(cases)))
    return missing


def missing_resamples(used: Mapping[str, int], resamples: int) -> dict[str, str]:
    """Why a score gets no interval: most resamples do not have it.

    Args:
        used: resamples in which each score is a number.
        resamples: how many were drawn.
    """
    return {
        metric: f"no interval: only {number} of {resamples} resamples have this score"
        for metric, number in used.items()
        if number < USED_SHARE * resamples
    }


def _survival_sides(predictions: Followed) -> dict[str, tuple[Events, Events]]:
    """(N,) who is on either side of what each score compares."""
    sides = {}
    for metric, counted in (("c_index", predictions), ("uno_c", _before_the_end(predictions))):
        pairs = misordered(counted.time, counted.event, counted.risk)
        sides[metric] = pairs.outlived > 0, pairs.survived > 0
    times = horizons(predictions)
    if len(times):
        early = predictions.event & (predictions.time <= times[0])
        sides["dynamic_auc"] = early, predictions.time > times[-1]
    return sides


def _before_the_end(predictions: Followed) -> Followed:
    """The same with the events alone that `uno_c` counts."""
    counted = predictions.event & (predictions.time < predictions.everyone[0].max())
    return predictions._replace(event=counted)


def _pairs(predictions: Followed) -> int:
    pairs = harrell_c(predictions.time, predictions.event, predictions.risk)
    return pairs.concordant + pairs.discordant + pairs.tied_risk


def _too_few_pairs(sides: tuple[Events, Events], groups: Ints, pairs: int) -> str:
    """The sentence where a side has too few cases; empty where both have enough."""
    early, late = (_cases(groups, side) for side in sides)
    if min(early, late) >= FEWEST_CASES:
        return ""
    whole = f"{pairs:,} comparable pair{'s' * (pairs != 1)}"
    compared = f"{early} with an early event, {late} followed for longer"
    return f"no interval: {compared} ({whole}); {FEWEST_CASES} cases each are needed"


def _too_few(what: str) -> str:
    """The sentence for a number of cases."""
    return f"no interval: cases are too few ({what}; {FEWEST_CASES} are needed)"


def _cases(groups: Ints, rows: Events) -> int:
    return len(np.unique(groups[rows]))
