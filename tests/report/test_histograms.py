"""Histograms against counts by hand."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hipt.report.figures import Drawn
from hipt.report.histograms import histograms, round_edges
from tests.report.test_cohort import table


def bars(drawn: Drawn) -> tuple[list[float], list[float]]:
    """Heights of a histogram's bars, and their edges."""
    patches: Any = drawn.figure.axes[0].patches
    left = [bar.get_x() for bar in patches]
    step = (patches[0].get_width()) / 0.92
    return [bar.get_height() for bar in patches], [*left, left[-1] + step]


def test_no_histogram_of_nothing():
    assert list(histograms(table(status=["missing"]))) == []


@settings(max_examples=25)
@given(st.lists(st.floats(1e-3, 1e5), min_size=1, max_size=40))
def test_histogram_counts_every_slide_once(values: list[float]):
    heights, edges = bars(next(histograms(table(tissue_mm2=values))))
    assert sum(heights) == len(values)
    assert len(edges) == len(heights) + 1 <= 27
    assert edges[0] == 0
    assert edges[-1] > max(values) * (1 - 1e-9)
    counted = np.histogram(values, round_edges(max(values), 0.0))[0]
    assert heights == counted.tolist()


def test_regions_are_counted_in_whole_steps():
    drawn = list(histograms(table(regions=[1, 2, 2, 3])))[1]
    heights, edges = bars(drawn)
    assert edges == pytest.approx([0, 1, 2, 3, 4])
    assert heights == [0, 1, 2, 1]
    assert drawn.description == "Number of slides, 1 to 2: 1; 2 to 3: 2; 3 to 4: 1."
    assert drawn.note == "Median 2 (dashed), middle half 1.75 to 2.25, range 1 to 3."
    assert re.fullmatch(r"[\w-]+", drawn.name)


@given(st.floats(1e-6, 1e9), st.sampled_from([0.0, 1.0]))
def test_edges_are_round_few_and_go_beyond(most: float, least: float):
    edges = round_edges(most, least)
    step = edges[1]
    assert step >= least
    mantissa = step / 10 ** np.floor(np.log10(step) + 1e-9)
    assert min(abs(mantissa - k) for k in (1, 2, 5)) < 1e-6
    assert len(edges) <= 27
    assert edges[-1] > most * (1 - 1e-9)
