"""Whose pixels are meant, and what a picture of a slide shows."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hipt.geometry.frame import Frame, shift

SCAN = (600, 400, 1024, 768)
FRAME = Frame(2048, 1536, SCAN)


def test_qupath_counts_from_the_corner_of_the_scan():
    assert shift(SCAN, "openslide", "qupath") == (-600, -400)
    assert shift(SCAN, "qupath", "openslide") == (600, 400)
    assert shift(SCAN, "qupath", "qupath") == shift(SCAN, "openslide", "openslide") == (0, 0)
    assert FRAME.shift == (600, 400)
    assert Frame(2048, 1536, SCAN, origin="openslide").shift == (0, 0)


def test_without_bounds_all_count_alike_and_show_the_same():
    frame = Frame(2048, 1536, (0, 0, 2048, 1536))
    assert frame.shift == (0, 0)
    assert not frame.partly_scanned
    assert not frame.ambiguous(128, 96)
    assert frame.shown == Frame(2048, 1536, frame.bounds, shows="scan").shown == frame.bounds


def test_pictures_show_the_slide_or_the_scan():
    assert FRAME.shown == (0, 0, 2048, 1536)
    assert Frame(2048, 1536, SCAN, shows="scan").shown == SCAN
    assert FRAME.ambiguous(128, 96)  # both are 4 : 3


@given(st.integers(40, 100_000), st.integers(40, 100_000), st.floats(1, 64))
def test_a_picture_of_the_slide_fits_however_its_sides_are_rounded(width, height, factor):
    frame = Frame(width, height, (0, 0, width, height))
    for rounded in (round, int, math.ceil):
        small = [max(1, rounded(side / factor)) for side in (width, height)]
        assert not frame.misfit(*small)


@pytest.mark.parametrize("size", [(128, 99), (128, 93), (1280, 989), (96, 128), (100, 100)])
def test_another_shape_is_refused_with_both(size: tuple[int, int]):
    text = Frame(2048, 1536, (0, 0, 2048, 1536)).misfit(*size)
    assert text == (
        f"is {size[0]} x {size[1]} px (width / height {size[0] / size[1]:.3f}), the slide is "
        "2048 x 1536 px (1.333); it has to show the whole slide, nothing cut off or stretched"
    )


def test_a_picture_of_the_other_part_says_which_setting_makes_it_fit():
    wide = Frame(2048, 1536, (600, 400, 1024, 256))
    assert wide.misfit(256, 64) == (
        "is 256 x 64 px (width / height 4.000), the slide is 2048 x 1536 px (1.333); what was "
        "scanned of the slide is 1024 x 256 px: if that is what it shows, set "
        "slides.pictures_show: scan"
    )
    other = Frame(2048, 1536, wide.bounds, shows="scan")
    assert "set slides.pictures_show: slide" in other.misfit(128, 96)
