"""Where tiles lie and what is in them; whatever a damaged header says, no worse than a refusal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from hipt.slides.tiled_tiff import NotTiledError, TiledTiff, TileError
from tests.tilemaker import Coding, replace_tile, speckled, write_tiles

SIZE = 600, 500


@pytest.fixture
def path(tmp_path: Path) -> Path:
    coding = Coding(tile=(128, 96), shared_tables=True, missing=((2,), ()))
    return write_tiles(tmp_path / "a.svs", speckled(*SIZE), coding)


def decoded(file: TiledTiff, width_px: int, height_px: int, index: int) -> np.ndarray:
    level = file.level(width_px, height_px)
    out = np.empty(level.shape, np.uint8)
    file.decode(level, index, out)
    return out


def test_tiles_are_those_of_tifffile(path: Path):
    file = TiledTiff(path)
    level = file.level(*SIZE)
    assert (level.across, level.down, level.shape) == (5, 6, (96, 128, 3))
    assert level.counts.tolist().index(0) == 2
    with tifffile.TiffFile(path) as tif:
        whole = tif.pages[0].asarray()
    for index in (0, 8, 16):
        row, column = divmod(index, 5)
        expected = whole[row * 96 : (row + 1) * 96, column * 128 : (column + 1) * 128]
        np.testing.assert_array_equal(decoded(file, *SIZE, index), expected)
    file.close()
    file.close()
    with pytest.raises(TileError):
        decoded(file, *SIZE, 0)


def test_a_level_that_is_not_there_once_is_refused(path: Path):
    with pytest.raises(NotTiledError, match="no single tiled picture of 7 x 7 px"):
        TiledTiff(path).level(7, 7)


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"II*\x00" + bytes(4), b"II*\x00\xff\xff\xff\x7f"]
)
def test_what_is_no_tiff_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(NotTiledError):
        TiledTiff(tmp_path / "a.tif").level(1, 1)


OTHERS = {
    "grey": ({"photometric": "minisblack", "compression": "jpeg"}, "three bytes"),
    "plain": ({"photometric": "rgb"}, "its tiles are"),
    "lossless": ({"photometric": "rgb", "compression": "zlib"}, "its tiles are"),
    "giant tiles": ({"photometric": "rgb", "compression": "jpeg"}, "its tiles have 8192"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_tiles_of_another_kind_are_refused(tmp_path: Path, name: str):
    options, reason = OTHERS[name]
    tile = (8192, 8192) if name == "giant tiles" else (128, 128)
    picture = speckled(200, 150)
    picture = picture[..., 0] if name == "grey" else picture
    tifffile.imwrite(tmp_path / "a.tif", picture, tile=tile, metadata=None, **options)
    with pytest.raises(NotTiledError, match=reason):
        TiledTiff(tmp_path / "a.tif").level(200, 150)


def test_a_tile_beyond_the_end_of_a_cut_file(path: Path):
    path.write_bytes(path.read_bytes()[:-400])
    file = TiledTiff(path)
    level = file.level(SIZE[0] // 4, SIZE[1] // 4)
    with pytest.raises(TileError, match="the file ends within tile"):
        file.data(level, int(np.argmax(level.offsets)))


def test_damage_that_libjpeg_only_warns_of_is_an_error(path: Path):
    file = TiledTiff(path)
    data = file.data(file.level(*SIZE), 7)
    replace_tile(path, 7, data[: len(data) // 2])
    with pytest.raises(TileError):
        decoded(TiledTiff(path), *SIZE, 7)


def test_a_garbled_header_is_refused_or_harmless(path: Path):
    content, rng = path.read_bytes(), np.random.default_rng(0)
    with tifffile.TiffFile(path) as tif:
        header = np.ones(len(content), bool)
        for page in tif.pages:
            for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
                header[offset : offset + count] = False
    places, refused = np.flatnonzero(header), 0
    for _ in range(300):
        other = bytearray(content)
        for place in rng.choice(places, rng.integers(1, 5)):
            other[place] = rng.integers(256)
        path.write_bytes(other)
        try:
            file = TiledTiff(path)
            decoded(file, *SIZE, 0)
            file.close()
        except (NotTiledError, TileError):
            refused += 1
    assert 20 < refused < 280
