"""Predictions from disk: their order, their name, what they know of censoring."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hipt.errors import HiptError
from hipt.stats.evaluation import Followed
from hipt.store.tables import write_rows
from hipt.tasks.predictions import read_predictions
from hipt.tasks.schemas import predictions_schema


def survival_file(folder: Path, hazards: int = 0) -> Path:
    """Two units in two folds each, out of order."""
    path = folder / "hipt" / "0.25" / "predictions.parquet"
    path.parent.mkdir(parents=True)
    rows = [
        {"fold": fold, "unit": unit, "case_id": "c", "time": time, "event": True, "risk": fold + 1}
        | {f"hazard_{k}": 0.5 for k in range(hazards)}
        for fold in (1, 0)
        for unit, time in (("b", 2.0), ("a", 1.0))
    ]
    write_rows(path, rows, predictions_schema("survival", hazards))
    return path


@pytest.mark.parametrize("hazards", [0, 4])
def test_rows_are_in_order_and_every_unit_tells_once_of_censoring(tmp_path: Path, hazards: int):
    made = read_predictions(survival_file(tmp_path, hazards), "survival")
    assert (made.model, made.fraction) == ("hipt", 0.25)
    assert made.keys == [(0, "a"), (0, "b"), (1, "a"), (1, "b")]
    assert made.groups.tolist() == [0, 0, 0, 0]
    assert isinstance(made.predicted, Followed)
    assert made.predicted.risk.tolist() == [1, 1, 2, 2]
    assert [values.tolist() for values in made.predicted.everyone] == [[1, 2], [True, True]]


def test_some_of_them(tmp_path: Path):
    part = read_predictions(survival_file(tmp_path), "survival").take(np.array([3, 0]))
    assert part.keys == [(1, "b"), (0, "a")]
    assert isinstance(part.predicted, Followed)
    assert part.predicted.time.tolist() == [2, 1]
    assert len(part.predicted.everyone[0]) == 2


def test_absent(tmp_path: Path):
    with pytest.raises(HiptError, match="not there"):
        read_predictions(tmp_path / "hipt" / "1.0" / "predictions.parquet", "survival")
