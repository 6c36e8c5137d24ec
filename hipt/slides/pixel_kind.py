"""What a slide's pixels are, where they are not red, green and blue of 8 bits on bright glass."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import tifffile

from hipt.errors import SlideError
from hipt.geometry.channels import extremes

RGB = npt.NDArray[np.uint8]  # [h, w, 3]
Grey = npt.NDArray[np.uint8]  # one value per pixel

_PHOTOMETRIC = {3: "of a palette", 5: "CMYK", 8: "CIELab", 9: "ICCLab", 10: "ITULab"}
_USUAL = {2, 6, 33003, 33004, 33005}
"""Photometric interpretations whose pixels come out as they are."""
_FORMATS = {2: "signed", 3: "floating-point", 5: "complex", 6: "complex"}
_READ_BITS = (1, 2, 4, 8, 16)

_DARK, _BRIGHT = 64, 128
_MOST_DARK, _LEAST_BRIGHT = 0.2, 0.01
"""Shares of a picture. Of the real slides, none has more than 0.002 that is dark in all colours;
glass, gaps in tissue and pale tissue are bright in all colours."""
_LEAST_SCANNED = 0.05
_COLOURLESS = 2
_CONTRAST = 20
"""Below this, a grey picture is glass with dust."""

NO_COLOUR = "its picture has no colour (grey values alone)"
WITH_ALPHA = "the fourth taken for alpha"

_BLACK, _NOTED_BLACK = 32, 0.02
"""Below this in all colours it is black; from this share of a picture on it is noted."""


@dataclass(frozen=True)
class PixelKind:
    """What the tags of a TIFF say of its pixels."""

    samples: int
    """Samples per pixel."""
    bits: int
    """Of a sample."""
    sample_format: int
    """1: unsigned; 2: signed; 3: floating-point; as the tag numbers them."""
    photometric: int
    """As the tag numbers it."""

    @classmethod
    def of(cls, page: tifffile.TiffPage) -> Self:
        """The kind of a picture's pixels."""
        bits = page.bitspersample
        return cls(
            samples=int(page.samplesperpixel),
            bits=int(bits if isinstance(bits, int) else max(bits)),
            sample_format=int(page.sampleformat),
            photometric=int(page.photometric),
        )

    @property
    def fourth(self) -> bool:
        """Whether there is a sample beside red, green and blue."""
        return self.photometric == 2 and self.samples > 3

    def note(self) -> str:
        """What somebody should know about pixels that OpenSlide reads; empty of usual ones."""
        notes = []
        if self.bits > 8:
            notes.append(f"its samples have {self.bits} bits, of which the upper 8 are read")
        if self.sample_format == 2:
            notes.append("its samples are signed, and read as unsigned ones")
        if self.fourth:
            notes.append(f"it has {self.samples} samples per pixel, {WITH_ALPHA}")
        if self.photometric not in _USUAL and not self.grey:
            name = _PHOTOMETRIC.get(self.photometric, f"of photometric kind {self.photometric}")
            notes.append(f"its pixels are {name}, and turned into RGB")
        return "; ".join(notes)

    @property
    def grey(self) -> bool:
        """Whether there is one value per pixel."""
        return self.photometric in (0, 1)


def refuse_unread(path: Path, kind: PixelKind | None) -> None:
    """Refuse pixels that OpenSlide opens and cannot read.

    Raises:
        SlideError: `unreadable`.
    """
    if kind is None or (kind.bits in _READ_BITS and kind.sample_format in (1, 2, 4)):
        return
    name = f"{kind.bits}-bit {_FORMATS.get(kind.sample_format, 'whole')} numbers"
    raise SlideError(
        "unreadable",
        f"{path}: its samples are {name}, which OpenSlide cannot read; save it with 8 bits",
    )


def picture_note(
    picture: RGB, kind: PixelKind | None, most_opaque: int | None, masked: bool
) -> str:
    """What somebody should know about a slide's picture, by its thumbnail; empty if all is usual.

    Args:
        picture: the thumbnail, [h, w, 3].
        kind: what the tags say; None where there are none.
        most_opaque: the highest alpha of the pixels that were read; None: none could be read.
        masked: whether the sheet says where the tissue is, so that it need not be found.

    Raises:
        SlideError: `unreadable`, if the picture is not what the slide shows, or nothing in which
            tissue could be found.
    """
    if most_opaque is None:
        raise SlideError("unreadable", "none of its pixels can be read: all tiles are damaged")
    if most_opaque < 255:
        raise SlideError("unreadable", _transparent(most_opaque, kind))
    lowest, highest = extremes(_inside(picture))
    brightest = int(highest.max())
    if kind is not None and kind.bits > 8 and brightest < _BRIGHT:
        used = kind.bits - 8 + max(1, brightest - 1).bit_length()  # libtiff rounds
        raise SlideError(
            "unreadable",
            f"its samples have {kind.bits} bits, of which only the lower {used} are used: the "
            "upper 8, which OpenSlide reads, are nearly black; save it with 8 bits",
        )
    if _dark(lowest, highest) if kind else _dark(*_scanned(lowest, highest)):
        problem = "its picture is dark, without bright glass, as of fluorescence"
        if masked:
            return f"{problem}; the sheet's mask says where its tissue is"
        raise SlideError(
            "unreadable",
            f"{problem}; tissue is sought on stained slides in bright light: to read it all the "
            "same, draw its tissue and name that file in the sheet's column mask",
        )
    if _colourless(lowest, highest, kind):
        return NO_COLOUR
    black = float((highest < _BLACK).mean())
    if masked or black < _NOTED_BLACK:
        return ""
    return (
        f"{black:.0%} of its picture are nearly black, and may have been taken for tissue (fill of "
        "what was not scanned, pen); name a mask in the sheet if they were"
    )


def nothing_found(note: str) -> str:
    """Why a slide ends without tissue.

    Args:
        note: the slide's note.
    """
    reason = "no tissue was found on it"
    if WITH_ALPHA in note:
        return (
            f"{reason}: of its samples per pixel the fourth was taken for alpha, and what that "
            "makes transparent is white; save it as RGB without alpha if it should not be"
        )
    if NO_COLOUR not in note:
        return reason
    return (
        f"{reason}: {NO_COLOUR}, by which tissue is known; draw it, and name that file in the "
        "sheet's column mask"
    )


def _transparent(most_opaque: int, kind: PixelKind | None) -> str:
    """The sentence for a picture of which nothing is opaque."""
    if kind is not None and kind.fourth:
        return (
            f"its pixels have {kind.samples} samples, and the fourth, which is taken for alpha, is "
            f"at most {most_opaque} of 255: all of it is transparent; save it as RGB without alpha"
        )
    return f"all of it is transparent (alpha at most {most_opaque} of 255): nothing was scanned"


def _inside(picture: RGB) -> RGB:
    """A thumbnail without its last row and column, which may reach beyond the slide into white."""
    return picture[: max(1, picture.shape[0] - 1), : max(1, picture.shape[1] - 1)]


def _scanned(lowest: Grey, highest: Grey) -> tuple[Grey, Grey]:
    """What of a picture is not pure white; all of it where that is nearly nothing.

    Formats that are no TIFF leave out what was not scanned, and it comes out white.
    """
    seen = lowest < 255
    return (lowest[seen], highest[seen]) if seen.mean() >= _LEAST_SCANNED else (lowest, highest)


def _dark(lowest: Grey, highest: Grey) -> bool:
    """Whether a picture has much that is dark, and nearly nothing that is bright.

    Args:
        lowest: smallest value over the colours of each pixel.
        highest: the largest.
    """
    if (lowest >= _BRIGHT).mean() >= _LEAST_BRIGHT:
        return False
    return bool((highest < _DARK).mean() >= _MOST_DARK)


def _colourless(lowest: Grey, highest: Grey, kind: PixelKind | None) -> bool:
    """Whether a picture with something on it has no colour; see `_dark`."""
    if np.percentile(highest - lowest, 99.9) > _COLOURLESS:
        return False
    dark, bright = np.percentile(lowest, [1, 99])
    return bool(bright - dark >= _CONTRAST or (kind is not None and kind.grey))
