"""Slides as an Aperio scanner writes them: tiled JPEG levels and a thumbnail in one TIFF."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import tifffile

from hipt.demo.noise import Bytes

_TILE = (256, 256)
_QUALITY = 80
_THUMBNAIL_PX = 768


def write_slide(
    path: Path, picture: Bytes, mpp: float, objective: int, downsamples: Sequence[int]
) -> None:
    """Write a picture as a pyramid that OpenSlide opens as vendor `aperio`.

    Args:
        path: the file.
        picture: (rows, columns, 3) RGB, the finest level.
        mpp: its micrometres per pixel.
        objective: the magnification that the header names.
        downsamples: whole factors of the coarser levels, e.g. (4, 16).
    """
    rows, cols = picture.shape[:2]
    head = f"Aperio Image Library v12.0.15 \r\n{cols}x{rows} [0,0 {cols}x{rows}] "
    tiles = f"({_TILE[1]}x{_TILE[0]}) JPEG/RGB Q={_QUALITY}"
    about = f"{head}{tiles}|AppMag = {objective}|MPP = {mpp:.4f}"
    thumbnail = _smaller(picture, max(1, max(rows, cols) // _THUMBNAIL_PX))
    part = path.with_name(f"{path.name}.part")
    with tifffile.TiffWriter(part) as tif:
        _write(tif, picture, about, _TILE)
        _write(tif, thumbnail, head.rstrip(), None)
        for factor in downsamples:
            _write(tif, _smaller(picture, factor), about, _TILE)
    part.replace(path)


def _write(
    tif: tifffile.TiffWriter, picture: Bytes, about: str, tile: tuple[int, int] | None
) -> None:
    """One image of the file, in tiles or else in strips."""
    tif.write(
        picture,
        description=about,
        photometric="rgb",
        subsampling=(2, 2),
        compression="jpeg",
        compressionargs={"level": _QUALITY},
        metadata=None,
        software=False,
        maxworkers=1,
        tile=tile,
        rowsperstrip=None if tile else 16,
    )


def _smaller(picture: Bytes, factor: int) -> Bytes:
    """The area mean over whole blocks of `factor` pixels; a rest at the edges is left out."""
    rows, cols = (side // factor for side in picture.shape[:2])
    whole = picture[: rows * factor, : cols * factor]
    return np.asarray(cv2.resize(whole, (cols, rows), interpolation=cv2.INTER_AREA), np.uint8)
