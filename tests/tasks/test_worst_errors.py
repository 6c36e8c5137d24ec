"""The units that a model is most wrong about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hipt.stats.evaluation import Classified, Followed, Predicted
from hipt.tasks.curves import table_of
from hipt.tasks.predictions import Predictions
from hipt.tasks.schemas import ERRORS
from hipt.tasks.worst_errors import MOST, worst_errors

NAMES = {0: "IDC", 1: "ILC"}


def predictions(found: Predicted, unit: list[str], fold: Any = None) -> Predictions:
    names, folds = np.array(unit), np.zeros(len(unit), int) if fold is None else np.array(fold)
    cases = np.array([f"case of {name}" for name in unit])
    return Predictions(Path("x"), "hipt", 1.0, folds, names, cases, found)


def rows(made: Predictions, names: dict[int, str] = NAMES) -> list[dict[str, Any]]:
    return table_of("t", [made], lambda one: worst_errors(one, names), ERRORS).to_pylist()


def test_classes_worst_first_with_truth_and_prediction():
    p = np.array([[0.3, 0.7], [0.99999, 0.00001], [0.2, 0.8], [0.1, 0.9]])
    found = rows(predictions(Classified(np.array([0, 1, 1, 0]), p), list("abcd")))
    assert {row["kind"] for row in found} == {"wrong_class"}
    assert [(row["rank"], row["unit"]) for row in found] == [(1, "b"), (2, "d"), (3, "a")]
    assert [found[0][name] for name in ("label", "predicted", "p")] == ["ILC", "IDC", 0.99999]
    assert (found[1]["case_id"], found[1]["predicted"], found[1]["p"]) == ("case of d", "ILC", 0.9)
    assert {row["folds"] for row in found} == {1}
    assert {row[name] for row in found for name in ("time", "event", "risk", "wrong")} == {None}


def test_a_unit_of_several_folds_is_one_error():
    p = np.array([[0.9, 0.1], [0.3, 0.7]])
    (row,) = rows(predictions(Classified(np.array([1, 1]), p), ["a", "a"], [0, 1]), {})
    assert (row["label"], row["predicted"], round(row["p"], 9), row["folds"]) == ("1", "0", 0.6, 2)


def test_survival_on_both_sides():
    time, event = np.arange(1.0, 21), np.arange(20) < 15
    risk = -time
    risk[0], risk[19] = -30, 30  # the first to die had the lowest risk, the last the highest
    made = predictions(Followed(time, event, risk, (time, event)), [f"c{i:02}" for i in range(20)])
    early, late = rows(made)
    assert (early["kind"], early["unit"], early["time"], early["event"]) == (
        *("early_event", "c00", 1.0),
        True,
    )
    assert (early["risk"], early["wrong"], early["pairs"]) == (0.025, 19, 19)
    assert (late["kind"], late["unit"], late["time"], late["event"]) == (
        *("late_event", "c19", 20.0),
        False,
    )
    assert (late["wrong"], late["pairs"], late["label"]) == (15, 15, None)


def test_no_more_than_a_few():
    p = np.tile([0.9, 0.1], (30, 1))
    made = predictions(Classified(np.ones(30, int), p), [f"u{i:02}" for i in range(30)])
    assert len(rows(made)) == MOST


def test_nothing_where_nothing_is_wrong():
    assert rows(predictions(Classified(np.zeros(3, int), np.eye(2)[[0, 0, 0]]), list("abc"))) == []
