"""Pictures that are levels, and pictures that are not."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hipt.errors import SlideError
from hipt.slides.direct import Opener
from hipt.slides.levels import are_levels, left_out
from hipt.slides.slide import open_slide
from tests.slidemaker import GLASS, tissue_picture, write_levels
from tests.steps.conftest import Chain

SLIDE = tissue_picture(2048, 1024)
SMALL = cv2.resize(SLIDE, (512, 256), interpolation=cv2.INTER_AREA)


def overview(width: int, height: int) -> np.ndarray:
    """A label beside a piece of glass, the tissue elsewhere than on the slide."""
    picture = np.full((height, width, 3), GLASS, np.uint8)
    picture[height // 8 : height // 3, width // 8 : width // 3] = (150, 60, 140)
    return picture


@given(
    width=st.integers(500, 200_000),
    height=st.integers(500, 200_000),
    factors=st.lists(st.sampled_from([2, 4, 3, 2.5]), min_size=1, max_size=4),
    rounded=st.sampled_from([np.floor, np.ceil, np.round, lambda v: 2 * np.ceil(v / 2)]),
)
def test_levels_are_levels_however_their_sides_are_rounded(width, height, factors, rounded):
    sizes = [(width, height)]
    for factor in factors:
        sizes.append(tuple(max(1, int(rounded(side / factor))) for side in sizes[-1]))
    sizes = [size for size in sizes if min(size) > 4]
    assert all(are_levels(sizes))
    assert left_out(sizes, are_levels(sizes)) == ""


@pytest.mark.parametrize(
    ("sizes", "kept"),
    [
        ([(2048, 1024), (512, 256), (300, 300)], [0, 1]),  # an overview after the levels
        ([(2048, 1024), (1280, 431), (512, 256)], [0, 2]),  # and between them
        ([(46000, 32914), (11500, 8228), (2875, 2057), (1280, 431)], [0, 1, 2]),
        ([(2048, 1024), (2048, 1024), (512, 256)], [0, 2]),  # the slide twice: another focus
        ([(2048, 1024), (512, 1024)], [0]),
        ([(2048, 1024), (400, 2000)], [0]),  # taller than the slide
        ([(2048, 1024)], [0]),
    ],
)
def test_what_is_not_the_slide_made_smaller_is_left_out(sizes, kept):
    verdicts = are_levels(sizes)
    assert [number for number, level in enumerate(verdicts) if level] == kept
    note = left_out(sizes, verdicts)
    for number in set(range(len(sizes))) - set(kept):
        assert f"level {number} ({sizes[number][0]:,} x {sizes[number][1]:,} px)" in note


def test_a_note_on_very_many_pictures_is_short():
    sizes = [(2000, 1000), *[(30, 900)] * 500]
    assert len(left_out(sizes, are_levels(sizes))) < 250
    assert "and 497 more" in left_out(sizes, are_levels(sizes))


@pytest.mark.parametrize("shape", [(300, 300), (160, 700), (500, 100)])
def test_tissue_is_sought_on_the_slide_and_not_on_an_overview(chain: Chain, shape):
    write_levels(chain.folder / "macro.tif", [SLIDE, SMALL, overview(*shape)])
    write_levels(chain.folder / "plain.tif", [SLIDE, SMALL])
    chain.sheet("slide_id,path\nmacro,macro.tif\nplain,plain.tif\n")
    chain.upto("embed_regions")
    table = chain.table()
    for name in ("tissue_mm2", "regions", "patches", "tissue_patches", "levels", "status"):
        assert table["macro"][name] == table["plain"][name]
    assert table["macro"]["levels"] == 2
    assert f"{shape[0]} x {shape[1]} px) left out" in table["macro"]["note"]
    assert table["plain"]["note"] == ""


@pytest.mark.parametrize("reader", ["openslide", "auto"])
def test_levels_after_an_overview_keep_openslides_numbers(tmp_path: Path, reader):
    half = cv2.resize(SLIDE, (1024, 512), interpolation=cv2.INTER_AREA)
    path = write_levels(tmp_path / "a.tif", [SLIDE, overview(1300, 1000), half, SMALL])
    with Opener(reader)(path) as slide:
        assert slide.info.downsamples == (1.0, None, 2.0, 4.0)
        np.testing.assert_array_equal(slide.read(2, 0, 0, 1024, 512), half)
        assert slide.coarsest(1.9) == 0
        assert slide.coarsest(3.0) == 2
        with pytest.raises(ValueError, match="picture 1 is no level"):
            slide.read(1, 0, 0, 10, 10)


@pytest.mark.parametrize(
    "shape", [(2400, 2400), (3000, 400), (2600, 1000), (2048, 2000), (400, 600)]
)
def test_an_overview_that_openslide_takes_for_the_slide_or_stumbles_over(tmp_path: Path, shape):
    """It sorts by width, and wants factors that grow."""
    path = write_levels(tmp_path / "a.tif", [SLIDE, SMALL, overview(*shape)])
    with pytest.raises(SlideError) as caught:
        open_slide(path)
    assert caught.value.status == "unreadable"
    assert f"{shape[0]:,} x {shape[1]:,} px (a label, an overview)" in caught.value.reason
    assert "save the slide without it" in caught.value.reason


def test_a_file_that_begins_with_its_smallest_level_is_a_slide(tmp_path: Path):
    path = write_levels(tmp_path / "a.tif", [SMALL, SLIDE])
    with open_slide(path) as slide:
        assert slide.info.downsamples == (1.0, 4.0)


@pytest.mark.real
def test_of_real_slides_no_level_is_left_out(shared_dir: Path):
    found = [p for p in (shared_dir / "slides").rglob("*") if p.suffix in (".tif", ".svs", ".dcm")]
    assert len(found) >= 11
    for path in found:
        with open_slide(path) as slide:
            assert None not in slide.info.downsamples, path.name
            assert slide.info.note == ""
