"""Survival by predicted risk as it is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hipt.report.charts import SIDE
from hipt.report.survival_figures import HEIGHT, survival_figure
from hipt.stats.evaluation import Followed
from hipt.tasks.predictions import Predictions

TIME = np.arange(1.0, 41)
EVENT = np.arange(40) % 3 > 0


def predictions(risk: Any, fold: Any = None, unit: Any = None) -> Predictions:
    names = np.array([f"c{i:02}" for i in range(len(risk))] if unit is None else unit)
    time, event = TIME[: len(risk)], EVENT[: len(risk)]
    found = Followed(time, event, np.asarray(risk, float), (time, event))
    folds = np.zeros(len(risk), np.int64) if fold is None else np.asarray(fold)
    return Predictions(Path("x"), "hipt", 1.0, folds, names, names, found)


def figure(made: Predictions) -> dict[str, Any]:
    (it,) = survival_figure("t", made, "case")
    return it


def test_halves_by_risk_with_their_numbers():
    it = figure(predictions(-TIME))
    assert "No log-rank p: the models that made the groups share training cases" in it["note"]
    assert "p =" not in it["note"] + it["said"]
    events = (int(EVENT[:20].sum()), int(EVENT[20:].sum()))
    high, low = (entry["text"] for entry in it["legend"])
    assert high == f"High risk: 20 cases, {events[0]} events, median 14 months"
    assert low.startswith(f"Low risk: 20 cases, {events[1]} events, ")
    assert [row["name"] for row in it["rows"]] == ["High", "Low"]
    months = [month for _, month in it["x_ticks"]]
    assert [n for _, n in it["rows"][0]["numbers"]] == [(TIME[:20] >= m).sum() for m in months]
    assert len(it["crosses"]) == (~EVENT).sum()
    assert it["said"].count("risk:") == 2


def test_a_curve_starts_whole_and_ends_at_its_last_case():
    it = figure(predictions(-TIME))
    high = [[float(n) for n in p.split(",")] for p in it["lines"][0]["points"].split()]
    assert high[0] == [0, 0]
    assert high[-1][0] == pytest.approx(SIDE * 20 / 40)
    assert all(0 <= y <= HEIGHT for _, y in high)
    assert it["bands"][0]["points"].split()[0] == "0.0,0.0"


def test_risks_of_folds_with_other_scales_are_ranked_within_them():
    fold = np.arange(40) % 2
    same = figure(predictions(-TIME + 1000 * fold, np.sort(fold)))
    assert same["legend"] != figure(predictions(-TIME, np.sort(fold)))["legend"]
    apart = figure(predictions(-TIME + 1000 * fold, fold))
    assert apart["legend"] == figure(predictions(-TIME, fold))["legend"]


def test_a_unit_of_several_folds_counts_once():
    fold, unit = np.repeat([0, 1], 20), [f"c{i % 20:02}" for i in range(40)]
    made = predictions(np.tile(-TIME[:20], 2), fold, unit)
    assert all("10 cases" in entry["text"] for entry in figure(made)["legend"])


def test_nothing_where_all_risks_are_equal():
    assert list(survival_figure("t", predictions(np.ones(40)), "case")) == []


def test_a_curve_that_no_event_bends_and_one_that_falls_to_nothing():
    found = Followed(TIME, TIME <= 20, -TIME, (TIME, TIME <= 20))
    made = predictions(-TIME)
    it = figure(Predictions(made.path, "hipt", 1.0, made.fold, made.unit, made.case, found))
    assert "Low risk: 20 cases, 0 events, median not reached" in it["legend"][1]["text"]
    assert it["lines"][1]["points"] == f"0.0,0.0 {SIDE}.0,0.0"
    at_once = Followed(np.ones(4), np.array([1, 1, 0, 0], bool), np.array([2.0, 2, 1, 1]), ())
    ids = np.array(list("abcd"))
    fallen = Predictions(made.path, "hipt", 1.0, np.zeros(4, int), ids, ids, at_once)
    assert figure(fallen)["bands"][0]["points"] == ""
