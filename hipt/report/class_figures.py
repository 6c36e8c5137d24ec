"""Figures of classifiers, from the tables of `evaluate`: ROC curves, calibration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import polars as pl

from hipt.pictures.shares import Bins, Roc, calibration_figure, roc_figure
from hipt.report.figures import Drawn
from hipt.report.page import share

MOST_CURVES = 4
"""Most models in a figure of ROC curves."""

MOST_CLASSES = 6
"""Most classes in a figure of ROC curves."""

MOST_CALIBRATED = 2
"""Most models whose calibration is shown."""

FALSE_ALARMS = 0.1
"""The false positive rate at which a curve is put into words."""


def roc_drawn(
    task: str, rows: pl.DataFrame, scores: Mapping[str, str], units: int, by: str
) -> Iterator[Drawn]:
    """ROC curves of a task; none where no class has both sides.

    Args:
        task: its name.
        rows: as in `ROC`, of one fraction.
        scores: AUC with interval of each model that may be shown, the best first.
        units: that the best model predicts.
        by: what gets a prediction: slide or case.
    """
    best = next(iter(scores))
    own = rows.filter(model=best)
    if not len(own):
        return
    label, against, positives, negatives = own.select(
        "label", "against", "positives", "negatives"
    ).row(0)
    if against is not None:
        parts = [(f"{model}: AUC {scores[model]}", rows.filter(model=model)) for model in scores]
        title, about = f"ROC: {label} told from {against}", "A curve per model"
    else:
        parts = _each_class(own)
        title = f"ROC of {best}: each class against all others"
        classes = own["label"].n_unique()
        many = f" (the {MOST_CLASSES} most frequent of {classes})" if classes > MOST_CLASSES else ""
        about = f"The model with the best mean, a curve per class{many}"
    rates = ("false_positive_rate", "true_positive_rate")
    curves = [Roc(name, *(part[rate].to_numpy() for rate in rates)) for name, part in parts]
    yield Drawn(
        name=f"{task}-roc",
        title=title,
        description=". ".join(map(_in_words, curves)),
        note=f"{about}; all test parts together: {_counted(positives + negatives, units, by)}. "
        "Thin diagonal: chance.",
        figure=roc_figure(curves),
    )


def calibration_drawn(task: str, rows: pl.DataFrame, models: Sequence[str]) -> Drawn:
    """Predicted probability against the share that came true, of few models.

    Args:
        task: its name.
        rows: as in `CALIBRATION`, of one fraction.
        models: those that may be shown, the best first.
    """
    shown = [rows.filter(model=model) for model in models[:MOST_CALIBRATED]]
    columns = ("predicted", "observed", "low", "high")
    bins = [
        Bins(
            f"{part['model'][0]}: expected calibration error {part['expected_error'][0]:.3f}",
            *(part[name].to_numpy() for name in columns),
        )
        for part in shown
    ]
    label, calibrated = shown[0]["label"][0], any(part["calibrated"][0] for part in shown)
    return Drawn(
        name=f"{task}-calibration",
        title=f"Calibration: probability of {label or 'the likeliest class'}",
        description=". ".join(f"{model.name}; {_ends(model)}" for model in bins),
        note=f"Predictions in {max(map(len, shown))} bins of about equal size; bars: 95 % "
        "intervals (Wilson), as if all were independent. On the thin diagonal what is predicted "
        "comes true; the expected calibration error is the mean distance from it. "
        + (AT_PREVALENCE if calibrated else "Probabilities as the models give them."),
        figure=calibration_figure(bins),
    )


AT_PREVALENCE = (
    "Probabilities at the classes' prevalence: by the class shares of each fold's training part, "
    "and by a slope from its validation part (columns calibrated_0, ... of the predictions)."
)
"""Which probabilities are calibrated."""


def _each_class(rows: pl.DataFrame) -> list[tuple[str, pl.DataFrame]]:
    """The curves of a model's classes, in their order; of many those of the most frequent."""
    parts = rows.partition_by("label", maintain_order=True)
    frequent = np.argsort([-part["positives"][0] for part in parts], kind="stable")[:MOST_CLASSES]
    chosen = [parts[i] for i in sorted(frequent.tolist())]
    return [(f"{part['label'][0]}: AUC {part['auc'][0]:.3f}", part) for part in chosen]


def _counted(predictions: int, units: int, by: str) -> str:
    """Of how many predictions a curve is."""
    if units < predictions:
        return f"{predictions:,} predictions of {units:,} {by}s, since test parts overlap"
    return f"{units:,} {by}s, each tested once"


def _in_words(curve: Roc) -> str:
    """A curve's name and one of its points."""
    rate = np.interp(FALSE_ALARMS, curve.false_positive_rate, curve.true_positive_rate)
    return f"{curve.name}; {share(float(rate))} found at {share(FALSE_ALARMS)} false positives"


def _ends(model: Bins) -> str:
    """The lowest and the highest bin in words."""
    return " and ".join(
        f"{share(model.predicted[i])} predicted, {share(model.observed[i])} observed"
        for i in (0, -1)
    )
