"""How good predictions are: all scores of a task, in a fold and over all folds.

N predictions, K classes. A prediction is of one unit (slide or case) in one fold's test part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata
from sklearn.metrics import accuracy_score

from hipt.stats.arrays import Events, Floats, Ints
from hipt.stats.metrics import auc, balanced_accuracy, brier, quadratic_kappa
from hipt.stats.survival import cumulative_dynamic_auc, harrell_c, uno_c

METRICS = {
    "classification": ("auc", "balanced_accuracy", "kappa", "brier", "accuracy"),
    "survival": ("c_index", "uno_c", "dynamic_auc"),
}
"""What is scored, per kind of task; of each the first is what models are compared by."""

HORIZONS = (0.25, 0.5, 0.75)
"""Shares of the task's events after which `dynamic_auc` is asked for."""


class Classified(NamedTuple):
    """Predictions of a class."""

    y: Ints
    """(N,) true class, 0 to K - 1."""
    p: Floats
    """[N, K] probabilities; the likeliest class is the answer."""
    calibrated: Floats | None = None
    """[N, K] the same at the classes' own prevalence; None where `p` is that already."""

    @property
    def at_prevalence(self) -> Floats:
        """[N, K] probabilities that should come true as often as they say."""
        return self.p if self.calibrated is None else self.calibrated

    def take(self, rows: npt.NDArray[Any]) -> Classified:
        """Some of them, by index or mask."""
        calibrated = None if self.calibrated is None else self.calibrated[rows]
        return Classified(self.y[rows], self.p[rows], calibrated)


class Followed(NamedTuple):
    """Predictions of survival."""

    time: Floats
    """(N,) months."""
    event: Events
    """(N,) it happened then; else the follow-up ended."""
    risk: Floats
    """(N,) high where the event comes early."""
    everyone: tuple[Floats, Events]
    """(M,) months and events of all units of the task, each once: they tell of censoring."""

    def take(self, rows: npt.NDArray[Any]) -> Followed:
        """Some of them, by index or mask; censoring is still learnt from everyone."""
        return Followed(self.time[rows], self.event[rows], self.risk[rows], self.everyone)


Predicted = Classified | Followed


def metrics_of(predicted: Predicted) -> tuple[str, ...]:
    """The names of its scores, the main one first."""
    return METRICS["classification" if isinstance(predicted, Classified) else "survival"]


def scores(predicted: Predicted) -> dict[str, float]:
    """All scores of predictions, by the names in `METRICS`.

    `brier` is of the calibrated probabilities, where there are some; all other scores are of `p`.
    A score that cannot be told is NaN: an AUC where a class is missing, balanced accuracy and kappa
    where there is one class alone, a concordance without a pair to compare (`stats.sufficiency`
    says why). `kappa` is quadratic, of two classes the usual one. `uno_c` counts the events
    before the last time of `everyone`: until then some are followed, so that it never raises.
    `dynamic_auc` is the mean of the time-dependent AUC at the times of `horizons`.

    Args:
        predicted: N predictions; risks have to be of one model, see `pooled`.

    Raises:
        ValueError: if a prediction is not a number.

    Differs: `uno_c` and `dynamic_auc` learn censoring from all tested units, the same for all folds
    and models, and not from a fold's training part, which a file of predictions does not hold.
    """
    if isinstance(predicted, Followed):
        concordance = harrell_c(predicted.time, predicted.event, predicted.risk).value
        tau = float(predicted.everyone[0].max())
        uno = uno_c(*predicted.everyone, predicted.time, predicted.event, predicted.risk, tau)
        values = [concordance, uno, _dynamic_auc(predicted)]
    else:
        y, p = predicted.y, predicted.p
        best = p.argmax(1)
        several = len(np.unique(y)) > 1
        recall = balanced_accuracy(y, best) if several else np.nan
        kappa = quadratic_kappa(y, best, p.shape[1])
        squares = brier(y, predicted.at_prevalence)
        values = [auc(y, p), recall, kappa, squares, float(accuracy_score(y, best))]
    return dict(zip(metrics_of(predicted), values, strict=True))


def horizons(predicted: Followed) -> Floats:
    """(H,) months after which a quarter, half and three quarters of the task's events have come.

    Each once: fewer where events share a time, none where there is no event.
    """
    time, event = predicted.everyone
    return np.unique(np.quantile(time[event], HORIZONS)) if event.any() else np.empty(0)


def _dynamic_auc(predicted: Followed) -> float:
    """Mean AUC over the horizons; NaN where one of them has no event before or nobody after."""
    times = horizons(predicted)
    time, event, risk = predicted.time, predicted.event, predicted.risk
    if not len(times) or time.min() > times[0] or time.max() <= times[-1]:
        return np.nan
    counted = event & (time <= times[-1])  # later events only are cases still followed
    return float(cumulative_dynamic_auc(*predicted.everyone, time, counted, risk, times).mean())


def pooled(predicted: Predicted, fold: Ints) -> Predicted:
    """Predictions of all folds together, made comparable.

    Probabilities stay. Risks have another scale in each fold, since each has its own model: they
    become their rank in the fold, from 0 to 1. Of a unit that several folds test every prediction
    counts; it is never compared with itself.

    Args:
        predicted: N predictions.
        fold: (N,).
    """
    if isinstance(predicted, Classified):
        return predicted
    return predicted._replace(risk=fold_ranks(predicted.risk, fold))


def fold_ranks(risk: Floats, fold: Ints) -> Floats:
    """(N,) share of the fold's risks that are below each, equal ones counting half."""
    ranks = np.zeros(len(risk))
    for number in np.unique(fold):
        here = fold == number
        ranks[here] = (rankdata(risk[here]) - 0.5) / here.sum()
    return ranks


def over_folds(folds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """`<metric>_mean` and `<metric>_sd` of the folds in which the score is a number.

    The deviation is that of a sample (one less than the folds); NaN where they are too few.
    """
    summary = {}
    for metric in folds[0] if folds else ():
        values = np.array([fold[metric] for fold in folds])
        known = values[~np.isnan(values)]
        summary[f"{metric}_mean"] = float(known.mean()) if len(known) else np.nan
        summary[f"{metric}_sd"] = float(known.std(ddof=1)) if len(known) > 1 else np.nan
    return summary
