"""The worst errors in words, with slides and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hipt.layout import Results
from hipt.report.errors import MOST, with_pictures, with_slides, worst_errors
from hipt.stats.evaluation import Classified, Followed, Found
from hipt.store.images import write_jpeg
from hipt.tasks.predictions import Predictions


def predictions(found: Found, unit: list[str], fold: Any = None) -> Predictions:
    names, folds = np.array(unit), np.zeros(len(unit), int) if fold is None else np.array(fold)
    cases = np.array([f"case of {name}" for name in unit])
    return Predictions(Path("x"), "hipt", 1.0, folds, names, cases, found)


def test_classes_worst_first_with_truth_and_prediction():
    p = np.array([[0.3, 0.7], [0.99999, 0.00001], [0.2, 0.8], [0.1, 0.9]])
    made = predictions(Classified(np.array([0, 1, 1, 0]), p), list("abcd"))
    ((kind, rows),) = worst_errors(made, ["IDC", "ILC"])
    assert kind == "Highest probability of a wrong class"
    assert [row["unit"] for row in rows] == ["b", "d", "a"]
    assert (rows[0]["truth"], rows[0]["predicted"]) == ("ILC", "IDC, >\u00a099.9\u00a0%")
    assert (rows[1]["case"], rows[1]["predicted"]) == ("case of d", "ILC, 90\u00a0%")
    assert all(row["why"] == "" for row in rows)


def test_a_unit_of_several_folds_is_one_error():
    p = np.array([[0.9, 0.1], [0.3, 0.7]])
    made = predictions(Classified(np.array([1, 1]), p), ["a", "a"], [0, 1])
    ((_, (row,)),) = worst_errors(made, ["x", "y"])
    assert (row["predicted"], row["why"]) == ("x, 60\u00a0%", "mean of 2 folds that test it")


def test_survival_on_both_sides():
    time, event = np.arange(1.0, 21), np.arange(20) < 15
    risk = -time
    risk[0], risk[19] = -30, 30  # the first to die had the lowest risk, the last the highest
    made = predictions(Followed(time, event, risk, (time, event)), [f"c{i:02}" for i in range(20)])
    (early, first), (late, last) = worst_errors(made, [])
    assert (early, late) == ("Early event, low risk", "Late or no event, high risk")
    assert [row["unit"] for row in first] == ["c00"]
    assert first[0]["truth"] == "event after 1.0 months"
    assert first[0]["predicted"] == "risk rank 2.5\u00a0%"
    assert first[0]["why"] == "19 of the 19 that outlived it were given a higher risk"
    assert [row["unit"] for row in last] == ["c19"]
    assert last[0]["truth"] == "no event in 20.0 months"
    assert last[0]["why"] == "15 of the 15 that it outlived were given a lower risk"


def test_no_more_than_a_few():
    p = np.tile([0.9, 0.1], (30, 1))
    made = predictions(Classified(np.ones(30, int), p), [f"u{i:02}" for i in range(30)])
    ((_, rows),) = worst_errors(made, ["a", "b"])
    assert len(rows) == MOST


def test_slides_of_a_case_are_named_up_to_a_few():
    rows = [{"unit": "c1"}, {"unit": "s9"}, {"unit": "gone"}]
    slides = {"c1": ["s1", "s2", "s3", "s4", "s5"], "s9": ["s9"]}
    found = with_slides(rows, slides)
    assert found[0] == {"unit": "c1", "slides": ["s1", "s2", "s3"], "more": 2}
    assert [row["slides"] for row in found[1:]] == [[], []]


def test_the_first_picture_that_is_there(tmp_path: Path):
    results = Results(tmp_path)
    for step, slide in (("segment", "s1"), ("segment", "s2"), ("tile", "s2")):
        results.overview(step, slide).parent.mkdir(exist_ok=True)
        write_jpeg(results.overview(step, slide), np.full((9, 12, 3), 200, np.uint8))
    slides = {"a": ["s0", "s1"], "b": ["s2"], "c": ["s3"]}
    found = with_pictures([{"unit": name} for name in "abcd"], slides, results)
    files = [row["picture"] and row["picture"]["file"] for row in found]
    assert files == ["segment/s1.jpg", "tile/s2.jpg", None, None]
