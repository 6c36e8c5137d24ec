"""Slides as scanners write them: every way in which a TIFF's tiles may be coded."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import tifffile

JPEG, JPEG_2000 = 7, 33005


@dataclass(frozen=True)
class Coding:
    """How tiles are coded, and what is odd about the file."""

    jpeg_2000: bool = False
    rgb: bool = False
    """JPEG whose components are R, G, B, without a word of it in the JPEG, as Aperio writes it."""
    subsampling: str = "420"
    shared_tables: bool = False
    bigtiff: bool = False
    tile: tuple[int, int] = (256, 256)
    """Width and height."""
    missing: tuple[Collection[int], ...] = ((), ())
    """Tiles of each level that have no bytes."""
    kind: str = "aperio"
    factors: tuple[int, ...] = (1, 4)


def write_tiles(path: Path, picture: np.ndarray, coding: Coding) -> Path:
    """Write a picture as a slide; levels are area means of it by the coding's factors."""
    height, width = picture.shape[:2]
    text = f"Aperio Image Library v12.0.15 \r\n{width}x{height} [0,0 {width}x{height}]"
    text += f" ({coding.tile[0]}x{coding.tile[1]}) JPEG/RGB Q=90|AppMag = 20|MPP = 0.5"
    with tifffile.TiffWriter(path, bigtiff=coding.bigtiff) as tif:
        for number, factor in enumerate(coding.factors):
            size = (width // factor, height // factor)
            level = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
            tiles = list(_tiles(level, coding))
            tables = _tables(tiles[0]) if coding.shared_tables else None
            if tables:
                tiles = [_without_tables(tile) for tile in tiles]
            absent = coding.missing[number] if number < len(coding.missing) else ()
            data = [b"" if i in absent else tile for i, tile in enumerate(tiles)]
            tags: dict = {"description": text} if coding.kind == "aperio" else {}
            if coding.kind == "generic" and number:
                tags["subfiletype"] = 1
            if coding.kind == "generic":
                tags |= {"resolution": (2e4 / factor,) * 2, "resolutionunit": "CENTIMETER"}
            tif.write(
                iter(data),
                shape=level.shape,
                dtype=np.uint8,
                tile=coding.tile[::-1],
                photometric="rgb" if coding.jpeg_2000 else "ycbcr",
                compression=JPEG_2000 if coding.jpeg_2000 else JPEG,
                subsampling=None if coding.jpeg_2000 else _factors(coding),
                jpegtables=tables,
                metadata=None,
                **tags,
            )
    if coding.rgb:  # tifffile says YCbCr of every JPEG
        with tifffile.TiffFile(path, mode="r+b") as tif:
            for page in tif.pages:
                page.tags["PhotometricInterpretation"].overwrite(2)
    return path


def replace_tile(path: Path, index: int, data: bytes, level: int = 0) -> None:
    """Put other bytes in a tile's place; no more of them than it has, and zeros after them."""
    with tifffile.TiffFile(path) as tif:
        page = [page for page in tif.pages if page.is_tiled][level]
        offset, count = page.dataoffsets[index], page.databytecounts[index]
    assert len(data) <= count
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data.ljust(count, b"\x00"))


def tile_bytes(path: Path, index: int, level: int = 0) -> bytes:
    """A tile's bytes."""
    with tifffile.TiffFile(path) as tif:
        page = [page for page in tif.pages if page.is_tiled][level]
        tif.filehandle.seek(page.dataoffsets[index])
        return tif.filehandle.read(page.databytecounts[index])


def speckled(width_px: int, height_px: int, seed: int = 0) -> np.ndarray:
    """A picture of which no two tiles are alike: soft colours, and noise on them."""
    rng = np.random.default_rng(seed)
    soft = rng.integers(40, 255, (height_px // 32 + 2, width_px // 32 + 2, 3)).astype(np.uint8)
    soft = cv2.resize(soft, (width_px, height_px), interpolation=cv2.INTER_CUBIC)
    noisy = soft + rng.normal(0, 6, soft.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def _tiles(level: np.ndarray, coding: Coding) -> Iterator[bytes]:
    """The coded tiles of a level; what lies beyond its edge repeats the edge."""
    wide, high = coding.tile
    height, width = level.shape[:2]
    for top in range(0, height, high):
        for left in range(0, width, wide):
            part = level[top : top + high, left : left + wide]
            beyond = (0, high - part.shape[0]), (0, wide - part.shape[1]), (0, 0)
            yield _coded(np.pad(part, beyond, "edge"), coding)


def _coded(tile: np.ndarray, coding: Coding) -> bytes:
    if coding.jpeg_2000:
        return bytes(imagecodecs.jpeg2k_encode(tile, level=40, codecformat="j2k", mct=True))
    space = "RGB" if coding.rgb else "YCBCR"
    kept = None if coding.rgb else coding.subsampling
    coded = imagecodecs.jpeg8_encode(tile, 85, outcolorspace=space, subsampling=kept)
    return _numbered(_without(bytes(coded), {0xEE})) if coding.rgb else bytes(coded)


def _factors(coding: Coding) -> tuple[int, int]:
    return {"420": (2, 2), "422": (2, 1), "444": (1, 1)}[coding.subsampling]


def _segments(jpeg: bytes) -> list[bytes]:
    """The segments of a JPEG; the last one is the scan with all that follows."""
    parts, at = [jpeg[:2]], 2
    while jpeg[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        parts.append(jpeg[at:end])
        at = end
    return [*parts, jpeg[at:]]


def _without(jpeg: bytes, markers: set[int]) -> bytes:
    return b"".join(part for part in _segments(jpeg) if part[1] not in markers)


def _numbered(jpeg: bytes) -> bytes:
    """Components that are called 0, 1, 2, as Aperio does it: a decoder cannot tell them as RGB."""
    parts = [bytearray(part) for part in _segments(jpeg)]
    frame = next(part for part in parts if part[1] == 0xC0)
    for k in range(3):
        frame[10 + 3 * k] = parts[-1][5 + 2 * k] = k
    return b"".join(parts)


def _without_tables(jpeg: bytes) -> bytes:
    return _without(jpeg, {0xDB, 0xC4, 0xE0})


def _tables(jpeg: bytes) -> bytes:
    """The tables alone, as a TIFF keeps them for all tiles."""
    kept = [part for part in _segments(jpeg)[1:-1] if part[1] in (0xDB, 0xC4)]
    return b"\xff\xd8" + b"".join(kept) + b"\xff\xd9"
