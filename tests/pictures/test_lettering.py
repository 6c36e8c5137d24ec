"""Lines of text as pictures: whole or visibly shortened, whatever the text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hipt.pictures.lettering import (
    LEAST_PX,
    MICRO,
    fitting_px,
    line_px,
    shortened,
    text_line,
    text_px,
)

HOSTILE = [
    "",
    " ",
    "x" * 5000,
    "日本語",
    "\ud800",
    "a\nb\r\tc\0",
    "e\u0301" * 900,
    "\u202egnp",
    "🧬",
]


def ink_columns(strip: np.ndarray) -> np.ndarray:
    return np.flatnonzero((strip < 128).all(2).any(0))


@settings(max_examples=60)
@given(st.text() | st.sampled_from(HOSTILE), st.integers(1, 300), st.integers(6, 40))
def test_any_text_is_a_line_of_the_size_that_was_asked_for(text: str, width: int, size: int):
    strip = text_line(text, width, size)
    assert (strip.shape, strip.dtype) == ((line_px(size), width, 3), np.uint8)
    np.testing.assert_array_equal(strip[0], 255)  # no letter touches the line above


@settings(max_examples=60)
@given(st.text("abcdefWi_-. 0123456789", min_size=1, max_size=200), st.integers(40, 600))
def test_a_text_is_whole_or_has_both_its_ends_and_an_ellipsis(text: str, width: int):
    shown = shortened(text, width, 14)
    assert text_px(shown, 14) <= width + 2
    if text_px(text, 14) <= width:
        assert shown == text
    if shown != text:
        start, end = shown.split("…")
        assert text.startswith(start)
        assert text.endswith(end)
        assert len(start) - len(end) in (0, 1)
        longer = text[: len(start) + 1] + "…" + text[len(text) - len(end) - 1 :]
        assert text_px(longer, 14) > width  # as much as there is room for


def test_the_text_stands_where_it_was_told_to():
    left, centre, right = (
        ink_columns(text_line("HHH", 200, 20, align)) for align in ("left", "centre", "right")
    )
    assert left[0] < 4
    assert right[-1] > 195
    assert abs(centre[0] + centre[-1] - 199) <= 3
    assert len(left) == len(centre) == len(right)


@pytest.mark.parametrize("size", [11, 14, 20, 33, 60])
def test_the_micro_sign_is_a_u_with_a_stem_below_the_line(size: int):
    u, micro = text_line("5 u", 200, size), text_line(f"5 {MICRO}", 200, size)
    np.testing.assert_array_equal(text_line("5 \N{GREEK SMALL LETTER MU}", 200, size), micro)
    changed = (u != micro).any(2)
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    lowest = np.flatnonzero((u < 128).all(2).any(1))[-1]
    assert rows[-1] - lowest >= 0.15 * size
    assert len(columns) <= 0.09 * size + 1
    stem = np.flatnonzero((u[lowest - size // 4] < 128).all(1))
    assert (micro[rows[-1], stem[-1]] == 255).all()  # not under the second stem
    under = micro[rows[-1], columns]
    assert (under < 128).all()
    assert set(columns) & set(stem)  # under the first


@pytest.mark.parametrize(
    ("text", "alike"),
    [
        ("Łódź ßø", "Lodz sso"),
        ("a\u0301é", "ae"),
        ("1\N{EN DASH}2 \N{MULTIPLICATION SIGN}", "1-2 x"),
    ],
)
def test_letters_that_the_font_lacks_are_written_otherwise(text: str, alike: str):
    np.testing.assert_array_equal(text_line(text, 300, 20), text_line(alike, 300, 20))


def test_a_long_text_is_made_smaller_before_it_is_shortened():
    text = "a heading of some length"
    assert fitting_px(text, 1000, 30) == 30
    smaller = fitting_px(text, 250, 30)
    assert 15 < smaller < 30
    assert shortened(text, 250, smaller) == text
    assert shortened(text, 250, smaller + 1) != text
    assert fitting_px(text, 20, 60) == 30
    assert fitting_px(text, 20, 14) == LEAST_PX
    assert fitting_px("x" * 10_000_000, 400, 20) == LEAST_PX
