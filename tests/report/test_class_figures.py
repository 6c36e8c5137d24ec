"""ROC and calibration as the page has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from hipt.report.class_figures import calibration_drawn, roc_drawn
from hipt.report.figures import Drawn
from hipt.stats.evaluation import Classified
from hipt.tasks.curves import calibration_bins, roc_curves, table_of
from hipt.tasks.predictions import Predictions
from hipt.tasks.schemas import CALIBRATION, ROC

RNG = np.random.default_rng(4)
Y = RNG.integers(2, size=90)
P = np.clip(0.3 + 0.4 * Y + RNG.normal(size=90) / 5, 0.01, 0.99)
TWO = ("IDC", "ILC")


def predictions(model: str, y: Any, p: Any, calibrated: Any = None) -> Predictions:
    names = np.array([f"u{i:03}" for i in range(len(y))])
    result = Classified(np.asarray(y), np.asarray(p, float), calibrated)
    return Predictions(Path("x"), model, 1.0, np.zeros(len(y), np.int64), names, names, result)


def binary(model: str, p: Any) -> Predictions:
    return predictions(model, Y, np.stack([1 - p, p], 1))


def roc(models: list[Predictions], classes: Any, units: int = 90, **scores: str) -> list[Drawn]:
    names = dict(enumerate(classes))
    rows = pl.DataFrame(table_of("t", models, lambda one: roc_curves(one, names), ROC))
    texts = {made.model: scores.get(made.model, "0.9") for made in models}
    return list(roc_drawn("t", rows, texts, units, "slide"))


def calibrated(models: list[Predictions], classes: Any) -> Drawn:
    names = dict(enumerate(classes))
    table = table_of("t", models, lambda one: calibration_bins(one, names), CALIBRATION)
    return calibration_drawn("t", pl.DataFrame(table), [made.model for made in models])


def legend(drawn: Drawn) -> list[str]:
    return [text.get_text() for text in drawn.figure.legends[0].get_texts()]


def test_a_curve_per_model_with_its_area():
    models = [binary("hipt", P), binary("linear", P[::-1])]
    (drawn,) = roc(models, TWO, hipt="0.91 (0.85 to 0.96)")
    assert (drawn.name, drawn.title) == ("t-roc", "ROC: ILC told from IDC")
    assert legend(drawn) == ["hipt: AUC 0.91 (0.85 to 0.96)", "linear: AUC 0.9", "Chance"]
    at = drawn.figure.axes[0].lines[0].get_xydata()
    assert at[[0, -1]].tolist() == [[0, 0], [1, 1]]
    area = np.diff(at[:, 0]) @ (at[1:, 1] + at[:-1, 1]) / 2
    assert area == pytest.approx((P[Y == 1][:, None] > P[Y == 0]).mean())
    assert "found at 10 % false positives" in drawn.description
    assert "A curve per model; all test parts together: 90 slides, each tested once" in drawn.note


def test_of_more_classes_the_best_model_against_the_rest():
    y = np.arange(60) % 3
    p = 0.1 + 0.7 * np.eye(3)[y]
    models = [predictions("hipt", y, p), predictions("linear", y, p[:, ::-1])]
    (drawn,) = roc(models, "abc", 60)
    assert legend(drawn) == [*(f"{name}: AUC 1.000" for name in "abc"), "Chance"]
    assert drawn.title == "ROC of hipt: each class against all others"
    assert calibrated(models, "abc").title == "Calibration: probability of the likeliest class"


def test_of_many_classes_the_most_frequent():
    y = np.concatenate([np.repeat(np.arange(8), 5), np.full(5, 7), np.full(5, 6)])
    (drawn,) = roc([predictions("hipt", y, np.eye(8)[y])], "abcdefgh", len(y))
    assert [text[0] for text in legend(drawn)[:-1]] == list("abcdgh")
    assert "the 6 most frequent of 8" in drawn.note


def test_no_curve_where_a_class_is_missing():
    only = predictions("hipt", np.zeros(40, int), np.full((40, 2), 0.5))
    assert roc([only], "ab") == []
    assert calibrated([only], "ab").name == "t-calibration"


def test_bins_with_their_intervals_around_the_diagonal():
    models = [binary("hipt", P), binary("linear", P**2), binary("mean", P**3)]
    drawn = calibrated(models, TWO)
    assert drawn.title == "Calibration: probability of ILC"
    first, _ = drawn.figure.axes[0].containers  # of few models
    (bins,) = calibration_bins(models[0], dict(enumerate(TWO)))  # 15 predictions to a bin
    np.testing.assert_allclose(
        first[0].get_xydata(), np.stack([bins["predicted"], bins["observed"]], 1)
    )
    ends = [segment[:, 1] for segment in first[2][0].get_segments()]
    np.testing.assert_allclose(ends, np.stack([bins["low"], bins["high"]], 1))
    assert "in 6 bins" in drawn.note
    assert [text.split(":")[0] for text in legend(drawn)[1:]] == ["hipt", "linear"]
    assert all("expected calibration error 0." in text for text in legend(drawn)[1:])
    assert drawn.description.count("% observed") == 4


def test_units_of_several_test_parts_are_counted():
    (drawn,) = roc([binary("hipt", P)], TWO, 45)
    assert "90 predictions of 45 slides, since test parts overlap" in drawn.note


def test_the_note_says_which_probabilities_are_calibrated():
    assert "Probabilities as the models give them." in calibrated([binary("hipt", P)], TWO).note
    moved = predictions("hipt", Y, np.stack([1 - P, P], 1), np.stack([1 - P / 3, P / 3], 1))
    drawn = calibrated([moved], TWO)
    assert drawn.figure.axes[0].containers[0][0].get_xdata().max() < 0.34
    assert "Probabilities at the classes' prevalence" in drawn.note
