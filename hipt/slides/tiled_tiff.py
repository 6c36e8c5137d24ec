"""A TIFF's JPEG and JPEG 2000 tiles, decoded one by one. No OpenSlide in here, and no torch.

JPEG goes through simplejpeg, since it says what libjpeg merely warns of: other decoders hand out
grey for the rest of a damaged tile, where OpenSlide refuses it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import imagecodecs
import numpy as np
import numpy.typing as npt
import simplejpeg
import tifffile

from hipt.slides.levels import Size
from hipt.slides.pixel_kind import PixelKind

RGB = npt.NDArray[np.uint8]  # [h, w, 3]

_JPEG, _JPEG_2000_RGB = 7, 33005
_RGB, _YCBCR = 2, 6
_CONTIGUOUS = 1
_MOST_PX = 4096
"""Longest side of a tile that is decoded here; a damaged header may name any."""
_START, _APP0 = b"\xff\xd8", b"\xff\xe0"
_ADOBE_RGB = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"
"""Adobe's marker: three components that are R, G, B. Without it, libjpeg takes them for YCbCr."""


_BROKEN = (
    *(tifffile.TiffFileError, struct.error, OSError, LookupError, TypeError, ValueError),
    *(OverflowError, MemoryError),
)
"""What tifffile raises while it reads a damaged header."""


class NotTiledError(Exception):
    """A file, or a level, is not made of tiles that can be decoded here; says why."""


class TileError(Exception):
    """A tile cannot be decoded; says why."""


@dataclass(frozen=True, eq=False)
class TileLevel:
    """One picture of a file, cut into tiles."""

    width_px: int
    height_px: int
    tile_width_px: int
    tile_height_px: int
    offsets: npt.NDArray[np.int64]
    """[n] where each tile's bytes begin, row by row."""
    counts: npt.NDArray[np.int64]
    """[n] bytes of each tile; 0: it is missing."""
    decode: Callable[[bytes, RGB], None]
    """Fills a tile of `shape` from its bytes, or raises TileError."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of a tile's pixels."""
        return self.tile_height_px, self.tile_width_px, 3

    @property
    def across(self) -> int:
        """Tiles in a row."""
        return -(-self.width_px // self.tile_width_px)

    @property
    def down(self) -> int:
        """Tiles in a column."""
        return -(-self.height_px // self.tile_height_px)


class TiledTiff:
    """An open file. Any number of threads may read tiles from it."""

    def __init__(self, path: Path) -> None:
        """Read where the tiles lie; no pixel is decoded.

        Raises:
            NotTiledError: if it is no TIFF, or tifffile cannot understand it.
        """
        try:
            with tifffile.TiffFile(path) as file:
                self._tiled = _tiled(file)
                self._levels = [_level_or_reason(page) for page in self._tiled]
        except _BROKEN as error:
            raise NotTiledError(f"it is no TIFF that can be read ({error})") from None
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def level(self, width_px: int, height_px: int) -> TileLevel:
        """The tiled picture of a size.

        Raises:
            NotTiledError: if there is none, or more than one, or its tiles are of another kind.
        """
        sizes = [(page.imagewidth, page.imagelength) for page in self._tiled]
        if sizes.count((width_px, height_px)) != 1:
            raise NotTiledError(f"it has no single tiled picture of {width_px} x {height_px} px")
        level = self._levels[sizes.index((width_px, height_px))]
        if isinstance(level, str):
            raise NotTiledError(level)
        return level

    def data(self, level: TileLevel, index: int) -> bytes:
        """A tile's bytes, as they are in the file.

        Raises:
            TileError: if they are not all there.
        """
        size = int(level.counts[index])
        try:
            data = os.pread(self._descriptor, size, int(level.offsets[index]))
        except (OSError, OverflowError, MemoryError, ValueError) as error:
            raise TileError(str(error)) from None
        if len(data) != size:
            raise TileError(f"the file ends within tile {index}")
        return data

    def decode(self, level: TileLevel, index: int, out: RGB) -> None:
        """Fill a tile that is not missing, with what lies beyond the picture's edge.

        Raises:
            TileError: if it cannot be decoded, or a codec has anything to say against it.
        """
        level.decode(self.data(level, index), out)


@dataclass(frozen=True)
class TiffClaims:
    """What a TIFF's header claims, whether it is true or not."""

    tile_bytes: int = 0
    """Bytes of the largest tile."""
    pictures: tuple[tuple[Size, PixelKind], ...] = ()
    """Size and pixels of the tiled pictures, in the file's order."""
    in_strips: bool = False
    """Whether it is a TIFF of which no picture has tiles."""

    @property
    def sizes(self) -> list[Size]:
        """Width and height of the tiled pictures, in the file's order."""
        return [size for size, _ in self.pictures]

    def pixels(self, size: Size) -> PixelKind | None:
        """What a pixel of the first tiled picture of a size is; None if there is none."""
        return next((kind for known, kind in self.pictures if known == size), None)


def tiff_claims(path: Path) -> TiffClaims:
    """What a file's header claims; nothing of what is no TIFF, or cannot be read."""
    try:
        with tifffile.TiffFile(path) as file:
            tiled = _tiled(file)
            sizes = (int(max(page.databytecounts, default=0)) for page in tiled)
            most = max(sizes, default=0)
            return TiffClaims(most, _pictures(tiled), in_strips=not tiled)
    except _BROKEN:
        return TiffClaims()


def _pictures(tiled: list[tifffile.TiffPage]) -> tuple[tuple[Size, PixelKind], ...]:
    """Size and pixels of pictures; none where a damaged header says nonsense of one."""
    try:
        return tuple(
            ((int(page.imagewidth), int(page.imagelength)), PixelKind.of(page)) for page in tiled
        )
    except _BROKEN:
        return ()


def _tiled(file: tifffile.TiffFile) -> list[tifffile.TiffPage]:
    """The tiled pictures of a file; NDPI has whole levels in one strip, which are large."""
    pages = [page for page in file.pages if isinstance(page, tifffile.TiffPage)]
    return [page for page in pages if page.is_tiled]


def _level_or_reason(page: tifffile.TiffPage) -> TileLevel | str:
    """A picture's tiles, or why they cannot be decoded here."""
    shape = page.samplesperpixel, page.bitspersample, page.planarconfig, page.imagedepth
    if shape != (3, 8, _CONTIGUOUS, 1):
        return "its pixels are not three bytes of red, green and blue"
    sides = page.tilewidth, page.tilelength
    if not 0 < min(sides) <= max(sides) <= _MOST_PX:
        return f"its tiles have {sides[0]} x {sides[1]} px"
    codec = _codec(page)
    if codec is None:
        return f"its tiles are {page.compression!r} in {page.photometric!r}"
    offsets, counts = (
        np.asarray(values, np.int64) for values in (page.dataoffsets, page.databytecounts)
    )
    width, height, across, down = page.imagewidth, page.imagelength, page.tilewidth, page.tilelength
    level = TileLevel(width, height, across, down, offsets, counts, codec)
    if not level.across * level.down == len(offsets) == len(counts):
        return "its list of tiles is not complete"
    return level


def _codec(page: tifffile.TiffPage) -> Callable[[bytes, RGB], None] | None:
    """What decodes a picture's tiles; None where nothing here does."""
    if page.compression == _JPEG and page.photometric in (_RGB, _YCBCR):
        tables = (page.jpegtables or b"")[2:-2]  # without its own start and end
        rgb = page.photometric == _RGB
        return partial(_jpeg, _START + tables + (_ADOBE_RGB if rgb else b""), rgb)
    if page.compression == _JPEG_2000_RGB and page.photometric == _RGB:
        return _jpeg_2000
    return None


def _jpeg(head: bytes, rgb: bool, data: bytes, out: RGB) -> None:
    """Decode a JPEG tile.

    Args:
        head: the start of the stream: tables that the tiles share, the colour space.
        rgb: whether the components are R, G, B; a JFIF marker would say YCbCr.
        data: the tile's bytes.
        out: to be filled; what does not fit in is refused before it is decoded.
    """
    if data[:2] != _START:
        raise TileError("its tile does not begin as a JPEG")
    skipped = 2
    if rgb and data[2:4] == _APP0:
        skipped = 4 + int.from_bytes(data[4:6], "big")
    stream = head + data[skipped:] if len(head) > 2 or skipped > 2 else data
    try:
        pixels = simplejpeg.decode_jpeg(stream, "RGB", buffer=out)
    except ValueError as error:
        raise TileError(str(error)) from None
    if pixels.shape != out.shape:
        raise TileError(f"its tile is {pixels.shape[1]} x {pixels.shape[0]} px")


def _jpeg_2000(data: bytes, out: RGB) -> None:
    """Decode a JPEG 2000 tile: a bare code stream."""
    sizes = struct.pack(">II", out.shape[1], out.shape[0])
    if data[:4] != b"\xff\x4f\xff\x51" or data[8:16] != sizes:
        raise TileError("its tile does not begin as JPEG 2000 of the right size")
    try:
        imagecodecs.jpeg2k_decode(data, out=out)
    except (RuntimeError, ValueError, MemoryError) as error:
        raise TileError(str(error)) from None
