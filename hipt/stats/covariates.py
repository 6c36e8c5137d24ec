"""What is known of a unit beside its picture, as numbers: age, sex, stage."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from hipt.stats.arrays import Floats, Ints

NOT_KNOWN = ""
"""In place of a value that is not known."""


def coded(rows: Sequence[Sequence[str]], train: Ints) -> Floats:
    """(N, C) numbers of covariates.

    A column whose known values, of all units, are numbers stays one, with the training part's mean
    where it is not known; of another, each value of the training part but the first becomes a
    column of 0 and 1. Where the training part has gaps, another column of 0 and 1 says where they
    are. But for its kind, nothing of the units outside the training part decides a column.

    Args:
        rows: per unit one text per covariate, `NOT_KNOWN` where there is none.
        train: units of the training part.
    """
    columns = [c for cells in zip(*rows, strict=True) for c in _columns(cells, train)]
    return np.stack(columns, 1) if columns else np.zeros((len(rows), 0))


def _columns(cells: Sequence[str], train: Ints) -> Iterator[Floats]:
    """The columns (N,) of one covariate."""
    gap = np.array([cell == NOT_KNOWN for cell in cells])
    values = np.array([_number(cell) for cell in cells])
    trained = train[~gap[train]]
    if np.isfinite(values[~gap]).all():
        mean = values[trained].mean() if len(trained) else 0.0
        yield np.where(gap, mean, values)
    else:
        for level in sorted({cells[i] for i in trained})[1:]:
            yield np.array([cell == level for cell in cells], np.float64)
    if gap[train].any():
        yield gap.astype(np.float64)


def _number(cell: str) -> float:
    """Its number; nan where it is none."""
    try:
        return math.nan if "_" in cell else float(cell)
    except ValueError:
        return math.nan
