"""DICOM slides made on the spot: one file per level or label."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np

EXPLICIT, IMPLICIT, DEFLATED = (f"1.2.840.10008.1.2{end}" for end in (".1", "", ".1.99"))
JPEG = "1.2.840.10008.1.2.4.50"
WHOLE_SLIDE, CT = "1.2.840.10008.5.1.4.1.1.77.1.6", "1.2.840.10008.5.1.4.1.1.2"
_LONG = ("OB", "OW", "SQ", "UN", "UT")
TILE_PX = 256


def element(
    group: int, number: int, kind: str, value: bytes | str | int, explicit: bool = True
) -> bytes:
    """One element, its value padded to an even length."""
    if isinstance(value, int):
        value = struct.pack("<H" if kind == "US" else "<I", value)
    if isinstance(value, str):
        value = value.encode()
    value += (b"\0" if kind in ("UI", "OB") else b" ") * (len(value) % 2)
    head = struct.pack("<HH", group, number)
    if not explicit:
        return head + struct.pack("<I", len(value)) + value
    if kind in _LONG:
        return head + kind.encode() + struct.pack("<2xI", len(value)) + value
    return head + kind.encode() + struct.pack("<H", len(value)) + value


def sequence(group: int, number: int, *items: bytes, endless: bool = False) -> bytes:
    """A sequence of items; `endless` as many writers make them: without a length."""
    if endless:
        inside = b"".join(
            struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + item + _end(0xE00D) for item in items
        )
        head = struct.pack("<HH", group, number) + b"SQ" + struct.pack("<2xI", 0xFFFFFFFF)
        return head + inside + _end(0xE0DD)
    inside = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in items)
    return element(group, number, "SQ", inside)


def _end(number: int) -> bytes:
    return struct.pack("<HHI", 0xFFFE, number, 0)


def meta(syntax: str, sop_class: str, uid: str) -> bytes:
    """Preamble and the group that says how the rest is written."""
    body = element(2, 1, "OB", b"\0\1") + element(2, 2, "UI", sop_class)
    body += element(2, 3, "UI", uid) + element(2, 0x10, "UI", syntax)
    return bytes(128) + b"DICM" + element(2, 0, "UL", len(body)) + body


def header(
    series: str | None,
    size_px: tuple[int, int] = (1024, 768),
    kind: str = "VOLUME",
    syntax: str = EXPLICIT,
    sop_class: str = WHOLE_SLIDE,
    between: bytes = b"",
) -> bytes:
    """A DICOM file without pixels; `between` lies before the size of the level."""
    explicit = syntax != IMPLICIT
    found = element(8, 8, "CS", f"ORIGINAL\\PRIMARY\\{kind}\\NONE", explicit)
    found += element(8, 0x16, "UI", sop_class, explicit)
    found += element(0x20, 0xE, "UI", series, explicit) if series else b""
    found += between
    found += element(0x28, 0x10, "US", TILE_PX, explicit)
    found += element(0x28, 0x11, "US", TILE_PX, explicit)
    found += element(0x48, 6, "UL", size_px[0], explicit)
    found += element(0x48, 7, "UL", size_px[1], explicit)
    return meta(syntax, sop_class, f"{series}.1") + found + b"\0" * 64


def write_level(
    path: Path, picture: np.ndarray, series: str, mpp: float, kind: str = "VOLUME"
) -> Path:
    """A file that OpenSlide reads: a level, label or overview, in JPEG tiles.

    Args:
        path: the file.
        picture: uint8 [h, w, 3].
        series: SeriesInstanceUID; the slide's files share it.
        mpp: um/px of this level.
        kind: `VOLUME`, `LABEL`, `OVERVIEW` or `THUMBNAIL`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = picture.shape[:2]
    tiled = kind == "VOLUME"
    frames = _frames(picture, TILE_PX) if tiled else [_jpeg(picture)]
    side = (TILE_PX, TILE_PX) if tiled else (height, width)
    uid = f"{series}.{width}.{len(kind)}"
    spacing = sequence(0x28, 0x9110, element(0x28, 0x30, "DS", f"{mpp / 1000}\\{mpp / 1000}"))
    body = element(8, 8, "CS", f"ORIGINAL\\PRIMARY\\{kind}\\NONE")
    body += element(8, 0x16, "UI", WHOLE_SLIDE) + element(8, 0x18, "UI", uid)
    body += element(8, 0x60, "CS", "SM")
    body += element(0x20, 0xD, "UI", f"{series}.9") + element(0x20, 0xE, "UI", series)
    body += element(0x20, 0x9311, "CS", "TILED_FULL")
    body += element(0x28, 2, "US", 3) + element(0x28, 4, "CS", "YBR_FULL_422")
    body += element(0x28, 6, "US", 0) + element(0x28, 8, "IS", str(len(frames)))
    body += element(0x28, 0x10, "US", side[0]) + element(0x28, 0x11, "US", side[1])
    body += element(0x28, 0x100, "US", 8) + element(0x28, 0x101, "US", 8)
    body += element(0x28, 0x102, "US", 7) + element(0x28, 0x103, "US", 0)
    body += element(0x48, 6, "UL", width) + element(0x48, 7, "UL", height)
    body += sequence(0x48, 0x105, element(0x48, 0x106, "SH", "1"))
    body += element(0x48, 0x302, "UL", 1) + element(0x48, 0x303, "UL", 1)
    body += sequence(0x5200, 0x9229, spacing)
    path.write_bytes(meta(JPEG, WHOLE_SLIDE, uid) + body + _pixels(frames))
    return path


def _frames(picture: np.ndarray, side_px: int) -> list[bytes]:
    """The tiles, row by row, those at the border filled up with white."""
    height, width = picture.shape[:2]
    down, across = -(-height // side_px), -(-width // side_px)
    whole = np.full((down * side_px, across * side_px, 3), 255, np.uint8)
    whole[:height, :width] = picture
    return [
        _jpeg(whole[y : y + side_px, x : x + side_px])
        for y in range(0, down * side_px, side_px)
        for x in range(0, across * side_px, side_px)
    ]


def _jpeg(tile: np.ndarray) -> bytes:
    done, data = cv2.imencode(".jpg", np.ascontiguousarray(tile[..., ::-1]))
    assert done
    return bytes(data)


def _pixels(frames: list[bytes]) -> bytes:
    """The pictures as encapsulated pixel data."""
    item = struct.pack("<HH", 0xFFFE, 0xE000)
    found = struct.pack("<HH", 0x7FE0, 0x10) + b"OB" + struct.pack("<2xI", 0xFFFFFFFF)
    found += item + struct.pack("<I", 0)
    for frame in frames:
        padded = frame + b"\0" * (len(frame) % 2)
        found += item + struct.pack("<I", len(padded)) + padded
    return found + _end(0xE0DD)
