"""The sentence's place, and what the statuses are."""

from __future__ import annotations

from collections.abc import Callable
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


@pytest.mark.parametrize("kind", [HiptError, lambda text: SlideError("unreadable", text)])
def test_whatever_a_file_held_the_sentence_is_one_line_to_read(kind: Callable[[str], HiptError]):
    error = kind(f"s.csv, row 2: got '{'x' * 5000}\nTraceback\r\u2028'; correct it")
    assert str(error).startswith("s.csv, row 2: got 'xx")
    assert str(error).endswith("; correct it")
    assert len(str(error)) < 900
    assert len(str(error).splitlines()) == 1


def test_statuses():
    assert len(set(STATUSES)) == len(STATUSES) == 8
    assert {"ok", "no_tissue", "excluded"} == set(STATUSES) - TROUBLE


def test_slide_error_is_a_status_and_a_sentence():
    error = SlideError("no_mpp", "states no resolution")
    assert (error.status, error.reason, str(error)) == ("no_mpp", *["states no resolution"] * 2)
    assert isinstance(error, HiptError)
