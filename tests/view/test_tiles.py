"""Tiles against OpenSlide's own Deep Zoom: the same grid, and the same picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from openslide.deepzoom import DeepZoomGenerator

from hipt.slides.slide import open_slide
from hipt.view.answers import RefusedError
from hipt.view.tiles import (
    OVERLAP_PX,
    TILE_PX,
    DeepZoom,
    needs_small,
    piece,
    small_picture,
    tile,
)
from tests.slidemaker import tissue_picture, write_slide
from tests.view.conftest import REAL


@pytest.fixture(scope="module")
def pyramid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slide of odd size, whose levels have factors like 4.004."""
    path = tmp_path_factory.mktemp("slides") / "odd.svs"
    return write_slide(path, tissue_picture(2051, 1533), factors=(1, 4, 16))


@pytest.mark.parametrize("which", ["pyramid", "flat"])
def test_the_grid_and_the_pixels_are_openslides(which: str, pyramid: Path):
    path = pyramid if which == "pyramid" else REAL
    with openslide.OpenSlide(path) as handle, open_slide(path) as slide:
        theirs = DeepZoomGenerator(handle, TILE_PX, OVERLAP_PX, limit_bounds=False)
        ours = DeepZoom(slide.info.width_px, slide.info.height_px)
        small = small_picture(slide)
        assert ours.last_level == theirs.level_count - 1
        for level in range(ours.first_level, theirs.level_count):
            columns, rows = theirs.level_tiles[level]
            for column, row in {(0, 0), (columns - 1, rows - 1), (columns // 2, rows // 2)}:
                box = ours.box(level, column, row)
                assert theirs.get_tile_dimensions(level, (column, row)) == box[2:]
                expected = np.asarray(theirs.get_tile(level, (column, row)).convert("RGB"), int)
                mine = tile(slide, small, ours.scale(level), box).astype(int)
                assert mine.shape == (box[3], box[2], 3)
                mine = mine[: len(expected), : expected.shape[1]]  # theirs may lack a line
                # they resize by another filter, from a level that may be finer
                assert np.abs(mine - expected).mean() < 6, (level, column, row)
                assert np.abs(mine.mean((0, 1)) - expected.mean((0, 1))).max() < 3
            for beyond in ((columns, 0), (0, rows)):
                with pytest.raises(RefusedError, match="has no tile"):
                    ours.box(level, *beyond)


def test_at_full_size_a_tile_is_the_slide(pyramid: Path):
    with open_slide(pyramid) as slide:
        zoom = DeepZoom(2051, 1533)
        box = zoom.box(zoom.last_level, 3, 2)
        expected = slide.read(0, *box)
        np.testing.assert_array_equal(tile(slide, None, 1, box), expected)


@given(st.integers(1, 300_000), st.integers(1, 300_000), st.data())
def test_tiles_cover_a_level_and_overlap_by_one(width: int, height: int, data: st.DataObject):
    zoom = DeepZoom(width, height)
    level = data.draw(st.integers(0, zoom.last_level))
    whole = -(-width // zoom.scale(level))
    last = (whole - 1) // TILE_PX
    column = data.draw(st.integers(0, last))
    left, _, across, _ = zoom.box(level, column, 0)
    assert left == max(0, column * TILE_PX - 1)
    end = left + across
    assert end == whole if column == last else end == (column + 1) * TILE_PX + 1
    assert zoom.box(0, 0, 0)[2:] == (1, 1)


def test_of_flat_slides_far_tiles_come_from_one_picture(tmp_path: Path):
    path = write_slide(tmp_path / "flat.svs", tissue_picture(6000, 4000), factors=(1,))
    with open_slide(path) as slide:
        small = small_picture(slide)
        assert max(small.pixels.shape) <= 3000
        zoom = DeepZoom(6000, 4000)
        assert not needs_small(slide, 8)
        assert needs_small(slide, 16)
        box = zoom.box(zoom.last_level - 4, 0, 0)
        cut = tile(slide, small, 16, box)
        read = piece(slide, 0, 0, 16, box[2:])
        assert np.abs(cut.astype(int) - read).mean() < 2


def test_damage_is_white_and_no_more(tmp_path: Path):
    path = write_slide(tmp_path / "broken.svs", np.full((1024, 1024, 3), 90, np.uint8))
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        offset, count = tif.pages[0].dataoffsets[0], tif.pages[0].databytecounts[0]
    data[offset : offset + count] = bytes(count)
    path.write_bytes(data)
    with open_slide(path) as slide:
        zoom = DeepZoom(1024, 1024)
        pixels = tile(slide, None, 1, zoom.box(zoom.last_level, 0, 0))
        assert (pixels == 255).all()
        pixels = tile(slide, None, 1, zoom.box(zoom.last_level, 1, 1))
        assert abs(int(pixels[100, 100, 0]) - 90) < 5
        assert (pixels[0, 0] == 255).all()
