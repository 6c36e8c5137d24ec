"""Pictures as slides, opened by OpenSlide itself."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from hipt.heatmaps.pyramids import TILE_PX, write_pyramid
from hipt.slides.slide import open_slide
from tests.slidemaker import tissue_picture

SHAPES = [(1, 1), (10, 300), (300, 10), (256, 256), (257, 256), (511, 1023), (1000, 1), (2100, 700)]


def smooth(height: int, width: int) -> np.ndarray:
    """Slow waves of colour: what JPEG keeps."""
    y, x = np.mgrid[:height, :width, :1][:2]
    waves = np.concatenate([np.sin(x / 40), np.cos(y / 50), np.sin((x + y) / 60)], 2)
    return (150 + 90 * waves).astype(np.uint8)


def halves(side: int, other: int) -> int:
    """Levels of a picture, by logarithm."""
    return 1 + max(0, math.ceil(math.log2(max(side, other) / TILE_PX)))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("mpp", [0.2271, 0.5, 8.0, 28.969])
def test_openslide_finds_every_level_and_the_resolution(tmp_path: Path, shape, mpp: float):
    path = tmp_path / "ä b.tif"
    write_pyramid(path, tissue_picture(*shape[::-1]), mpp)
    with openslide.OpenSlide(path) as slide:
        assert slide.properties["openslide.vendor"] == "generic-tiff"
        for axis in "xy":
            assert float(slide.properties[f"openslide.mpp-{axis}"]) == pytest.approx(mpp, rel=1e-5)
        assert slide.level_count == halves(*shape)
        for level, (width, height) in enumerate(slide.level_dimensions):
            assert (height, width) == tuple(-(-side // 2**level) for side in shape)
        assert max(slide.level_dimensions[-1]) <= TILE_PX
        assert slide.get_thumbnail((64, 64)).size
    with tifffile.TiffFile(path) as tif:
        assert not tif.is_bigtiff
        assert {page.tile for page in tif.pages} == {(TILE_PX, TILE_PX)}
        for level, page in enumerate(tif.pages):
            assert page.get_resolution("MICROMETER")[0] == pytest.approx(1 / mpp / 2**level)


@settings(max_examples=15)
@given(st.integers(1, 700), st.integers(1, 700))
def test_pixels_of_every_level_are_means_of_the_picture_in_its_place(tmp_path_factory, h, w):
    path = tmp_path_factory.mktemp("p") / "a.tif"
    picture = smooth(h, w)
    write_pyramid(path, picture, 0.5)
    with open_slide(path) as slide:
        for level in range(len(slide.info.downsamples)):
            factor = 2**level
            rows, columns = -(-h // factor), -(-w // factor)
            more = [(0, rows * factor - h), (0, columns * factor - w), (0, 0)]
            whole_blocks = np.pad(picture.astype(float), more, "edge")
            mean = whole_blocks.reshape(rows, factor, columns, factor, 3).mean((1, 3))
            read = slide.read(level, 0, 0, columns, rows)
            inner = (slice(0, h // factor), slice(0, w // factor))  # without the padded edge
            if mean[inner].size:
                assert np.abs(read - mean)[inner].mean() < 2
                assert np.abs(read - mean)[inner].max() < 10


def test_edges_between_colours_stay_where_they_are(tmp_path: Path):
    cells = np.random.default_rng(0).integers(60, 200, (20, 20, 3), np.uint8)
    picture = np.kron(cells, np.ones((15, 15, 1), np.uint8))  # not on the blocks of JPEG
    write_pyramid(tmp_path / "a.tif", picture, 0.5)
    with open_slide(tmp_path / "a.tif") as slide:
        read = slide.read(0, 0, 0, 300, 300)
    off = np.abs(read.astype(int) - picture)
    assert off[:, 14::15].mean() < 5
    assert off[:, -1].mean() < 4  # nothing black comes in from beyond the edge
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert {page.subsampling for page in tif.pages} == {(1, 1)}


def test_equal_pictures_are_equal_bytes_and_alone_in_their_folder(tmp_path: Path):
    picture = tissue_picture(700, 500)
    for name in ("a.tif", "b.tif"):
        write_pyramid(tmp_path / "new" / name, picture, 0.5)
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"a.tif", "b.tif"}
    assert (tmp_path / "new/a.tif").read_bytes() == (tmp_path / "new/b.tif").read_bytes()


def test_what_fails_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "a.tif"
    path.write_text("old")
    for mpp in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="more than 0 um per pixel"):
            write_pyramid(path, tissue_picture(20, 20), mpp)
    with pytest.raises(ValueError, match=r"."):
        write_pyramid(path, np.zeros((20, 20, 5, 7), np.uint8), 0.5)
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["a.tif"]
