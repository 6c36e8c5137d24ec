"""The sentence's place, and what the statuses are."""

from __future__ import annotations

from pathlib import Path

import pytest

from hipt.errors import STATUSES, TROUBLE, HiptError, SlideError


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ({}, "a/s.csv: is wrong"),
        ({"row": 7}, "a/s.csv, row 7: is wrong"),
        ({"row": 7, "column": "mpp"}, "a/s.csv, row 7, column 'mpp': is wrong"),
    ],
)
def test_place(place: dict, sentence: str):
    assert str(HiptError.at(Path("a/s.csv"), "is wrong", **place)) == sentence


def test_statuses():
    assert len(set(STATUSES)) == len(STATUSES) == 9
    assert {"ok", "no_tissue", "excluded"} == set(STATUSES) - TROUBLE


def test_slide_error_is_a_status_and_a_sentence():
    error = SlideError("no_mpp", "states no resolution")
    assert (error.status, error.reason, str(error)) == ("no_mpp", *["states no resolution"] * 2)
    assert isinstance(error, HiptError)
