"""ROC and calibration as they are drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hipt.report.charts import SIDE
from hipt.report.class_figures import Shown, class_figures
from hipt.stats.evaluation import Classified
from hipt.stats.intervals import wilson
from hipt.stats.metrics import calibration
from hipt.tasks.predictions import Predictions

RNG = np.random.default_rng(4)
Y = RNG.integers(2, size=90)
P = np.clip(0.3 + 0.4 * Y + RNG.normal(size=90) / 5, 0.01, 0.99)


def shown(model: str, y: Any, p: Any, score: str = "0.9", unit: Any = None) -> Shown:
    names = np.array([f"u{i:03}" for i in range(len(y))] if unit is None else unit)
    found = Classified(np.asarray(y), np.asarray(p, float))
    fold = np.zeros(len(y), np.int64)
    return Shown(Predictions(Path("x"), model, 1.0, fold, names, names, found), score)


def binary(model: str, p: Any, **facts: Any) -> Shown:
    return shown(model, Y, np.stack([1 - p, p], 1), **facts)


def points(line: dict[str, Any]) -> np.ndarray:
    """Shares, from coordinates."""
    at = np.array([[float(n) for n in p.split(",")] for p in line["points"].split()])
    return np.stack([at[:, 0], SIDE - at[:, 1]], 1) / SIDE


def test_a_curve_per_model_with_its_area():
    models = [binary("hipt", P, score="0.91 (0.85 to 0.96)"), binary("linear", P[::-1])]
    roc, _ = class_figures("t", models, ["IDC", "ILC"], "slide")
    assert roc["title"] == "ROC: ILC told from IDC"
    assert [it["text"] for it in roc["legend"]] == [
        "hipt: AUC 0.91 (0.85 to 0.96)",
        "linear: AUC 0.9",
    ]
    at = points(roc["lines"][0])
    assert at[0].tolist() == [0, 0]
    assert at[-1].tolist() == [1, 1]
    area = np.diff(at[:, 0]) @ (at[1:, 1] + at[:-1, 1]) / 2
    assert area == pytest.approx((P[Y == 1][:, None] > P[Y == 0]).mean(), abs=2e-3)
    assert "found at 10 % false positives" in roc["said"]
    assert "90 slides, each tested once" in roc["note"]


def test_of_more_classes_the_best_model_against_the_rest():
    y = np.arange(60) % 3
    p = 0.1 + 0.7 * np.eye(3)[y]
    roc, curve = class_figures("t", [shown("hipt", y, p)] * 2, ["a", "b", "c"], "case")
    assert [it["text"] for it in roc["legend"]] == [f"{name}: AUC 1.000" for name in "abc"]
    assert len(roc["lines"]) == 3
    assert curve["title"] == "Calibration: probability of the likeliest class"
    assert "each class against all others" in roc["title"]


def test_of_many_classes_the_most_frequent():
    y = np.concatenate([np.repeat(np.arange(8), 5), np.full(5, 7), np.full(5, 6)])
    models = [shown("hipt", y, np.eye(8)[y])]
    roc = next(class_figures("t", models, list("abcdefgh"), "slide"))
    assert [it["text"][0] for it in roc["legend"]] == list("abcdgh")
    assert "the 6 most frequent of 8" in roc["note"]


def test_no_curve_where_a_class_is_missing():
    models = [shown("hipt", np.zeros(40, int), np.full((40, 2), 0.5))]
    (only,) = class_figures("t", models, ["a", "b"], "slide")
    assert only["id"] == "t-calibration"


def test_bins_have_their_intervals_around_the_diagonal():
    _, it = class_figures("t", [binary("hipt", P), binary("linear", P**2)], ["a", "b"], "slide")
    bins = calibration(Y, np.stack([1 - P, P], 1), 6)  # 15 predictions to a bin
    first = [(x, y) for x, y, style in it["marks"] if style == 0]
    np.testing.assert_allclose([x for x, _ in first], SIDE * bins.predicted)
    np.testing.assert_allclose([y for _, y in first], SIDE * (1 - bins.observed))
    low, high = wilson(bins.observed * bins.items, bins.items)
    bars = [bar for bar in it["whiskers"] if bar[3] == 0]
    np.testing.assert_allclose([bar[1] for bar in bars], SIDE * (1 - low))
    np.testing.assert_allclose([bar[2] for bar in bars], SIDE * (1 - high))
    assert "in 6 bins" in it["note"]
    assert all("expected calibration error 0." in entry["text"] for entry in it["legend"])


def test_units_of_several_test_parts_are_said():
    models = [binary("hipt", P, unit=[f"u{i // 2}" for i in range(90)])]
    roc = next(class_figures("t", models, ["a", "b"], "slide"))
    assert "90 predictions of 45 slides, since test parts overlap" in roc["note"]


def test_calibration_is_of_the_calibrated_probabilities():
    own = binary("hipt", P)
    raw = list(class_figures("t", [own], ["a", "b"], "slide"))[1]
    assert "Probabilities as the models give them." in raw["note"]
    found = own.found._replace(calibrated=np.stack([1 - P / 3, P / 3], 1))
    moved = Shown(replace(own.made, found=found), "0.9")
    roc, curve = class_figures("t", [moved], ["a", "b"], "slide")
    assert points(curve["lines"][0])[:, 0].max() < 0.34
    assert "Probabilities at the classes' prevalence" in curve["note"]
    assert roc == next(class_figures("t", [own], ["a", "b"], "slide"))
