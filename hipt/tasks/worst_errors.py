"""The units that a model is most wrong about, for people to look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from hipt.stats.arrays import Ints
from hipt.stats.evaluation import Classified, pooled
from hipt.stats.per_unit import each_once, misordered, most_misordered, most_wrong
from hipt.tasks.curves import Columns
from hipt.tasks.predictions import Predictions

MOST = 8
"""Most errors that are listed of a model."""


def worst_errors(made: Predictions, names: Mapping[int, str]) -> Iterator[Columns]:
    """Errors as in `ERRORS`, worst first, one part for each kind.

    A unit that several folds test counts once, with its mean probability, or mean rank of risk.
    """
    comparable = pooled(made.predicted, made.fold)
    if isinstance(comparable, Classified):
        first, times, classified = each_once(comparable, made.unit)
        rows = most_wrong(classified, MOST)
        answer = classified.p[rows].argmax(1)
        yield _units("wrong_class", made, first[rows], times[rows]) | {
            "label": [names.get(kind, str(kind)) for kind in classified.y[rows].tolist()],
            "predicted": [names.get(kind, str(kind)) for kind in answer.tolist()],
            "p": classified.p[rows, answer],
        }
        return
    first, times, once = each_once(comparable, made.unit)
    pairs = misordered(once.time, once.event, once.risk)
    for kind, wrong, of in (
        ("early_event", pairs.outlived_wrong, pairs.outlived),
        ("late_event", pairs.survived_wrong, pairs.survived),
    ):
        rows = most_misordered(wrong, of, MOST // 2)
        yield _units(kind, made, first[rows], times[rows]) | {
            **{"time": once.time[rows], "event": once.event[rows], "risk": once.risk[rows]},
            **{"wrong": wrong[rows], "pairs": of[rows]},
        }


def _units(kind: str, made: Predictions, rows: Ints, times: Ints) -> Columns:
    """Who the errors are of: rows of the predictions, and how many folds test each."""
    return {
        **{"kind": kind, "rank": np.arange(1, len(rows) + 1), "folds": times},
        **{"unit": made.unit[rows], "case_id": made.case[rows]},
    }
