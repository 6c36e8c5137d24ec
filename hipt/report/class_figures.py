"""Figures of classifiers: ROC curves, and predicted probability against what came true."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from hipt.report.charts import SIDE, STYLES, Plot, legend, square
from hipt.report.page import share
from hipt.stats.evaluation import Classified, Events, Floats
from hipt.stats.intervals import wilson
from hipt.stats.metrics import Calibration, auc, calibration, expected_calibration_error, roc_curve
from hipt.tasks.predictions import Predictions

MOST_CURVES = 4
"""Most models in a figure of ROC curves."""

MOST_BESIDE = 2
"""Most models whose calibration is shown."""

BINS, PER_BIN = 10, 15
"""Most bins of a calibration, and predictions that are there for each bin of fewer."""

FALSE_ALARMS = 0.1
"""The false positive rate at which a curve is told in words."""

PLOT = Plot(SIDE, SIDE)


@dataclass(frozen=True)
class Shown:
    """A model that is drawn."""

    made: Predictions
    score: str
    """Its AUC over all test parts together, with the interval."""

    @property
    def found(self) -> Classified:
        """Its predictions."""
        assert isinstance(self.made.found, Classified)
        return self.made.found


class Side(NamedTuple):
    """A class against all others."""

    text: str
    """What the curve is of, with its area."""
    positive: Events
    """(N,)"""
    score: Floats
    """(N,) probability of the class."""


def class_figures(
    task: str, models: Sequence[Shown], classes: Sequence[str], by: str
) -> Iterator[dict[str, Any]]:
    """ROC and calibration of a task, as `report_charts.html.j2` draws them.

    Args:
        task: its name.
        models: the best first, at least one; all fitted with the same share of the training part.
        classes: their names.
        by: what gets a prediction: slide or case.
    """
    if len(classes) == 2:
        sides = [_side(one, 1, f"{one.made.model}: AUC {one.score}") for one in models]
        title = f"ROC: {classes[1]} told from {classes[0]}"
        about = "A curve per model"
        yield from _roc(f"{task}-roc", title, sides[:MOST_CURVES], _about(about, models[0], by))
    else:
        best = models[0]
        title = f"ROC of {best.made.model}: each class against all others"
        about = f"The model with the best mean, a curve per class{_of_many(classes)}"
        sides = list(_each_class(best, classes))
        yield from _roc(f"{task}-roc", title, sides, _about(about, best, by))
    yield _calibrations(task, models[:MOST_BESIDE], classes)


def _side(one: Shown, kind: int, text: str) -> Side:
    """A class of a model's predictions."""
    return Side(text, one.found.y == kind, one.found.p[:, kind])


def _each_class(one: Shown, classes: Sequence[str]) -> Iterator[Side]:
    """The classes against all others, in their order; of many the most frequent."""
    counts = np.bincount(one.found.y, minlength=len(classes))
    for kind in sorted(np.argsort(-counts, kind="stable")[:STYLES].tolist()):
        side = _side(one, kind, "")
        two = np.stack([1 - side.score, side.score], 1)
        area = auc(side.positive.astype(np.int64), two)
        yield side._replace(text=f"{classes[kind]}: AUC {area:.3f}")


def _of_many(classes: Sequence[str]) -> str:
    """Said where not all classes are drawn."""
    return f" (the {STYLES} most frequent of {len(classes)})" if len(classes) > STYLES else ""


def _about(what: str, one: Shown, by: str) -> str:
    """What is drawn, of how many predictions."""
    made, units = one.made, len(np.unique(one.made.unit))
    counted = f"{units:,} {by}s, each tested once"
    if units < len(made.unit):
        counted = f"{len(made.unit):,} predictions of {units:,} {by}s, since test parts overlap"
    return f"{what}; all test parts together: {counted}. Thin diagonal: chance."


def _roc(name: str, title: str, sides: Sequence[Side], note: str) -> Iterator[dict[str, Any]]:
    """Curves of those that have both sides; nothing if there are none."""
    drawn = [side for side in sides if side.positive.any() and not side.positive.all()]
    if not drawn:
        return
    lines, said = [], []
    for style, (text, positive, score) in enumerate(drawn):
        false, true, _ = roc_curve(positive, score)
        lines.append({"style": style, "points": PLOT.line(false, true)})
        found = float(np.interp(FALSE_ALARMS, false, true))
        said.append(f"{text}; {share(found)} found at {share(FALSE_ALARMS)} false positives")
    yield {
        **square(name, title, ". ".join(said)),
        "x_label": "False positive rate",
        "y_label": "True positive rate",
        "lines": lines,
        "legend": legend(side.text for side in drawn),
        "note": note,
    }


def _calibrations(task: str, models: Sequence[Shown], classes: Sequence[str]) -> dict[str, Any]:
    """Predicted probability against the share that came true, of few models."""
    bins = int(np.clip(min(len(one.found.y) for one in models) // PER_BIN, 2, BINS))
    curves = [calibration(one.found.y, one.found.at_prevalence, bins) for one in models]
    errors = [
        f"{one.made.model}: expected calibration error "
        f"{expected_calibration_error(one.found.y, one.found.at_prevalence, bins):.3f}"
        for one in models
    ]
    said = [f"{text}; {_ends(curve)}" for text, curve in zip(errors, curves, strict=True)]
    of = classes[1] if len(classes) == 2 else "the likeliest class"
    return {
        **square(f"{task}-calibration", f"Calibration: probability of {of}", ". ".join(said)),
        "x_label": "Predicted probability",
        "y_label": "Observed share",
        "whiskers": [bar for style, curve in enumerate(curves) for bar in _bars(curve, style)],
        "lines": [
            {"style": style, "points": PLOT.line(curve.predicted, curve.observed)}
            for style, curve in enumerate(curves)
        ],
        "marks": [
            (*at, style)
            for style, (predicted, observed, _) in enumerate(curves)
            for at in zip(PLOT.across(predicted), PLOT.down(observed), strict=True)
        ],
        "legend": legend(errors),
        "note": f"Predictions in {bins} bins of about equal size; bars: 95 % intervals (Wilson), "
        "as if all were independent. On the thin diagonal what is predicted comes true; the "
        f"expected calibration error is the mean distance from it. {_whose(models)}",
    }


def _whose(models: Sequence[Shown]) -> str:
    """Which probabilities they are."""
    if all(one.found.calibrated is None for one in models):
        return "Probabilities as the models give them."
    return (
        "Probabilities at the classes' prevalence: by the class shares of each fold's training "
        "part, and by a slope from its validation part (columns calibrated_0, ... of the "
        "predictions)."
    )


def _bars(curve: Calibration, style: int) -> Iterator[tuple[float, float, float, int]]:
    """The interval of each bin: x and both ends."""
    low, high = wilson(curve.observed * curve.items, curve.items)
    ends = (PLOT.across(curve.predicted), PLOT.down(low), PLOT.down(high))
    yield from ((float(x), float(a), float(b), style) for x, a, b in zip(*ends, strict=True))


def _ends(curve: Calibration) -> str:
    """The lowest and the highest bin in words."""
    return " and ".join(
        f"{share(curve.predicted[i])} predicted, {share(curve.observed[i])} observed"
        for i in (0, -1)
    )
