"""Arrays that Python wrote as TIFF, read as numbers: PIL knows some kinds not, and shows others.

Of these PIL gives no pixels, or others than were stored: float16 and float64, 64-bit integers, and
more than 8 bits in several channels.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from hipt.errors import HiptError

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_UNCOMPRESSED = 1
_DAMAGED = (OSError, ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError,
            RuntimeError, TypeError, ValueError, struct.error, tifffile.TiffFileError)  # fmt: skip
_PALETTE = 3
_ALPHA = (1, 2)

_SHOWN: Mapping[str, int] = {"uint8": 255, "uint16": 1, "int16": 1, "uint32": 1, "int32": 1,
                             "float32": 1}  # fmt: skip
"""Kinds of numbers that PIL gives as they are, and in how many channels at most."""


def stored_numbers(path: Path, most_bytes: int) -> npt.NDArray[Any] | None:
    """[h, w] a TIFF's numbers; of several channels, whether they show something.

    Args:
        path: the file.
        most_bytes: of its pixels in memory.

    Returns:
        None where the file is no TIFF, or a damaged one, or one that PIL shows as it is stored.

    Raises:
        HiptError: if its numbers cannot be read, or are too many.
    """
    try:
        with path.open("rb") as file:
            if file.read(4) not in _MAGIC:
                return None
        with tifffile.TiffFile(path) as tif:
            page = tif.pages.first
            if _as_shown(page):
                return None
            kind = f"{page.dtype} in {page.samplesperpixel} channels"
            if page.nbytes > most_bytes:
                raise HiptError(
                    f"{path}: has {page.imagewidth:,} x {page.imagelength:,} pixels of {kind}; no "
                    f"picture is read that takes more than {most_bytes:,} bytes, so save it smaller"
                )
            if page.compression != _UNCOMPRESSED:
                raise HiptError(
                    f"{path}: holds {kind}, compressed, which cannot be read; save it as 8-bit "
                    "grey, e.g. as PNG"
                )
            return _marked(page, page.asarray())
    except FileNotFoundError:
        return None
    except _DAMAGED:
        return None


def something(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Where there is a number other than 0; NaN is none."""
    marked = values != 0
    return np.asarray(marked & ~np.isnan(values) if values.dtype.kind == "f" else marked)


def _as_shown(page: tifffile.TiffPage) -> bool:
    """Whether PIL gives a page's pixels as they are stored."""
    if page.photometric == _PALETTE or page.bitspersample == 1:
        return True
    return int(page.samplesperpixel) <= _SHOWN.get(str(page.dtype), 0)


def _marked(page: tifffile.TiffPage, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """[h, w] the numbers; of several channels, where any colour is something, and alpha too."""
    if values.ndim == 2:
        return values
    if values.ndim != 3:
        raise ValueError("a stack of pictures")
    channels = np.moveaxis(values, 0, -1) if page.planarconfig == 2 else values
    alpha = [i for i, kind in enumerate(page.extrasamples) if kind in _ALPHA]
    colours = channels.shape[-1] - len(page.extrasamples)
    marked = something(channels[..., : max(1, colours)]).any(-1)
    for number in alpha:
        marked &= something(channels[..., colours + number])
    return np.asarray(marked)
