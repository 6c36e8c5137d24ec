"""Times, sizes and rates, as people say them."""

from __future__ import annotations

import pytest

from hipt.io.spoken import rate_text, say, size_text, time_text


@pytest.mark.parametrize(
    ("hours", "text"),
    [(0.001, "4 s"), (0.02, "1 min"), (1.9, "114 min"), (2.0, "2.0 h"), (1234.56, "1,234.6 h")],
)
def test_time(hours: float, text: str):
    assert time_text(hours) == text


@pytest.mark.parametrize(
    ("size", "text"), [(2e5, "0 MB"), (9.9e8, "990 MB"), (3.21e12, "3,210.0 GB")]
)
def test_size(size: float, text: str):
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("rate", "text"), [(0.123456, "0.123"), (9.876, "9.88"), (12345.6, "12,346")]
)
def test_rate(rate: float, text: str):
    assert rate_text(rate) == text


def test_headings_stand_in_a_column(capsys: pytest.CaptureFixture[str]):
    say("head", "a")
    say("", "b")
    assert capsys.readouterr().out == "head      a\n          b\n"
