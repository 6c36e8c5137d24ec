"""What can be drawn of a model, as tables, against plain definitions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hipt.stats.evaluation import Classified, Followed, Predicted
from hipt.stats.metrics import auc, calibration
from hipt.tasks.curves import calibration_bins, roc_curves, survival_by_risk, table_of
from hipt.tasks.predictions import Predictions
from hipt.tasks.schemas import CALIBRATION, ROC, SURVIVAL

NAMES = {0: "IDC", 1: "癌", 2: "سرطان"}


def predictions(found: Predicted, fold: Any = None, unit: Any = None) -> Predictions:
    n = len(found.y if isinstance(found, Classified) else found.time)
    folds = np.zeros(n, np.int64) if fold is None else np.asarray(fold)
    names = np.array([f"u{i:03}" for i in range(n)] if unit is None else unit)
    return Predictions(Path("x"), "hipt", 0.5, folds, names, names, found)


def binary(y: Any, p: Any) -> Predictions:
    p = np.asarray(p, float)
    return predictions(Classified(np.asarray(y), np.stack([1 - p, p], 1)))


def roc(made: Predictions) -> list[dict[str, Any]]:
    return list(roc_curves(made, NAMES))


def test_roc_by_hand():
    """Two positives in a row, then a negative, then both tied, then two negatives."""
    (curve,) = roc(binary([1, 1, 0, 1, 0, 0, 0], [0.9, 0.8, 0.7, 0.5, 0.5, 0.2, 0.1]))
    assert (curve["label"], curve["against"]) == ("癌", "IDC")
    assert (curve["positives"], curve["negatives"]) == (3, 4)
    corners = dict(
        zip(curve["threshold"], zip(curve["false_positive_rate"], curve["true_positive_rate"],
                                    strict=True), strict=True)
    )  # fmt: skip
    assert corners[np.inf] == (0, 0)
    assert corners[0.8] == pytest.approx((0, 2 / 3))
    assert corners[0.7] == pytest.approx((1 / 4, 2 / 3))
    assert corners[0.5] == pytest.approx((2 / 4, 1))
    assert corners[0.1] == (1, 1)
    assert curve["auc"] == pytest.approx((2 * 4 + 2.5) / 12)


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(2, 40), st.booleans())
def test_roc_has_the_rates_at_its_thresholds_and_the_area(seed: int, n: int, tied: bool):
    rng = np.random.default_rng(seed)
    y, p = rng.integers(2, size=n), rng.random(n)
    y[:2] = [0, 1]
    p = np.round(p * 5) / 5 if tied else p
    made = binary(y, p)
    (curve,) = roc(made)
    alarms, hits = curve["false_positive_rate"], curve["true_positive_rate"]
    for a, b, t in zip(alarms, hits, curve["threshold"], strict=True):
        assert a == pytest.approx(np.mean(p[y == 0] >= t))
        assert b == pytest.approx(np.mean(p[y == 1] >= t))
    assert (alarms[0], hits[0], alarms[-1], hits[-1]) == (0, 0, 1, 1)
    area = np.diff(alarms) @ (hits[:-1] + hits[1:]) / 2
    assert (
        area
        == pytest.approx(auc(made.predicted.y, made.predicted.p))
        == pytest.approx(curve["auc"])
    )


def test_of_more_classes_each_against_the_rest():
    y = np.arange(60) % 3
    curves = roc(predictions(Classified(y, 0.1 + 0.7 * np.eye(3)[y])))
    assert [(c["label"], c["against"], c["auc"]) for c in curves] == [
        (name, None, 1) for name in NAMES.values()
    ]


def test_no_curve_where_a_class_is_missing():
    assert roc(binary(np.zeros(9, int), np.full(9, 0.5))) == []
    p = np.full((6, 3), 1 / 3)
    curves = roc(predictions(Classified(np.arange(6) % 2, p)))
    assert [c["label"] for c in curves] == ["IDC", "癌"]


def test_a_bin_for_fifteen_predictions_with_its_interval():
    rng = np.random.default_rng(4)
    y = rng.integers(2, size=90)
    p = np.clip(0.3 + 0.4 * y + rng.normal(size=90) / 5, 0.01, 0.99)
    made = binary(y, p)
    (bins,) = calibration_bins(made, NAMES)
    wanted = calibration(y, made.predicted.p, 6)
    assert bins["items"].tolist() == wanted.items.tolist() == [15] * 6
    assert (bins["label"], bins["calibrated"]) == ("癌", False)
    np.testing.assert_array_equal(bins["observed"], wanted.observed)
    z, n, share = stats.norm.ppf(0.975), wanted.items, wanted.observed
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    margin = z * np.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2) / (1 + z**2 / n)
    np.testing.assert_allclose(bins["low"], middle - margin, atol=1e-12)
    np.testing.assert_allclose(bins["high"], middle + margin, atol=1e-12)
    assert bins["expected_error"] == wanted.expected_error


def test_few_predictions_make_two_bins_and_many_ten():
    for n, bins in ((4, 2), (29, 2), (45, 3), (500, 10)):
        made = binary(np.arange(n) % 2, (np.arange(n) + 0.5) / n)
        assert len(next(calibration_bins(made, NAMES))["items"]) == bins


def test_calibration_is_of_the_calibrated_probabilities_and_roc_is_not():
    made = binary(np.arange(40) % 2, np.linspace(0.01, 0.99, 40))
    half = np.stack([1 - made.predicted.p[:, 1] / 3, made.predicted.p[:, 1] / 3], 1)
    moved = predictions(made.predicted._replace(calibrated=half))
    (bins,) = calibration_bins(moved, NAMES)
    assert bins["calibrated"]
    assert bins["predicted"].max() < 0.34
    assert roc(moved)[0]["auc"] == roc(made)[0]["auc"]


def test_of_more_classes_the_likeliest_is_calibrated():
    y = np.arange(60) % 3
    (bins,) = calibration_bins(predictions(Classified(y, 0.1 + 0.7 * np.eye(3)[y])), NAMES)
    assert bins["label"] is None
    np.testing.assert_allclose(bins["predicted"], 0.8)


TIME = np.arange(1.0, 41)
EVENT = np.arange(40) % 3 > 0


def followed(risk: Any, fold: Any = None, unit: Any = None) -> Predictions:
    time, event = TIME[: len(risk)], EVENT[: len(risk)]
    return predictions(Followed(time, event, np.asarray(risk, float), (time, event)), fold, unit)


def test_halves_by_risk_with_everyone_in_one_of_them():
    high, low = survival_by_risk(followed(-TIME))
    assert (high["group"], low["group"]) == ("high", "low")
    for group, rows in ((high, slice(0, 20)), (low, slice(20, 40))):
        assert group["time"].tolist() == [0, *TIME[rows]]
        assert group["at_risk"].tolist() == [20, *range(20, 0, -1)]
        assert group["events"].tolist() == [0, *EVENT[rows]]
        assert group["censored"].tolist() == [0, *~EVENT[rows]]
        assert (group["survival"][0], group["low"][0], group["high"][0]) == (1, 1, 1)
        left = np.cumprod(1 - EVENT[rows] / np.arange(20, 0, -1))
        np.testing.assert_allclose(group["survival"][1:], left, atol=1e-12)


def test_risks_of_folds_with_other_scales_are_ranked_within_them():
    fold = np.arange(40) % 2
    mixed = next(survival_by_risk(followed(-TIME + 1000 * fold, fold)))["time"]
    assert mixed.tolist() == next(survival_by_risk(followed(-TIME, fold)))["time"].tolist()
    assert mixed.tolist() != next(survival_by_risk(followed(-TIME + 1000 * fold)))["time"].tolist()


def test_a_unit_of_several_folds_counts_once():
    fold, unit = np.repeat([0, 1], 20), [f"c{i % 20:02}" for i in range(40)]
    made = followed(np.tile(-TIME[:20], 2), fold, unit)
    assert [group["at_risk"][0] for group in survival_by_risk(made)] == [10, 10]


def test_no_groups_where_all_risks_are_equal():
    assert list(survival_by_risk(followed(np.ones(40)))) == []


def test_tables_of_all_models_have_one_schema():
    made = binary(np.arange(40) % 2, np.linspace(0.01, 0.99, 40))
    table = table_of("t", [made, made], lambda one: roc_curves(one, NAMES), ROC)
    assert table.schema.equals(ROC)
    assert set(table["fraction"].to_pylist()) == {0.5}
    assert table["label"].null_count == 0
    curves = table_of("t", [followed(-TIME)], survival_by_risk, SURVIVAL)
    assert curves.schema.equals(SURVIVAL)
    last = curves.to_pylist()[-1]
    assert (last["survival"], last["low"]) == (0, None) if EVENT[39] else last["low"] is not None
    nothing = table_of("t", [followed(-TIME)], lambda one: roc_curves(one, NAMES), ROC)
    assert (nothing.num_rows, nothing.schema) == (0, ROC)
    of_three = predictions(Classified(np.arange(9) % 3, np.eye(3)[np.arange(9) % 3]))
    bins = table_of("t", [of_three], lambda one: calibration_bins(one, NAMES), CALIBRATION)
    assert pa.types.is_string(bins.schema.field("label").type)
    assert bins["label"].null_count == bins.num_rows
