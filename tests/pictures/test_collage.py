"""Pictures put together on white."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hipt.pictures.collage import FRAME_PX, below, beside, bordered, framed, on_white

SIZES = st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20)), min_size=1, max_size=5)


def dark(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 200, (height, width, 3), np.uint8)


@settings(max_examples=40)
@given(SIZES, st.integers(0, 7))
def test_pictures_beside_and_below_each_other_are_as_they_were_and_the_rest_is_white(sizes, gap):
    pictures = [dark(*size, seed) for seed, size in enumerate(sizes)]
    row, column = beside(pictures, gap), below(pictures, gap)
    x = y = 0
    for picture in pictures:
        height, width = picture.shape[:2]
        np.testing.assert_array_equal(row[:height, x : x + width], picture)
        np.testing.assert_array_equal(column[y : y + height, :width], picture)
        x, y = x + width + gap, y + height + gap
    assert row.shape == (max(h for h, _ in sizes), x - gap, 3)
    assert column.shape == (y - gap, max(w for _, w in sizes), 3)
    pixels = sum(h * w for h, w in sizes)
    assert (row < 200).all(2).sum() == (column < 200).all(2).sum() == pixels
    assert (row == 255).all(2).sum() == row[..., 0].size - pixels


def test_a_frame_lies_outside_of_the_picture():
    picture = dark(5, 9)
    out = framed(picture)
    assert out.shape == (5 + 2 * FRAME_PX, 9 + 2 * FRAME_PX, 3)
    np.testing.assert_array_equal(out[FRAME_PX:-FRAME_PX, FRAME_PX:-FRAME_PX], picture)
    assert (out[0] == out[0, 0]).all()
    assert 100 < out[0, 0, 0] < 220  # neither tissue nor paper


@settings(max_examples=40)
@given(*(st.integers(1, 20),) * 2, *(st.integers(0, 9),) * 2)
def test_a_padded_picture_is_in_the_middle(height, width, more_y, more_x):
    picture = dark(height, width)
    out = on_white(picture, height + more_y, width + more_x)
    assert out.shape == (height + more_y, width + more_x, 3)
    top, left = more_y // 2, more_x // 2
    np.testing.assert_array_equal(out[top : top + height, left : left + width], picture)
    assert (out == 255).all(2).sum() == out[..., 0].size - height * width
    np.testing.assert_array_equal(bordered(picture, bottom=1)[:-1], picture)
