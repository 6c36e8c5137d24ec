"""Survival by predicted risk as the page has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from hipt.report.figures import Drawn
from hipt.report.page import share
from hipt.report.survival_figures import survival_drawn
from hipt.stats.evaluation import Followed
from hipt.tasks.curves import survival_by_risk, table_of
from hipt.tasks.predictions import Predictions
from hipt.tasks.schemas import SURVIVAL

TIME = np.arange(1.0, 41)
EVENT = np.arange(40) % 3 > 0


def drawn(time: Any, event: Any, risk: Any) -> list[Drawn]:
    names = np.array([f"c{i:02}" for i in range(len(time))])
    found = Followed(np.asarray(time, float), np.asarray(event, bool), np.asarray(risk, float), ())
    made = Predictions(Path("x"), "hipt", 1.0, np.zeros(len(time), int), names, names, found)
    rows = pl.DataFrame(table_of("t", [made], survival_by_risk, SURVIVAL))
    return list(survival_drawn("t", "hipt", rows, "case"))


def legend(figure: Drawn) -> list[str]:
    return [text.get_text() for text in figure.figure.legends[0].get_texts()]


def test_halves_by_risk_with_their_numbers():
    (it,) = drawn(TIME, EVENT, -TIME)
    assert (it.name, it.title) == ("t-hipt-survival", "Survival by the risk that hipt predicts")
    assert "No log-rank p-value: the risks come from models that share training cases" in it.note
    assert "p =" not in it.note + it.description
    events = (int(EVENT[:20].sum()), int(EVENT[20:].sum()))
    high, low = legend(it)
    assert high == f"High risk: 20 cases, {events[0]} events, median 14 months"
    assert low.startswith(f"Low risk: 20 cases, {events[1]} events, ")
    axes, table = it.figure.axes
    months = axes.get_xticks().tolist()
    assert [t.get_text() for t in table.texts[: len(months)]] == [
        str((TIME[:20] >= month).sum()) for month in months
    ]
    strokes = [line for line in axes.lines if line.get_marker() == "|"]
    assert sum(len(line.get_xdata()) for line in strokes) == (~EVENT).sum()
    assert it.description.count("risk:") == 2


def test_words_say_who_is_left_after_a_month():
    (it,) = drawn(TIME, EVENT, -TIME)
    left = {"High": 1.0, "Low": 1.0}
    for i in range(40):
        if EVENT[i] and TIME[i] <= 24:
            left["High" if i < 20 else "Low"] *= 1 - 1 / (20 - i % 20)
    assert it.description.startswith(
        f"Survival at 24 months: High risk: {share(abs(left['High']))}; "
        f"Low risk: {share(left['Low'])}."
    )


def test_a_curve_starts_whole_and_ends_at_its_last_case():
    (it,) = drawn(TIME, EVENT, -TIME)
    high = it.figure.axes[0].lines[0].get_xydata()
    assert high[0].tolist() == [0, 1]
    assert high[-1, 0] == 20
    assert ((high[:, 1] >= 0) & (high[:, 1] <= 1)).all()


def test_nothing_where_all_risks_are_equal():
    assert drawn(TIME, EVENT, np.ones(40)) == []


def test_a_curve_that_no_event_bends_and_one_that_falls_to_nothing():
    (it,) = drawn(TIME, TIME <= 20, -TIME)
    assert legend(it)[1] == "Low risk: 20 cases, 0 events, median not reached"
    lines = [line for line in it.figure.axes[0].lines if line.get_marker() != "|"]
    assert set(lines[1].get_ydata()) == {1}
    (fallen,) = drawn(np.ones(4), [1, 1, 0, 0], [2.0, 2, 1, 1])
    assert fallen.figure.axes[0].lines[0].get_ydata()[-1] == pytest.approx(0)
