"""Numbers as people read them, and pages that are whole or not there."""

from __future__ import annotations

from pathlib import Path

import jinja2
import numpy as np
import pytest

from hipt.report.page import count, data_uri, duration, memory, number, share, write_page


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (count(10678), "10,678"),
        (number(0.2525), "0.253"),
        (number(10678.4), "10,678"),
        (number(99.96), "100"),
        (share(0.5), "50 %"),
        (share(0.125), "12.5 %"),
        (share(0.0001), "< 0.1 %"),
        (share(0.99999), "> 99.9 %"),
        (share(0), "0 %"),
        (share(1), "100 %"),
        (duration(0.84), "0.8 s"),
        (duration(41.4), "41 s"),
        (duration(59.6), "1 min 00 s"),
        (duration(250), "4 min 10 s"),
        (duration(7500), "2 h 05 min"),
        (memory(178.2), "178 MiB"),
        (memory(3481.6), "3.4 GiB"),
    ],
)
def test_numbers_read_as_people_say_them(text: str, expected: str):
    assert text == expected


@pytest.mark.parametrize("say", [count, number, share, duration, memory])
def test_what_is_not_known_is_a_dash(say):
    assert say(None) == say(float("nan")) == "\u2013"


def test_a_picture_is_made_small():
    uri = data_uri(np.full((500, 1000, 3), 200, np.uint8), 100)
    assert uri.startswith("data:image/jpeg;base64,/9j/")
    assert len(uri) < 2000


def test_a_page_that_cannot_be_made_leaves_the_old_one(tmp_path: Path):
    page = tmp_path / "report.html"
    page.write_text("old")
    with pytest.raises(jinja2.UndefinedError):
        write_page(page, "report", {})
    assert page.read_text() == "old"
    assert list(tmp_path.iterdir()) == [page]
