"""Pictures on disk: masks, label maps, overviews."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, PngImagePlugin

from hipt.errors import HiptError
from hipt.pictures.drawing import RGB
from hipt.store.number_tiff import something, stored_numbers
from hipt.store.whole import whole

Mask = npt.NDArray[np.bool_]  # [h, w]

_JPEG_QUALITY = 85
_PNG_LEVEL = 3  # a tenth larger than at 6, in a third of the time

_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "JPEG2000", "PPM", "WEBP")
"""PIL knows others, and runs Ghostscript for one of them."""

MOST_BYTES = 1 << 29
"""Of a picture in memory: some of a few kB unpack to hundreds of GB."""

MOST_LABEL = 255
"""The largest class of a label map."""

_BROKEN = (OSError, SyntaxError, ArithmeticError, AttributeError, EOFError, LookupError,
           MemoryError, RuntimeError, TypeError, ValueError, struct.error)  # fmt: skip
"""What PIL raises while it reads a damaged picture."""

_LOOKED_AT, _MANY_NUMBERS, _MANY_PIXELS = 100_000, 17, 0.2
"""Pixels among which numbers are counted; from how many numbers, and from which share of pixels
below the largest of them, a mask is graded."""

_WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
_BITS, _PHOTOMETRIC, _DESCRIPTION = 258, 262, 270  # TIFF's tags

_BYTES_PER_PX = {"1": 1, "L": 1, "P": 1, "I;16": 2}

Image.MAX_IMAGE_PIXELS = None  # PIL's own bound is below a label map of a whole slide


def write_mask(path: Path, mask: Mask, text: Mapping[str, str]) -> None:
    """Write a mask as a 1-bit PNG that carries texts, whole or not at all."""
    chunks = PngImagePlugin.PngInfo()
    for key, value in text.items():
        chunks.add_text(key, value)
    with whole(path) as part:
        Image.fromarray(mask).convert("1").save(part, pnginfo=chunks, optimize=True)


class MaskPicture(NamedTuple):
    """A mask, and what its picture looks like."""

    mask: Mask
    graded: bool
    """Whether it holds many numbers, like probabilities, and not one or a few classes."""


def read_mask(path: Path) -> Mask:
    """A mask, True where the picture shows something: neither black, nor 0, nor transparent.

    Raises:
        HiptError: if the file is absent or damaged, or its pixels cannot be understood.
    """
    return something(_mask_values(path))


def read_mask_picture(path: Path) -> MaskPicture:
    """As `read_mask`, for a mask that somebody else made."""
    values = _mask_values(path)
    mask = something(values)
    marked = values[mask]
    some = marked[:: max(1, len(marked) // _LOOKED_AT)]
    graded = len(some) > 0 and len(np.unique(some)) >= _MANY_NUMBERS
    # edges that were blurred hold many numbers too, but on few pixels
    graded = graded and float(np.mean(some < some.max())) > _MANY_PIXELS
    return MaskPicture(mask, graded)


def _mask_values(path: Path) -> npt.NDArray[Any]:
    """[h, w] a picture's numbers; of one with colours or transparency, whether it shows something.

    Raises:
        HiptError: if the file is absent or damaged, or its pixels cannot be understood.
    """
    numbers = stored_numbers(path, MOST_BYTES)
    if numbers is not None:
        return numbers
    image = _opened(path)
    if image.mode == "LAB":
        raise HiptError(f"{path}: holds CIELAB colours, in which black is not 0; save it in grey")
    if image.mode == "1":
        return np.asarray(np.asarray(image) ^ _inverted(image))
    if image.mode[0] in "IF" or (image.mode == "L" and "transparency" not in image.info):
        return np.asarray(image)
    if image.mode in ("RGB", "RGBA", "LA") and (deep := _deep_png(path)) is not None:
        return deep
    if "transparency" in image.info or image.mode in _WITH_ALPHA:
        colours = np.asarray(image.convert("RGBA"))
        return np.asarray(colours[..., :3].any(axis=2) & (colours[..., 3] > 0))
    return np.asarray(np.asarray(image.convert("RGB")).any(axis=2))  # a dark colour's grey may be 0


def _inverted(image: Image.Image) -> bool:
    """Whether PIL turned booleans round: tifffile stores an array's True as black."""
    tags = getattr(image, "tag_v2", {})
    return tags.get(_PHOTOMETRIC) == 0 and str(tags.get(_DESCRIPTION, "")).startswith('{"shape"')


def _deep_png(path: Path) -> Mask | None:
    """What a PNG of 16 bits per colour shows, of which PIL drops the lower 8; None for others."""
    with path.open("rb") as file:
        head = file.read(26)
    if not head.startswith(b"\x89PNG") or head[24] != 16:
        return None
    channels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if channels is None or channels.ndim != 3:
        return None
    shown = np.asarray(channels[..., :3].any(axis=2))
    return shown & (channels[..., 3] > 0) if channels.shape[2] == 4 else shown


def read_labels(path: Path) -> npt.NDArray[np.integer[Any]]:
    """A label map, [h, w]: grey values, or a palette's numbers.

    Raises:
        HiptError: if the file is absent, damaged, a coloured picture, or holds other numbers than
            0 to 255.
    """
    values, kind = _label_values(path)
    if values.ndim != 2 or not np.issubdtype(values.dtype, np.integer):
        problem = f"is no label map ({kind}); save one whole grey value per pixel"
        raise HiptError(f"{path}: {problem}")
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > MOST_LABEL:
        wrong = high if high > MOST_LABEL else low
        raise HiptError(
            f"{path}: is no label map: it holds {wrong}, classes are 0 (none) to {MOST_LABEL}"
        )
    return values


def _label_values(path: Path) -> tuple[npt.NDArray[Any], str]:
    """A picture's numbers as they are stored, and their kind in words."""
    numbers = stored_numbers(path, MOST_BYTES)
    if numbers is not None:
        return numbers, "several channels" if numbers.dtype == bool else str(numbers.dtype)
    image = _opened(path)
    values = np.asarray(image)
    if image.mode == "1":
        values = (values ^ _inverted(image)).astype(np.uint8)
    elif image.mode == "L":
        most = 2 ** _grey_bits(path, image) - 1
        values = values // (255 // most)
        if getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == 0:  # 0 is white: PIL turns it round
            values = most - values
    return values, f"mode {image.mode}"


def _grey_bits(path: Path, image: Image.Image) -> int:
    """Bits of a grey value in the file; PIL stretches fewer than 8 to 0 to 255."""
    if image.format == "TIFF":
        return int(getattr(image, "tag_v2", {}).get(_BITS, (8,))[0])
    if image.format != "PNG":
        return 8
    with path.open("rb") as file:
        return min(8, file.read(26)[24])


def read_png_text(path: Path) -> dict[str, str]:
    """The texts that a PNG carries.

    Raises:
        HiptError: if the file is absent or damaged.
    """
    return {str(key): str(value) for key, value in _opened(path).info.items()}


def write_png(path: Path, rgb: RGB, title: str = "") -> None:
    """Write a PNG, whole or not at all; `title` as its text of that name."""
    chunks = PngImagePlugin.PngInfo()
    if title:
        chunks.add_itxt("Title", title)
    with whole(path) as part:
        Image.fromarray(rgb).save(part, "PNG", pnginfo=chunks, compress_level=_PNG_LEVEL)


def write_jpeg(path: Path, rgb: RGB, comment: str = "") -> None:
    """Write a JPEG, whole or not at all; `comment` is a text that it carries, below 64 KiB."""
    with whole(path) as part:
        part.write_bytes(jpeg_bytes(rgb, comment=comment))


def jpeg_bytes(rgb: RGB, quality: int = _JPEG_QUALITY, comment: str = "") -> bytes:
    """A picture as the bytes of a JPEG."""
    buffer = io.BytesIO()
    text = {"comment": comment.encode()} if comment else {}
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality, **text)
    return buffer.getvalue()


def png_bytes(pixels: npt.NDArray[np.uint8]) -> bytes:
    """A picture, [h, w, 3] or with alpha [h, w, 4], as the bytes of a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=_PNG_LEVEL)
    return buffer.getvalue()


def read_jpeg_comment(path: Path) -> str | None:
    """The text that a JPEG carries; None where there is none.

    Raises:
        HiptError: if the file is absent or damaged.
    """
    comment = _opened(path).info.get("comment")
    return comment.decode("utf-8", "replace") if isinstance(comment, bytes) and comment else None


def read_rgb(path: Path) -> RGB:
    """A picture's pixels, uint8 [h, w, 3].

    Raises:
        HiptError: if the file is absent or damaged.
    """
    return np.asarray(_opened(path).convert("RGB"))


def refuse_damaged(path: Path) -> None:
    """Read a picture whole, and its checksums where it has any.

    Raises:
        HiptError: if the file is absent or damaged.
    """
    _opened(path)
    try:
        with Image.open(path, formats=_FORMATS) as image:
            image.verify()
    except _BROKEN as error:
        raise HiptError(f"{path}: is damaged or no picture ({error})") from None


def _opened(path: Path) -> Image.Image:
    """A picture, decoded."""
    try:
        with Image.open(path, formats=_FORMATS) as image:
            _refuse_huge(path, image)
            image.load()
            return image
    except FileNotFoundError:
        raise HiptError(f"{path}: no such picture") from None
    except _BROKEN as error:
        reason = str(error) or type(error).__name__
        raise HiptError(f"{path}: is damaged or no picture ({reason})") from None


def _refuse_huge(path: Path, image: Image.Image) -> None:
    """Refuse a picture that memory may not hold, before its pixels are unpacked."""
    width, height = image.size
    if width * height * _BYTES_PER_PX.get(image.mode, 4) > MOST_BYTES:
        raise HiptError(
            f"{path}: has {width:,} x {height:,} pixels of mode {image.mode}; no picture is read "
            f"that takes more than {MOST_BYTES:,} bytes, so save it smaller, or in grey"
        )
