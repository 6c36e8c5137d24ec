"""A task's table of slides: who belongs, with which target, in which part of each fold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from hipt.stats.arrays import Ints
from hipt.store.tables import read_table
from hipt.tasks.schemas import FOLDS

TRAIN, VALIDATION, TEST, UNUSED = 0, 1, 2, -1
"""The numbers in `parts`."""


@dataclass(frozen=True)
class Units:
    """What gets a prediction: slides, or cases with all their slides; N of them, rising by name."""

    names: tuple[str, ...]
    cases: tuple[str, ...]
    sites: tuple[str, ...]
    """Of the unit's first slide."""
    slides: tuple[tuple[str, ...], ...]
    """The slides of each, rising."""
    sources: tuple[str, ...]
    """What names the content of each one's slides."""
    parts: Ints
    """(N, folds): see TRAIN, VALIDATION, TEST, UNUSED."""
    y: Ints
    """(N,) class; 0 for survival."""
    time: npt.NDArray[np.float64]
    """(N,) months; 0 for classification."""
    event: npt.NDArray[np.bool_]
    """(N,)"""
    covariates: tuple[tuple[str, ...], ...] = ()
    """Of the unit's first slide, by the task's `covariates`; empty where they are not known."""
    classes: Mapping[int, str] = field(default_factory=dict)
    """Names of the classes that occur; none for survival."""

    @property
    def folds(self) -> int:
        """Number of folds."""
        return int(self.parts.shape[1])

    @property
    def outputs(self) -> int:
        """Classes that a model tells apart, whether or not all occur; 1 for survival."""
        return int(self.y.max()) + 1

    def of(self, fold: int, part: int) -> Ints:
        """Indices, rising, of the units of a fold's part."""
        return np.flatnonzero(self.parts[:, fold] == part)


def read_units(path: Path) -> Units:
    """The units of `folds.parquet`.

    Raises:
        HiptError: if it is absent, damaged, or of another version.
    """
    rows = pl.DataFrame(read_table(path, FOLDS)).sort("unit", "slide_id").to_dicts()
    groups = [list(group) for _, group in groupby(rows, key=itemgetter("unit"))]
    first = [rows[0] for rows in groups]
    return Units(
        names=tuple(row["unit"] for row in first),
        cases=tuple(row["case_id"] for row in first),
        sites=tuple(row["site"] for row in first),
        slides=tuple(tuple(row["slide_id"] for row in rows) for rows in groups),
        sources=tuple(" ".join(row["source"] for row in rows) for rows in groups),
        parts=np.array([row["parts"] for row in first], np.int64),
        y=np.array([row["y"] or 0 for row in first], np.int64),
        time=np.array([row["time"] or 0.0 for row in first], np.float64),
        event=np.array([bool(row["event"]) for row in first]),
        covariates=tuple(tuple(row["covariates"] or ()) for row in first),
        classes={row["y"]: row["label"] for row in first if row["label"] is not None},
    )
