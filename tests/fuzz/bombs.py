"""Small files that say they are huge, or become it when they are unpacked."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width_px: int, height_px: int) -> bytes:
    """A black RGB picture of that size; its pixels are there as far as 30 MB of zeros go."""
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0))
    body = _chunk(b"IDAT", zlib.compress(bytes(30_000_000), 9))
    return b"\x89PNG\r\n\x1a\n" + head + body + _chunk(b"IEND", b"")


def zip_bomb(size: int) -> bytes:
    """A zip whose only file unpacks to `size` zeros."""
    held = io.BytesIO()
    with (
        zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("labels.csv", "w", force_zip64=True) as file,
    ):
        for _ in range(size >> 24):
            file.write(bytes(1 << 24))
    return held.getvalue()
