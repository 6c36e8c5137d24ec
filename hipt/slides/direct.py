"""Slides whose tiles are decoded directly, where that has been seen to give OpenSlide's pixels."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from hipt.config.config import Reader
from hipt.errors import SlideError
from hipt.slides.slide import RGB, Patches, ReaderName, Slide, UnreadableTileError, open_slide
from hipt.slides.tile_cache import TileCache
from hipt.slides.tiled_tiff import NotTiledError, TiledTiff, TileError, TileLevel

log = logging.getLogger(__name__)

_VENDORS = ("aperio", "generic-tiff")
"""Formats in which a level is nothing but a TIFF picture, tile beside tile."""

_QUANTILES = (1.0, 0.7, 0.3)
"""Tiles are compared that have so many bytes, as quantiles: detail is what codecs differ in."""

_COMPARED_PX = 256
"""Longest side of what is compared of a tile: most of OpenSlide's time goes into pixels."""

Box = tuple[int, int, int, int]

Paste = Callable[[int, int, RGB], None]
"""Takes a row, a column, and the pixels that belong there."""

_REGION_TILES_BYTES = 64 << 20
"""Decoded tiles worth keeping while regions are read: one region of 4,096 px at 20x and the tiles
around it, or a row of blocks at 40x."""


@dataclass(frozen=True)
class Opener:
    """How slides are opened: by which reader, and with which memory for decoded tiles."""

    reader: Reader = "openslide"
    tiles: TileCache = field(default_factory=partial(TileCache, 0))
    """Where the slides keep decoded tiles, so that reads side by side share them."""

    @classmethod
    def of_regions(cls, reader: Reader) -> Opener:
        """How slides are opened whose regions are read one after the other."""
        return cls(reader, TileCache(_REGION_TILES_BYTES))

    def __call__(self, path: Path) -> Slide:
        """Open a slide.

        Raises:
            SlideError: `missing` or `unreadable`, with the reason.
        """
        if self.reader == "openslide":
            return open_slide(path)
        kind = partial(DirectSlide, tiles=self.tiles, strict=self.reader == "direct")
        return open_slide(path, kind)


@dataclass(frozen=True)
class RawTiles:
    """Tiles of a level, not decoded."""

    level: TileLevel
    data: list[bytes]


class DirectSlide(Slide):
    """A slide that decodes its tiles itself, level by level, once they were compared.

    A level is trusted when some of its tiles have given OpenSlide's pixels. Rectangles that begin
    between two pixels of their level, or hold a tile that a codec objects to, are OpenSlide's
    always: it is the one who says whether a tile is damaged.
    """

    def __init__(self, path: Path, tiles: TileCache, strict: bool = False) -> None:
        """Open it; nothing is compared yet.

        Args:
            path: the file.
            tiles: where decoded tiles are kept.
            strict: whether a slide whose tiles differ is refused, and not read by OpenSlide.

        Raises:
            SlideError: `unreadable`, with the reason.
        """
        super().__init__(path)
        self._strict = strict
        self._tiles = tiles
        self._trust = threading.Lock()
        self._trusted: dict[int, TileLevel | SlideError | None] = {}
        self._tiff: TiledTiff | NotTiledError
        try:
            if self.info.vendor not in _VENDORS:
                raise NotTiledError(f"its format is {self.info.vendor}")
            self._tiff = TiledTiff(path)
        except NotTiledError as error:
            self._tiff = error

    def close(self) -> None:
        """Free the handle and the file."""
        super().close()
        if isinstance(self._tiff, TiledTiff):
            self._tiff.close()

    def reader_of(self, level: int, x: int, y: int) -> ReaderName:
        """Who reads the rectangles of a level that begin there.

        Raises:
            SlideError: `unreadable`, if the slide is to be refused.
        """
        trusted = self._level(level) and self._corner(level, x, y)
        return "direct" if trusted else "openslide"

    def read(self, level: int, x: int, y: int, width_px: int, height_px: int) -> RGB:
        """A rectangle of one level, as `Slide.read`."""
        out = np.empty((height_px, width_px, 3), np.uint8)
        self.read_into(level, x, y, out)
        return out

    def read_into(self, level: int, x: int, y: int, out: RGB) -> None:
        """Fill a picture, as `Slide.read_into`."""
        height, width = out.shape[:2]

        def paste(row: int, column: int, piece: RGB) -> None:
            out[row : row + piece.shape[0], column : column + piece.shape[1]] = piece

        if not self._painted(level, (x, y), (width, height), out, paste):
            out[:] = super().read(level, x, y, width, height)

    def read_patches(self, level: int, x: int, y: int, out: Patches) -> None:
        """Square patches side by side, as `Slide.read_patches`."""
        rows, columns, side = out.shape[:3]
        size = (columns * side, rows * side)
        if not self._painted(level, (x, y), size, out, partial(_into_patches, out)):
            super().read_patches(level, x, y, out)

    def raw(self, level: int, corners: Iterable[tuple[int, int]], side_px: int) -> RawTiles | None:
        """The tiles that squares of a level touch, each once; None where OpenSlide reads them.

        Those that are missing, or that the file ends within, are left out.

        Args:
            level: the level.
            corners: of the squares, level-0 pixels.
            side_px: their side in pixels of the level.

        Raises:
            SlideError: `unreadable`, if the slide is to be refused.
        """
        tiles, starts = self._level(level), [self._corner(level, *corner) for corner in corners]
        if tiles is None or not isinstance(self._tiff, TiledTiff):
            return None
        touched: set[int] = set()
        for start in starts:
            if start is not None:
                touched |= set(_tiles_in(tiles, _inside(tiles, (*start, side_px, side_px))))
        data: list[bytes] = []
        for index in sorted(touched):
            with suppress(TileError):
                data += [self._tiff.data(tiles, index)] if tiles.counts[index] else []
        return RawTiles(tiles, data)

    def _painted(
        self, level: int, corner: tuple[int, int], size: tuple[int, int], out: RGB, paste: Paste
    ) -> bool:
        """Whether a rectangle could be filled from tiles."""
        tiles, start = self._level(level), self._corner(level, *corner)
        if tiles is None or start is None:
            return False
        try:
            self._paint(tiles, (*start, *size), out, paste)
        except TileError:
            return False
        return True

    def _paint(self, level_tiles: TileLevel, box: Box, out: RGB, paste: Paste) -> None:
        """Fill a rectangle (left, top, width, height, pixels of the level) from its tiles.

        Raises:
            TileError: if one of them cannot be decoded.
        """
        assert isinstance(self._tiff, TiledTiff)
        left, top = box[:2]
        inner = _inside(level_tiles, box)
        tiles = list(_tiles_in(level_tiles, inner))
        there = [index for index in tiles if level_tiles.counts.item(index)]
        if inner != (left, top, left + box[2], top + box[3]) or len(there) < len(tiles):
            out[:] = 255
        for index in there:
            row, column = divmod(index, level_tiles.across)
            row, column = row * level_tiles.tile_height_px, column * level_tiles.tile_width_px
            x, y = max(inner[0], column), max(inner[1], row)
            decode = partial(self._tiff.decode, level_tiles, index)
            with self._tiles.lent((level_tiles, index), level_tiles.shape, decode) as tile:
                piece = tile[y - row : inner[3] - row, x - column : inner[2] - column]
                paste(y - top, x - left, piece)

    def _corner(self, level: int, x: int, y: int) -> tuple[int, int] | None:
        """A place in pixels of a level; None if it lies between two."""
        factor = self.factor(level)
        left, top = x / factor, y / factor
        # what begins before the slide begins on a whole pixel: so does OpenSlide
        if any(v > 0 and not v.is_integer() for v in (left, top)):
            return None
        return int(left), int(top)

    def _level(self, level: int) -> TileLevel | None:
        """A level's tiles, if they are to be trusted; compared when first asked for."""
        with self._trust:
            if level not in self._trusted:
                self._trusted[level] = self._judged(level)
            judged = self._trusted[level]
        if isinstance(judged, SlideError):
            raise judged
        return judged

    def _judged(self, level: int) -> TileLevel | SlideError | None:
        """A level's tiles; None where OpenSlide has to read it; the error if it is refused."""
        try:
            tiles = self._laid_out(level)
            place = self._different(level, tiles)
        except NotTiledError as error:
            say = log.warning if self._strict else log.info
            say("%s: level %d is read through OpenSlide: %s", self.path.name, level, error)
            return None
        if place is None:
            return tiles
        message = f"{self.path}: level {level}: decoded tiles differ from OpenSlide's at {place}"
        if self._strict:
            return SlideError(
                "unreadable", f"{message} (slides.reader is 'direct'; set it to auto)"
            )
        log.warning("%s; the level is read through OpenSlide", message)
        return None

    def _laid_out(self, level: int) -> TileLevel:
        """Where a level's tiles lie.

        Raises:
            NotTiledError: if OpenSlide would do more than to lay them side by side.
        """
        if isinstance(self._tiff, NotTiledError):
            raise self._tiff
        levels = [self._tiff.level(*self.level_px(i)) for i in range(level + 1)]
        if not self.factor(level).is_integer():
            factor = f"{self.factor(level):.6g}"
            raise NotTiledError(f"its factor is {factor}, so that patches begin between pixels")
        if (
            level
            and self.info.vendor == "aperio"
            and not all(tiles.counts.all() for tiles in levels)
        ):
            raise NotTiledError("tiles are missing, which OpenSlide fills from finer levels")
        return levels[level]

    def _different(self, level: int, tiles: TileLevel) -> str | None:
        """A place where tiles are not what OpenSlide reads; None if all that were compared are.

        Raises:
            NotTiledError: if a tile that OpenSlide reads cannot be decoded, or none can be read.
        """
        factor, compared = int(self.factor(level)), 0
        size = min(tiles.tile_width_px, _COMPARED_PX), min(tiles.tile_height_px, _COMPARED_PX)
        for left, top in _places(tiles, size):
            corner = left * factor, top * factor
            try:
                seen = super().read(level, *corner, *size)
            except UnreadableTileError:
                seen = None
            out = np.empty((size[1], size[0], 3), np.uint8)
            try:
                self._paint(tiles, (left, top, *size), out, partial(_into_patches, out[None, None]))
            except TileError as error:
                if seen is not None:
                    raise NotTiledError(str(error)) from None
                continue
            if seen is None or not np.array_equal(seen, out):
                return f"x {corner[0]}, y {corner[1]}"
            compared += 1
        if not compared:
            raise NotTiledError("none of the tiles that were to be compared can be read")
        return None


def _inside(tiles: TileLevel, box: Box) -> Box:
    """What of a rectangle (left, top, width, height) lies in a level: left, top, right, bottom."""
    left, top, width, height = box
    right, bottom = min(left + width, tiles.width_px), min(top + height, tiles.height_px)
    return max(left, 0), max(top, 0), right, bottom


def _tiles_in(tiles: TileLevel, inner: Box) -> Iterator[int]:
    """The tiles that a rectangle inside a level touches, row by row."""
    left, top, right, bottom = inner
    if left >= right or top >= bottom:
        return
    for row in range(top // tiles.tile_height_px, -(-bottom // tiles.tile_height_px)):
        for column in range(left // tiles.tile_width_px, -(-right // tiles.tile_width_px)):
            yield row * tiles.across + column


def _places(level_tiles: TileLevel, size: tuple[int, int]) -> list[tuple[int, int]]:
    """Corners of rectangles to compare, pixels of the level; the same ones always.

    The four corners of the level, and beyond its edges; tiles with much and with little detail;
    the seams between the richest tile and those before it; a missing tile.

    Args:
        level_tiles: the level.
        size: of the rectangles, at most a tile's.
    """
    present = np.flatnonzero(level_tiles.counts)
    by_size = present[np.argsort(level_tiles.counts[present], kind="stable")]
    chosen = [round(q * (len(by_size) - 1)) for q in _QUANTILES] if len(by_size) else []
    tiles = [int(by_size[i]) for i in chosen] + np.flatnonzero(level_tiles.counts == 0)[:1].tolist()
    width, height = level_tiles.tile_width_px, level_tiles.tile_height_px
    starts = [(i % level_tiles.across * width, i // level_tiles.across * height) for i in tiles]
    right, bottom = (
        max(0, side - part * 3 // 4)
        for side, part in zip((level_tiles.width_px, level_tiles.height_px), size, strict=True)
    )
    seams = [(max(0, x - size[0] // 2), max(0, y - size[1] // 2)) for x, y in starts[:1]]
    corners = [(0, 0), (right, 0), (0, bottom), (right, bottom)]
    return list(dict.fromkeys(corners + starts + seams))


def _into_patches(out: Patches, row: int, column: int, piece: RGB) -> None:
    """Lay a piece of the picture over patches [n, m, px, px, 3]."""
    side, wide = out.shape[2:4]
    height, width = piece.shape[:2]
    for r in range(row // side, -(-(row + height) // side)):
        low, high = max(row, r * side), min(row + height, (r + 1) * side)
        for c in range(column // wide, -(-(column + width) // wide)):
            left, right = max(column, c * wide), min(column + width, (c + 1) * wide)
            part = piece[low - row : high - row, left - column : right - column]
            out[r, c, low - r * side : high - r * side, left - c * wide : right - c * wide] = part
