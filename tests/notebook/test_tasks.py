"""Tasks as frames."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import hipt
from hipt.notebook.opened import OpenedResults
from hipt.store.tables import write_table
from hipt.tasks.schemas import SCORES


def test_every_task_has_a_row(opened: OpenedResults):
    rows = {row["task"]: row for row in opened.tasks.to_dicts()}
    assert list(rows) == ["death", "subtype"]
    assert rows["subtype"] | {"cases": 30} == {
        **{"task": "subtype", "kind": "classification", "slides": 60, "units": 60, "cases": 30},
        **{"folds": 3, "models": ["hipt", "linear"], "scored": True},
    }
    assert (rows["death"]["kind"], rows["death"]["slides"]) == ("survival", 120)


def test_predictions_of_all_models(opened: OpenedResults, folder: Path):
    predictions = opened.task("subtype").predictions
    assert predictions.columns[:2] == ["model", "fraction"]
    for model in ("linear", "hipt"):
        written = pl.read_parquet(
            folder / "tasks" / "subtype" / model / "1" / "predictions.parquet", glob=False
        )
        here = predictions.filter(model=model, fraction=1.0)
        assert here.select(written.columns).equals(written)


def test_scores_and_differences_are_those_on_disk(opened: OpenedResults, folder: Path):
    task, place = opened.task("subtype"), folder / "tasks" / "subtype"
    assert task.scores.equals(pl.read_parquet(place / "scores.parquet", glob=False))
    assert task.differences.equals(pl.read_parquet(place / "differences.parquet", glob=False))
    assert set(task.table("roc")["model"]) == {"linear", "hipt"}
    assert set(task.folds["parts"].list.len()) == {3}
    assert "classification of 60 units in 3 folds; models: hipt, linear" in repr(task)
    with pytest.raises(hipt.HiptError, match="has no table 'score'; did you mean 'scores'"):
        task.table("score")


def test_nearest_neighbours_are_scored_beside(opened: OpenedResults, folder: Path):
    task = opened.task("subtype")
    assert task.neighbours.is_empty()
    fitted = task.scores
    others = fitted.with_columns(pl.lit("knn_region_cosine").alias("model"))
    write_table(folder / "knn" / "subtype.scores.parquet", others.to_arrow(), SCORES)
    assert task.scores.equals(pl.concat([fitted, others]))


def test_a_task_that_is_not_scored(opened: OpenedResults, folder: Path):
    for name in ("scores", "differences"):
        (folder / "tasks" / "death" / f"{name}.parquet").unlink()
    task = opened.task("death")
    assert len(task.scores) == len(task.differences) == 0
    assert "risk" in task.predictions.columns
    assert opened.tasks.filter(task="death")["scored"].to_list() == [False]
