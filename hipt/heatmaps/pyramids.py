"""Pictures too large for a viewer of pictures, as slides: tiled pyramids in one TIFF."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import tifffile

from hipt.pictures.drawing import RGB
from hipt.store.whole import whole

TILE_PX = 256

_QUALITY = 90
_UM_PER_CM = 1e4
_REDUCED = 1  # TIFF's flag of a smaller version of another image of the file


def write_pyramid(path: Path, rgb: RGB, mpp: float) -> None:
    """Write a picture as a slide that OpenSlide and QuPath open, whole or not at all.

    Each level is half as large as the one before, down to a single tile. Equal pictures give equal
    bytes. JPEG without coarser colour, so that the edges between colours stay where they are.

    Args:
        path: the file; `.tif` is what viewers look for.
        rgb: the finest level.
        mpp: its micrometres per pixel.

    Raises:
        ValueError: if `mpp` is not a number above 0.
    """
    if not 0 < mpp < math.inf:
        raise ValueError(f"a slide has more than 0 um per pixel, but got {mpp}")
    with whole(path) as part, tifffile.TiffWriter(part) as tif:
        for number, level in enumerate(_levels(rgb)):
            per_cm = _UM_PER_CM / (mpp * 2**number)
            tif.write(
                _tiles(level),
                shape=level.shape,
                dtype=level.dtype,
                photometric="rgb",
                tile=(TILE_PX, TILE_PX),
                compression="jpeg",
                compressionargs={"level": _QUALITY},
                subsampling=(1, 1),
                resolution=(per_cm, per_cm),
                resolutionunit="CENTIMETER",
                subfiletype=_REDUCED if number else 0,
                metadata=None,
                software=False,
                maxworkers=1,
            )


def _tiles(level: RGB) -> Iterator[RGB]:
    """The tiles of a level, in which its last pixels go on beyond its edges: JPEG blurs."""
    height, width = level.shape[:2]
    for top in range(0, height, TILE_PX):
        for left in range(0, width, TILE_PX):
            tile = level[top : top + TILE_PX, left : left + TILE_PX]
            down, right = (TILE_PX - side for side in tile.shape[:2])
            yield np.asarray(
                cv2.copyMakeBorder(tile, 0, down, 0, right, cv2.BORDER_REPLICATE), np.uint8
            )


def _levels(rgb: RGB) -> Iterator[RGB]:
    """A picture, and its halves down to one that fits a tile."""
    yield rgb
    while max(rgb.shape[:2]) > TILE_PX:
        rgb = _half(rgb)
        yield rgb


def _half(rgb: RGB) -> RGB:
    """The means of 2 x 2 pixels; a last row or column that is alone counts twice."""
    height, width = rgb.shape[:2]
    even = cv2.copyMakeBorder(rgb, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    size = (even.shape[1] // 2, even.shape[0] // 2)
    return np.asarray(cv2.resize(even, size, interpolation=cv2.INTER_AREA), np.uint8)
