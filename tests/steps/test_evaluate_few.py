"""Cohorts with next to nothing to score: a score says why it is missing, or has no interval."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.steps.test_evaluate import CLASSES, SURVIVAL, Task

CASES, FOLDS = 24, 3
RANK = np.random.default_rng(0).permutation(CASES)


def cohort(months: Any, events: Any, risk: Any = None) -> list[dict[str, Any]]:
    """Predictions of cases, in three folds; by default the risk is of no use."""
    danger = RANK if risk is None else risk
    return [
        {
            **{"fold": i % FOLDS, "unit": f"s{i:02}", "case_id": f"s{i:02}"},
            **{"time": float(months[i]), "event": bool(events[i]), "risk": float(danger[i])},
        }
        for i in range(CASES)
    ]


def scored(folder: Path, rows: list[dict[str, Any]], kind: dict[str, Any] = SURVIVAL) -> Any:
    task = Task(folder, kind)
    task.add("a", rows)
    task.add("b", rows)
    scores, (pair,) = task.call()
    return {r["metric"]: r for r in scores if r["model"] == "a" and r["fold"] is None}, pair


def bare(row: dict[str, Any]) -> bool:
    return row["low"] is None and row["high"] is None


def test_one_comparable_pair_has_no_interval(tmp_path: Path):
    months = np.arange(CASES) + 1.0  # the last two have an event: one pair
    rows = cohort(months, np.arange(CASES) >= CASES - 2, -months)
    for r in rows:
        r["fold"] = 0
    result, pair = scored(tmp_path, rows)
    assert result["c_index"]["value"] == 1
    assert bare(result["c_index"])
    assert result["c_index"]["note"] == (
        "no interval: 1 with an early event, 1 followed for longer (1 comparable pair); 5 cases "
        "each are needed"
    )
    assert (pair["difference"], pair["low"], pair["p"]) == (0, None, None)
    assert pair["note"] == result["c_index"]["note"]


def test_three_events_have_no_interval(tmp_path: Path):
    rng = np.random.default_rng(1)
    months = rng.permutation(CASES) + 1.0
    result, _ = scored(tmp_path, cohort(months, np.isin(np.argsort(np.argsort(months)), [2, 5, 9])))
    assert 0 <= result["c_index"]["value"] <= 1
    assert bare(result["c_index"])
    assert bare(result["uno_c"])
    assert "no interval: 3 with an early event, 21 followed for longer" in result["c_index"]["note"]


def test_all_events_after_all_ends_of_follow_up(tmp_path: Path):
    early = np.arange(CASES) < 12
    result, pair = scored(tmp_path, cohort(np.where(early, 1.0, 60.0), ~early))
    why = "no comparable pair: no unit is followed for longer than the first event (60 months)"
    assert (result["c_index"]["value"], result["c_index"]["note"]) == (None, why)
    assert (result["uno_c"]["value"], result["uno_c"]["note"]) == (None, why)
    assert result["dynamic_auc"]["note"].startswith("nobody is followed beyond 60 months")
    assert pair["note"] == f"no c_index: {why}"


def test_all_at_one_time(tmp_path: Path):
    """No censoring weight is left at the only time: neither an error nor a warning."""
    result, _ = scored(tmp_path, cohort(np.full(CASES, 12.0), np.arange(CASES) % 2))
    assert result["c_index"]["value"] is not None
    assert result["c_index"]["low"] is not None  # 12 events against 12 that were followed on
    why = "no comparable pair with an event before the last time (12 months)"
    assert (result["uno_c"]["value"], result["uno_c"]["note"]) == (None, why)
    assert result["dynamic_auc"]["value"] is None


def classified(y: Any, classes: int = 2) -> list[dict[str, Any]]:
    p = np.random.default_rng(2).dirichlet(np.ones(classes), CASES)
    return [
        {
            **{"fold": i % FOLDS, "unit": f"s{i:02}", "case_id": f"s{i:02}", "y": int(y[i])},
            **{f"p_{k}": float(p[i, k]) for k in range(classes)},
        }
        for i in range(CASES)
    ]


def test_one_positive_has_no_interval(tmp_path: Path):
    result, pair = scored(tmp_path, classified(np.arange(CASES) == 7), CLASSES)
    why = "no interval: cases are too few (1 with y = 1; 5 are needed)"
    for metric in ("auc", "balanced_accuracy", "kappa"):
        assert result[metric]["value"] is not None
        assert bare(result[metric])
        assert why in result[metric]["note"]
    assert result["brier"]["low"] < result["brier"]["value"] < result["brier"]["high"]
    assert pair["p"] is None
    assert why in pair["note"]


def test_a_class_that_does_not_occur_is_named(tmp_path: Path):
    result, _ = scored(tmp_path, classified(np.arange(CASES) % 2, classes=3), CLASSES)
    assert (result["auc"]["value"], result["auc"]["note"]) == (None, "no unit has y = 2")
    assert result["balanced_accuracy"]["value"] is not None
    assert result["balanced_accuracy"]["note"] == "no unit has y = 2: mean over the rest"


def test_cases_count_and_not_slides(tmp_path: Path):
    rows = classified(np.arange(CASES) % 2)
    for i, r in enumerate(rows):
        r["case_id"] = f"c{i % 8}"  # four cases of each class
    result, _ = scored(tmp_path, rows, CLASSES)
    assert bare(result["auc"])
    assert "4 with y = " in result["auc"]["note"]


@pytest.mark.parametrize("each", [5, 12])
def test_enough_cases_have_an_interval_and_no_note(tmp_path: Path, each: int):
    rows = classified(np.arange(CASES) < each)
    result, pair = scored(tmp_path, rows, CLASSES)
    assert result["auc"]["low"] <= result["auc"]["value"] <= result["auc"]["high"]
    assert result["auc"]["note"] is None
    assert (pair["p"], pair["note"]) == (1, None)
