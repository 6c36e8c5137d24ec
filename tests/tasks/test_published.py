"""Published numbers beside ours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hipt.tasks.published import published_rows
from hipt.tasks.units import Units

THEIRS = {"hipt": {1.0: (0.879, 0.06), 0.5: (0.1, 0.1)}, "knn": {1.0: (0.77, 0.04)}}


def scores(model: str, folds: list[float | None], fraction: float = 1.0) -> list[dict[str, Any]]:
    known = [value for value in folds if value is not None]
    head = {"task": "t", "model": model, "fraction": fraction}
    mean = float(np.mean(known)) if known else None
    sd = float(np.std(known, ddof=1)) if len(known) > 1 else None
    return [
        *({**head, "fold": k, "metric": "auc", "value": value} for k, value in enumerate(folds)),
        {**head, "fold": None, "metric": "auc", "value": mean},
        {**head, "fold": None, "metric": "auc_mean", "value": mean},
        {**head, "fold": None, "metric": "auc_sd", "value": sd},
    ]


def units(parts: Any) -> Units:
    parts = np.asarray(parts, np.int64)
    names = tuple(f"u{i}" for i in range(len(parts)))
    nothing = np.zeros(len(parts))
    return Units(names, names, names, tuple((n,) for n in names), names, parts,
                 nothing.astype(np.int64), nothing, nothing > 0)  # fmt: skip


THIRDS = units([[2 if i % 3 == k else 0 for k in range(3)] for i in range(9)])


def compared(rows: list[dict[str, Any]], of: Units | None = THIRDS) -> list[dict[str, Any]]:
    return list(published_rows(rows, "classification", THEIRS, of))


def test_the_difference_in_standard_errors():
    (row,) = compared([*scores("linear", [0.5, 0.6, 0.7]), *scores("hipt", [0.7, 0.8, 0.9])])
    assert [row[name] for name in ("model", "fraction", "metric", "folds")] == ["hipt", 1, "auc", 3]
    assert (row["published_mean"], row["published_sd"]) == (0.879, 0.06)
    assert row["difference"] == pytest.approx(0.8 - 0.879)
    # three folds share training cases: each tests a third
    assert row["error"] == pytest.approx(((0.1**2 + 0.06**2) * (1 / 3 + (1 / 3) / (2 / 3))) ** 0.5)
    assert row["distance"] == pytest.approx(row["difference"] / row["error"])
    assert row["test_share"] == pytest.approx(1 / 3)


def test_a_fraction_has_its_own():
    rows = [*scores("hipt", [0.7, 0.8, 0.9], 0.5), *scores("hipt", [0.7, 0.8, 0.9], 0.25)]
    assert [(row["fraction"], row["published_mean"]) for row in compared(rows)] == [(0.5, 0.1)]


def test_the_papers_neighbours_are_one_of_ours():
    rows = [*scores("knn_region_cosine", [0.5] * 3), *scores("knn_region_euclidean", [0.8] * 3)]
    (row,) = compared(rows)
    assert (row["model"], row["published_mean"]) == ("knn_region_euclidean", 0.77)
    assert row["difference"] == pytest.approx(0.03)


def test_a_score_of_one_fold_alone_has_no_distance_in_standard_errors():
    """Its deviation is not known; it counted as 0."""
    (row,) = compared(scores("hipt", [0.9, None, None]))
    assert row["difference"] == pytest.approx(0.021)
    assert (row["sd"], row["error"], row["distance"], row["folds"]) == (None, None, None, 1)


def test_no_score_at_all():
    (row,) = compared(scores("hipt", [None, None]))
    assert [row[name] for name in ("mean", "difference", "distance")] == [None] * 3


def test_nobody_knows_what_folds_share():
    (row,) = compared(scores("hipt", [0.7, 0.8, 0.9]), None)
    assert row["difference"] == pytest.approx(0.8 - 0.879)
    assert (row["test_share"], row["error"], row["distance"]) == (None, None, None)
    everything = units(np.full((4, 3), 2))
    (row,) = compared(scores("hipt", [0.7, 0.8, 0.9]), everything)
    assert (row["test_share"], row["distance"]) == (1, None)
