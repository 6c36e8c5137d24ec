"""Predictions of a fitted model, as the arrays that scores and figures need."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hipt.errors import HiptError
from hipt.stats.arrays import Ints, Texts
from hipt.stats.evaluation import Classified, Followed, Predicted
from hipt.store.tables import read_table
from hipt.tasks.schemas import predictions_schema

Kind = Literal["classification", "survival"]


@dataclass(frozen=True)
class Predictions:
    """What one model, fitted with one share of the training part, says of all test parts."""

    path: Path
    model: str
    fraction: float
    fold: Ints
    """(N,) rising."""
    unit: Texts
    """(N,) rising within a fold."""
    case: Texts
    """(N,)."""
    predicted: Predicted
    """N predictions."""

    @property
    def groups(self) -> Ints:
        """(N,) number of each prediction's case."""
        return np.unique(self.case, return_inverse=True)[1]

    @property
    def keys(self) -> list[tuple[int, str]]:
        """Fold and unit of each prediction, each pair once."""
        return list(zip(self.fold.tolist(), self.unit.tolist(), strict=True))

    def take(self, rows: npt.NDArray[Any]) -> Predictions:
        """Some of them, by index or mask."""
        return replace(
            self,
            fold=self.fold[rows],
            unit=self.unit[rows],
            case=self.case[rows],
            predicted=self.predicted.take(rows),
        )


def read_predictions(path: Path, kind: Kind) -> Predictions:
    """The predictions in `<model>/<fraction>/predictions.parquet`, ordered by fold and unit.

    Raises:
        HiptError: if it is absent, of another kind, empty, twice of one unit, or not finite.
    """
    stem = "p_" if kind == "classification" else "hazard_"
    outputs = sum(name.startswith(stem) for name in read_table(path).column_names)
    table = read_table(path, predictions_schema(kind, outputs))
    table = table.sort_by([("fold", "ascending"), ("unit", "ascending")])
    fold = table["fold"].to_numpy()
    unit, case = (np.array(table[name].to_pylist(), np.str_) for name in ("unit", "case_id"))
    predicted = _classified(table, outputs) if kind == "classification" else _followed(table, unit)
    model, fraction = path.parent.parent.name, _number(path, path.parent.name)
    made = Predictions(path, model, fraction, fold, unit, case, predicted)
    _look_at(made)
    return made


def _classified(table: pa.Table, outputs: int) -> Classified:
    p, calibrated = (
        np.stack([table[f"{stem}_{k}"].to_numpy() for k in range(outputs)], 1)
        for stem in ("p", "calibrated")
    )
    known = table["calibrated_0"].null_count == 0
    return Classified(table["y"].to_numpy(), p, calibrated if known else None)


def _followed(table: pa.Table, unit: Texts) -> Followed:
    """Follow-up and risks; of censoring every unit tells once."""
    time, event, risk = (table[name].to_numpy() for name in ("time", "event", "risk"))
    first = np.unique(unit, return_index=True)[1]
    return Followed(time, event, risk, (time[first], event[first]))


def _number(path: Path, fraction: str) -> float:
    """The fraction that a folder is named after."""
    try:
        return float(fraction)
    except ValueError:
        raise HiptError(
            f"{path}: must lie in <model>/<fraction>/, but '{fraction}' is no number"
        ) from None


def _look_at(made: Predictions) -> None:
    """Refuse what cannot be scored."""
    keys = made.keys
    if not keys:
        raise HiptError(f"{made.path}: has no predictions; give the task units to test")
    twice = next((key for key, two in pairwise(keys) if key == two), None)
    if twice:
        raise HiptError(f"{made.path}: fold {twice[0]} predicts '{twice[1]}' twice; delete it")
    if isinstance(made.predicted, Classified):  # no number where a probability is none
        values = (made.predicted.p + made.predicted.at_prevalence).sum(1) / 2
    else:
        values = made.predicted.risk
    if (wrong := np.flatnonzero(~np.isfinite(values))).size:
        fold, unit = keys[wrong[0]]
        raise HiptError(
            f"{made.path}: fold {fold} predicts {values[wrong[0]]} for '{unit}'; the fit went "
            f"astray: lower fit.lr"
        )
