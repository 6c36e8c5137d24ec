"""The sentence's place, and what the statuses are."""

from __future__ import annotations

from pathlib import Path

import pytest

from hipt.errors import STATUSES, TROUBLE, HiptError, SlideError, all_of, some_of


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


def test_the_first_and_where_the_others_are():
    faults = [(str(row), HiptError(f"row {row}: wrong")) for row in range(2, 15)]
    assert str(all_of(faults[:1], "row")) == "row 2: wrong"
    assert str(all_of(faults[:2], "row")) == "row 2: wrong (1 more row is at fault: 3)"
    assert str(all_of(faults, "row")) == (
        "row 2: wrong (12 more rows are at fault: 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, ...)"
    )


def test_some_of_a_list():
    assert some_of([], 2) == ""
    assert some_of("ab", 2) == "a, b"
    assert some_of(range(2000), 1) == "0 and 1,999 more"
    assert some_of("abc", 2, "; ") == "a; b; and 1 more"
    assert some_of("abc", 2, counted=False) == "a, b, ..."
