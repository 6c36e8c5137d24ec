"""The worst errors in words, with slides and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from hipt.layout import Results
from hipt.report.errors import error_groups, with_pictures, with_slides
from hipt.store.images import write_jpeg
from hipt.tasks.schemas import ERRORS


def error(kind: str, unit: str, rank: int = 1, **columns: Any) -> dict[str, Any]:
    head = {"task": "t", "model": "hipt", "fraction": 1.0, "kind": kind, "rank": rank, "folds": 1}
    return {**head, "unit": unit, "case_id": f"case of {unit}", **columns}


def groups(rows: list[dict[str, Any]], kind: str) -> list[tuple[str, list[dict[str, Any]]]]:
    table = pa.Table.from_pylist([dict.fromkeys(ERRORS.names) | row for row in rows], ERRORS)
    return list(error_groups(pl.DataFrame(table), kind))


def test_classes_worst_first_with_truth_and_prediction():
    wrong = {"label": "ILC", "predicted": "IDC"}
    rows = [
        error("wrong_class", "d", 2, **wrong, p=0.9),
        error("wrong_class", "b", 1, **wrong, p=0.99999),
    ]
    ((kind, result),) = groups(rows, "classification")
    assert kind == "Highest probability of a wrong class"
    assert [row["unit"] for row in result] == ["b", "d"]
    assert (result[0]["truth"], result[0]["predicted"]) == ("ILC", "IDC, >\u00a099.9\u00a0%")
    assert (result[1]["case"], result[1]["predicted"]) == ("case of d", "IDC, 90\u00a0%")
    assert all(row["why"] == "" for row in result)


def test_a_unit_of_several_folds_is_a_mean():
    row = error("wrong_class", "a", label="y", predicted="x", p=0.6) | {"folds": 2}
    ((_, (result,)),) = groups([row], "classification")
    assert (result["predicted"], result["why"]) == ("x, 60\u00a0%", "mean of 2 folds that test it")


def test_survival_on_both_sides():
    rows = [
        error("late_event", "c19", time=20.0, event=False, risk=0.975, wrong=15.0, pairs=15.0),
        error("early_event", "c00", time=1.0, event=True, risk=0.025, wrong=18.5, pairs=19.0),
    ]
    (early, (first,)), (late, (last,)) = groups(rows, "survival")
    assert (early, late) == ("Early event, low risk", "Late or no event, high risk")
    assert (first["unit"], last["unit"]) == ("c00", "c19")
    assert first["truth"] == "event after 1.0 months"
    assert first["predicted"] == "risk rank 2.5\u00a0%"
    assert first["why"] == "18 of the 19 that outlived it were given a higher risk"
    assert last["truth"] == "no event in 20.0 months"
    assert last["why"] == "15 of the 15 that it outlived were given a lower risk"


def test_a_kind_without_errors_stays():
    assert groups([], "classification") == [("Highest probability of a wrong class", [])]


def test_slides_of_a_case_are_named_up_to_a_few():
    rows = [{"unit": "c1"}, {"unit": "s9"}, {"unit": "gone"}]
    slides = {"c1": ["s1", "s2", "s3", "s4", "s5"], "s9": ["s9"]}
    result = list(with_slides(rows, slides))
    assert result[0] == {"unit": "c1", "slides": ["s1", "s2", "s3"], "more": 2}
    assert [row["slides"] for row in result[1:]] == [[], []]


def test_the_first_picture_that_is_there(tmp_path: Path):
    results = Results(tmp_path)
    for step, slide in (("segment", "s1"), ("segment", "s2"), ("tile", "s2")):
        results.overview(step, slide).parent.mkdir(exist_ok=True)
        write_jpeg(results.overview(step, slide), np.full((9, 12, 3), 200, np.uint8))
    slides = {"a": ["s0", "s1"], "b": ["s2"], "c": ["s3"]}
    result = list(with_pictures([{"unit": name} for name in "abcd"], slides, results))
    files = [row["picture"] and row["picture"]["file"] for row in result]
    assert files == ["segment/s1.jpg", "tile/s2.jpg", None, None]
