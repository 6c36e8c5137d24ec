"""Headers, pixels, thumbnails; and what is said of files that are no slides."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from hipt.errors import SlideError
from hipt.slides.slide import UnreadableTileError, open_slide
from tests.slidemaker import damage_tile, tissue_picture, write_levels, write_slide


def test_header_of_an_aperio_slide(tiny_slide: Path):
    with open_slide(tiny_slide) as slide:
        info = slide.info
    assert (info.vendor, info.objective) == ("aperio", 20.0)
    assert (info.mpp, info.mpp_source) == ((0.5, 0.5), "header")
    assert (info.width_px, info.height_px, info.downsamples) == (2048, 1536, (1.0, 4.0))
    assert info.bounds == (0, 0, 2048, 1536)


def test_mpp_of_a_generic_tiff_is_its_resolution_tags(tmp_path: Path):
    path = write_slide(tmp_path / "g.tif", tissue_picture(512, 512), mpp=0.25, kind="generic")
    with open_slide(path) as slide:
        assert slide.info.mpp_source == "tiff"
        assert slide.info.mpp == pytest.approx((0.25, 0.25))


def test_a_header_without_mpp(tmp_path: Path):
    path = write_slide(tmp_path / "n.svs", tissue_picture(512, 512), mpp=None)
    with open_slide(path) as slide:
        assert slide.info.mpp is None


def test_pixels_are_those_of_the_picture_and_white_outside(tiny_slide: Path):
    picture = tissue_picture(2048, 1536)
    with open_slide(tiny_slide) as slide:
        inner = slide.read(0, 500, 400, 300, 200)
        corner = slide.read(0, 2000, 1500, 100, 100)
        beyond = slide.read(0, 5000, 5000, 10, 10)
        before = slide.read(0, -50, -50, 100, 100)
    assert inner.shape == (200, 300, 3)
    assert np.abs(inner.astype(int) - picture[400:600, 500:800]).max() <= 20  # JPEG
    assert np.abs(inner.astype(int) - picture[400:600, 500:800]).mean() < 1.5
    assert np.abs(corner[:36, :48].astype(int) - picture[1500:, 2000:]).mean() < 1.5
    assert (corner[36:] == 255).all()
    assert (corner[:, 48:] == 255).all()
    assert (beyond == 255).all()
    assert (before[:50] == 255).all()
    assert (before[:, :50] == 255).all()
    assert (before[50:, 50:] < 250).all()


def test_of_a_factor_that_is_not_whole_the_nearest_pixel_is_read(tmp_path: Path):
    """OpenSlide would interpolate, and blur by another share at every place."""
    level = np.zeros((81, 106, 3), np.uint8)
    level[:, ::2] = 240  # columns: whatever is interpolated is grey
    path = write_levels(tmp_path / "a.tif", [tissue_picture(1700, 1300), level])
    with open_slide(path) as slide:
        factor = slide.factor(1)
        assert factor == pytest.approx(16.04, abs=0.01)
        for column in (10, 37, 80):
            for off in (-7, -3, 0, 4, 7):
                found = slide.read(1, round(column * factor) + off, 0, 20, 20)
                expected = level[:20, column : column + 20].astype(int)
                assert np.abs(found - expected).max() <= 240 * 0.6 / factor  # half a level-0 pixel


def test_a_damaged_tile_is_found_and_the_rest_can_be_read(tiny_slide: Path, tmp_path: Path):
    path = Path(shutil.copy2(tiny_slide, tmp_path))
    damage_tile(path, column=3, row=2)
    with open_slide(path) as slide, open_slide(tiny_slide) as whole:
        with pytest.raises(UnreadableTileError):
            slide.read(0, 600, 400, 400, 400)
        for _ in range(2):
            np.testing.assert_array_equal(
                slide.read(0, 0, 0, 768, 512), whole.read(0, 0, 0, 768, 512)
            )


@pytest.mark.parametrize("reduction", [4, 7, 16, 33])
def test_thumbnail_is_the_area_mean_of_the_whole_slide(tiny_slide: Path, reduction: int):
    picture = tissue_picture(2048, 1536)
    with open_slide(tiny_slide) as slide:
        small, scale, most_opaque = slide.thumbnail(reduction)
    assert most_opaque == 255
    assert 0.5 * reduction <= scale <= 1.1 * reduction
    assert small.shape[:2] == (-(-1536 // scale), -(-2048 // scale))
    rows, columns = int(1536 // scale), int(2048 // scale)
    size = (columns, rows)
    inner = picture[: int(rows * scale), : int(columns * scale)]
    expected = cv2.resize(inner, size, interpolation=cv2.INTER_AREA)
    assert np.abs(small[:rows, :columns].astype(int) - expected).mean() < 1.5


def test_thumbnail_of_a_slide_with_one_level_and_a_damaged_tile(tmp_path: Path):
    path = write_slide(tmp_path / "flat.svs", tissue_picture(3000, 1100), factors=(1,))
    damage_tile(path, 5, 1)
    with open_slide(path) as slide:
        small, scale, most_opaque = slide.thumbnail(16)
    assert most_opaque == 255
    assert small.shape == (int(np.ceil(1100 / scale)), int(np.ceil(3000 / scale)), 3)
    sound, *_ = open_slide(
        write_slide(tmp_path / "s.svs", tissue_picture(3000, 1100), factors=(1,))
    ).thumbnail(16)
    changed = (small != sound).any(2)
    assert (small[changed] == 255).all()
    assert 256 <= changed.sum() <= 2 * 256  # the tile's 16 x 16 pixels and little more


def test_thumbnail_says_how_opaque_it_is_at_most(tmp_path: Path):
    """Whatever else was read of the slide."""
    picture = np.dstack([tissue_picture(512, 256), np.zeros((256, 512), np.uint8)])
    picture[40:60, 40:60, 3] = 99
    alpha = {"photometric": "rgb", "extrasamples": ("unassalpha",)}
    path = write_levels(tmp_path / "a.tif", [picture], **alpha)
    with open_slide(path) as slide:
        assert slide.thumbnail(1).most_opaque == 99
    flat = write_slide(tmp_path / "flat.svs", tissue_picture(256, 512), factors=(1,))
    damage_tile(flat, 0, 0)
    with open_slide(flat) as slide:
        slide.read(0, 0, 256, 256, 256)
        assert slide.thumbnail(1).most_opaque == 255
        damage_tile(flat, 0, 1)
    with open_slide(flat) as slide:
        assert slide.thumbnail(1).most_opaque is None


BROKEN = {
    "missing": (lambda _: None, "missing", "no such file"),
    "link": (
        lambda path: path.symlink_to("/nas/a.svs"),
        "missing",
        r"no such file \(a link to /nas/a.svs, which is not there\)",
    ),
    "empty": (lambda path: path.touch(), "unreadable", "0 bytes"),
    "text": (lambda path: path.write_text("hello"), "unreadable", "not a slide"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_slide_says_so(tmp_path: Path, name: str):
    make, status, sentence = BROKEN[name]
    path = tmp_path / "ä slide with spaces.svs"
    make(path)
    with pytest.raises(SlideError, match=sentence) as error:
        open_slide(path)
    assert error.value.status == status
    assert path.name in error.value.reason


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.5, 0.9, 0.99])
def test_a_cut_slide_is_unreadable_or_has_damaged_tiles(tiny_slide: Path, tmp_path: Path, share):
    path = tmp_path / "cut.svs"
    content = tiny_slide.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    try:
        slide = open_slide(path)
    except SlideError as error:
        status = error.status
    else:
        with slide, pytest.raises(UnreadableTileError):
            slide.read(0, 0, 0, slide.info.width_px, slide.info.height_px)
        status = "unreadable"
    assert status == "unreadable"


@pytest.mark.real
def test_real_slides_open_and_state_what_their_table_says(shared_dir: Path):
    import csv

    with (shared_dir / "slides" / "slides.csv").open() as file:
        table = {row["filename"]: row for row in csv.DictReader(file)}
    for name, row in table.items():
        with open_slide(shared_dir / "slides" / name) as slide:
            info = slide.info
        assert info.vendor == row["vendor"], name
        assert (info.width_px, info.height_px) == (int(row["width"]), int(row["height"])), name
        assert (info.mpp is None) == (row["mpp"] == ""), name
        if info.mpp:
            assert info.mpp[0] == pytest.approx(float(row["mpp"]), rel=1e-3), name
