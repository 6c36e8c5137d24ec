"""Heat maps in colour, over tissue, and what a figure says of them."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hipt.pictures.figure import rgb_of
from hipt.pictures.heat import Legend, coloured, figure, overlay, round_length
from tests.pictures.test_canvas import HOSTILE

RAMP = np.linspace(0, 1, 256)[None]
LEGEND = Legend("attention", ("0 %", "100 %"))
INK = (34, 34, 34)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(40, 200, (height, width, 3), np.uint8)


def drawn(
    rgb: np.ndarray, legend: Legend = LEGEND, title: str = "a title", um_per_px: float = 1.0
) -> np.ndarray:
    """The pixels of a figure of one picture."""
    return rgb_of(figure({"": rgb}, legend, title=title, um_per_px=um_per_px))


def luminance(rgb: np.ndarray) -> np.ndarray:
    """Relative luminance of sRGB."""
    return ((rgb / 255 + 0.055) / 1.055) ** 2.4 @ [0.2126, 0.7152, 0.0722]


def place_of(part: np.ndarray, whole: np.ndarray) -> tuple[int, int]:
    """Row and column at which a picture is found in another, exactly."""
    off = cv2.matchTemplate(whole, part, cv2.TM_SQDIFF)
    row, column = np.unravel_index(np.argmin(off), off.shape)
    height, width = part.shape[:2]
    np.testing.assert_array_equal(whole[row : row + height, column : column + width], part)
    return int(row), int(column)


def longest_run(row: np.ndarray) -> int:
    """Longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(np.int8), [0]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def test_colours_rise_in_luminance_and_are_none_of_the_stain():
    colours = coloured(RAMP)[0]
    light = luminance(colours)
    assert (np.diff(light[::4]) > 0).all()
    assert np.diff(light).min() > -1e-3  # of 256 steps in 8 bits two fall by a rounding
    assert light[-1] - light[0] > 0.6
    hue = cv2.cvtColor(colours[None], cv2.COLOR_RGB2HSV)[0, :, 0] * 2.0  # degrees
    assert hue[[0, -1]] == pytest.approx([230, 54], abs=10)
    assert (np.diff(hue) <= 2).all()  # blue, green, yellow


def test_colours_are_told_apart_by_who_lacks_red_or_green_cones():
    lab = cv2.cvtColor((coloured(RAMP) / 255).astype(np.float32), cv2.COLOR_RGB2LAB)[0, ::32]
    steps = np.linalg.norm(np.diff(lab[:, [0, 2]], axis=0), axis=1)  # without red against green
    assert steps.min() > 8


def test_what_is_not_known_is_white_and_what_lies_beyond_is_an_end():
    out = coloured(np.array([[np.nan, 0.0, 1.0], [-0.1, 1 + 1e-9, 0.5]], np.float32))
    assert (out[0, 0] == 255).all()
    np.testing.assert_array_equal(out[1, :2], out[0, 1:])
    assert (out[0, 1:] < 255).any(1).all()


@settings(max_examples=40)
@given(*(st.integers(1, 12),) * 2, *(st.integers(1, 60),) * 2, st.floats(0, 1))
def test_an_overlay_is_the_mean_of_colour_and_grey_where_a_value_is_known(h, w, rows, cols, alpha):
    rgb = noise(rows, cols)
    rng = np.random.default_rng(h * w)
    values = np.where(rng.random((h, w)) < 0.3, np.nan, rng.random((h, w)))
    before = rgb.copy()
    out = overlay(rgb, values, alpha=alpha)
    np.testing.assert_array_equal(rgb, before)
    y = np.floor((np.arange(rows) + 0.5) * h / rows).astype(int)
    x = np.floor((np.arange(cols) + 0.5) * w / cols).astype(int)
    large = values[y][:, x]
    np.testing.assert_array_equal(out[np.isnan(large)], rgb[np.isnan(large)])
    grey = rgb @ np.array([[0.299], [0.587], [0.114]])
    expected = alpha * coloured(large) + (1 - alpha) * grey
    known = ~np.isnan(large)
    assert np.abs(out - expected)[known].max(initial=0) <= 1.1


def test_cells_of_a_lattice_have_sharp_edges_on_whole_pixels():
    values = np.random.default_rng(0).random((16, 16))
    out = overlay(np.full((64, 64, 3), 128, np.uint8), values)
    cells = out.reshape(16, 4, 16, 4, 3)
    assert (cells == cells[:, :1, :, :1]).all()
    assert len(np.unique(cells[:, 0, :, 0].reshape(-1, 3), axis=0)) > 100


def test_structure_under_an_overlay_is_seen():
    rgb = noise(64, 64)
    out = overlay(rgb, np.full((1, 1), 0.7))
    assert np.corrcoef(luminance(rgb).ravel(), luminance(out).ravel())[0, 1] > 0.95


@settings(max_examples=200)
@given(st.floats(1e-4, 1e4), st.floats(1, 5000))
def test_a_scale_bar_is_round_and_as_long_as_it_says(um_per_px: float, most_px: float):
    length_px, text = round_length(um_per_px, most_px)
    number, unit = text.split()
    um = float(number) * {"mm": 1000, "µm": 1}[unit]
    assert (unit == "mm") == (um >= 999)
    mantissa = um / 10 ** math.floor(math.log10(um) + 1e-9)
    assert min(abs(mantissa - step) for step in (1, 2, 5)) < 1e-6
    assert abs(length_px - um / um_per_px) <= 0.5 + 1e-6
    assert 0.4 * most_px - 1 <= length_px <= most_px + 0.5


@pytest.mark.parametrize("um_per_px", [0, -1, math.nan, math.inf])
def test_a_scale_without_length_is_refused(um_per_px: float):
    with pytest.raises(ValueError, match="more than 0 um per pixel"):
        drawn(noise(20, 20), um_per_px=um_per_px)


@pytest.mark.parametrize("shape", [(1, 1), (16, 16), (300, 40), (90, 800), (700, 900), (40, 3000)])
@pytest.mark.parametrize("um_per_px", [0.26, 3.7, 64.0])
def test_a_figure_holds_the_picture_the_colours_and_a_bar_of_the_right_length(shape, um_per_px):
    rgb = noise(*shape)
    out = drawn(rgb, um_per_px=um_per_px)
    row, column = place_of(rgb, out)
    below = out[row + shape[0] + 2 :]
    bar = max(longest_run((line == INK).all(1)) for line in below)
    width = out.shape[1] - 2 * column + 2
    possible = [step * 10.0**power for power in range(-3, 7) for step in (1, 2, 5)]
    um = max(length for length in possible if length <= um_per_px * (width // 4))
    assert abs(bar - um / um_per_px) <= 1
    ends = coloured(np.array([[0.0, 1.0]]))[0]
    left, right = (np.nonzero((below == end).all(2))[1] for end in ends)
    assert right.min() - left.max() > 0.4 * width
    assert (out[:row] < 100).any()  # a heading
    for edge in (out[0], out[-1], out[:, 0], out[:, -1]):
        assert (edge == 255).all()


def test_texts_of_a_figure_are_seen_where_they_belong():
    rgb = noise(400, 600)
    plain = drawn(rgb)
    top, left = place_of(rgb, plain)
    above, beneath = slice(0, top - 1), slice(top + 401, None)
    near, far = slice(0, left + 120), slice(left + 120, left + 300)
    for changed, rows, columns in (
        (drawn(rgb, title="another"), above, slice(None)),
        (drawn(rgb, Legend("other", LEGEND.ends)), beneath, slice(0, left + 300)),
        (drawn(rgb, Legend("attention", ("low", "100 %"))), beneath, near),
        (drawn(rgb, Legend("attention", ("0 %", "hi"))), beneath, far),
    ):
        different = (changed != plain).any(2)
        assert different.any()
        different[rows, columns] = False
        assert not different.any()


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_makes_a_figure_and_leaves_the_picture_alone(text: str):
    rgb = noise(64, 64)
    place_of(rgb, drawn(rgb, Legend(text, (text, text)), text))
    labelled = figure({text: rgb}, LEGEND, title="a", um_per_px=0.5, columns=3)
    place_of(rgb, rgb_of(labelled))


@settings(max_examples=25)
@given(st.lists(st.tuples(*(st.integers(8, 40),) * 2), min_size=1, max_size=8), st.integers(1, 4))
def test_a_grid_holds_every_picture_in_its_order(sizes, columns):
    pictures = {f"head {seed}": noise(*size, seed) for seed, size in enumerate(sizes)}
    out = rgb_of(figure(pictures, LEGEND, title="", um_per_px=1.0, columns=columns))
    tallest = max(height for height, _ in sizes)
    places = [place_of(picture, out) for picture in pictures.values()]
    for i, (row, column) in enumerate(places):
        assert (out[: row - 1, column] == 255).any()
        if i % columns:
            assert column > places[i - 1][1] + sizes[i - 1][1]
            assert abs(row - places[i - 1][0]) <= tallest
        elif i:
            assert row > max(
                places[j][0] + sizes[j][0] for j in range(i - columns, i)
            )  # below the row before


def test_a_label_stands_above_its_picture():
    pictures = {name: noise(90, 90, seed) for seed, name in enumerate(("HH", "MM"))}
    out = rgb_of(figure(pictures, LEGEND, title="", um_per_px=1.0, columns=2))
    for picture in pictures.values():
        row, column = place_of(picture, out)
        assert (out[row - 20 : row - 2, column : column + 90] < 100).any()


def test_a_grid_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no grid of 0 pictures"):
        figure({}, LEGEND, title="", um_per_px=1.0)
    with pytest.raises(ValueError, match="in 0 columns"):
        figure({"a": noise(9, 9)}, LEGEND, title="", um_per_px=1.0, columns=0)
