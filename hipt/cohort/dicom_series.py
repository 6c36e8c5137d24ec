"""Which DICOM files are one slide: series, kind of picture and size, read from their headers.

Standard library only: a folder of slides is listed while Snakemake parses. A header is read up to
the size of the level, a few kB, whatever lies between.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
"""SOP class of VL Whole Slide Microscopy Image Storage."""

HEADERS_AT_ONCE = 16
"""Files opened side by side: on network disks, waiting is all that opening is."""

_SOP_CLASS, _IMAGE_TYPE, _SERIES = (0x0008, 0x0016), (0x0008, 0x0008), (0x0020, 0x000E)
_ROWS, _COLUMNS = (0x0028, 0x0010), (0x0028, 0x0011)
_TOTAL_COLUMNS, _TOTAL_ROWS = (0x0048, 0x0006), (0x0048, 0x0007)
_WANTED = {_SOP_CLASS, _IMAGE_TYPE, _SERIES, _ROWS, _COLUMNS, _TOTAL_COLUMNS, _TOTAL_ROWS}
_SYNTAX = (0x0002, 0x0010)
_ITEM, _ITEM_END, _SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)

_IMPLICIT = "1.2.840.10008.1.2"
_UNREAD = {"1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"}
"""Big-endian and deflated: no slide is written so."""

_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
"""Kinds of values whose length has 32 bits."""

_UNDEFINED = 0xFFFFFFFF
_LONGEST_VALUE = 1024
_MOST_ELEMENTS, _DEEPEST = 20_000, 33  # items, too, are levels of depth
_NUMBERED = re.compile(r"\.[0-9]+")

Tag = tuple[int, int]


@dataclass(frozen=True)
class DicomHeader:
    """What a DICOM file says of the slide that it is a part of."""

    series: str
    """SeriesInstanceUID: all files of one slide have the same."""
    sop_class: str
    image_type: tuple[str, ...]
    """E.g. ORIGINAL, PRIMARY, VOLUME, NONE."""
    size_px: tuple[int, int]
    """Width and height of the level."""

    @property
    def is_level(self) -> bool:
        """Whether its pixels are a level of a slide, not its label, overview or thumbnail."""
        return self.is_slide and self.image_type[2:3] in ((), ("VOLUME",))

    @property
    def is_slide(self) -> bool:
        """Whether it is a whole-slide image, not a radiograph or a report."""
        return self.sop_class == WHOLE_SLIDE


class _Element(NamedTuple):
    tag: Tag
    length: int


def may_be_dicom(name: Path) -> bool:
    """Whether a file's name is one that DICOM files have: `.dcm`, no ending, or a UID."""
    ending = name.suffix.lower()
    return ending in ("", ".dcm") or _NUMBERED.fullmatch(ending) is not None


def dicom_headers(paths: Sequence[Path]) -> list[DicomHeader | None]:
    """The header of each file; None where it is no DICOM file, or cannot be read."""
    with ThreadPoolExecutor(HEADERS_AT_ONCE) as pool:
        return list(pool.map(dicom_header, paths))


def dicom_header(path: Path) -> DicomHeader | None:
    """The header of a file; None where it is no DICOM file, or cannot be read."""
    try:
        with path.open("rb") as file:
            if file.read(132)[128:] != b"DICM":
                return None
            return _header(_values(file))
    except (OSError, ValueError, struct.error):
        return None


def _header(values: dict[Tag, bytes]) -> DicomHeader | None:
    """The header from the values of its elements; None without a series."""
    text = {tag: value.decode("ascii", "replace").strip("\0 ") for tag, value in values.items()}
    if not text.get(_SERIES):
        return None
    width, height = (_number(values.get(tag, b"")) for tag in (_TOTAL_COLUMNS, _TOTAL_ROWS))
    if not width or not height:  # a level of one frame
        width, height = (_number(values.get(tag, b"")) for tag in (_COLUMNS, _ROWS))
    image_type = text.get(_IMAGE_TYPE, "")
    return DicomHeader(
        series=text[_SERIES],
        sop_class=text.get(_SOP_CLASS, ""),
        image_type=tuple(part.strip() for part in image_type.split("\\")) if image_type else (),
        size_px=(width, height),
    )


def _number(value: bytes) -> int:
    """An unsigned number of two or four bytes; 0 for others."""
    return int.from_bytes(value, "little") if len(value) in (2, 4) else 0


def _values(file: BinaryIO) -> dict[Tag, bytes]:
    """The wanted elements' values, from behind the preamble on."""
    explicit = _syntax(file) != _IMPLICIT
    values: dict[Tag, bytes] = {}
    for _ in range(_MOST_ELEMENTS):
        element = _element(file, explicit)
        if element.tag > _TOTAL_ROWS or _TOTAL_ROWS in values:
            break
        if element.length == _UNDEFINED:
            _skip(file, explicit, _SEQUENCE_END)
        elif element.tag in _WANTED and element.length <= _LONGEST_VALUE:
            values[element.tag] = file.read(element.length)
        else:
            file.seek(element.length, 1)
    return values


def _syntax(file: BinaryIO) -> str:
    """How the data set is written; the file then stands at its first element.

    Raises:
        ValueError: if it is written in a way that is not read here.
    """
    syntax = ""
    for _ in range(_MOST_ELEMENTS):
        start = file.tell()
        element = _element(file, explicit=True)
        if element.tag[0] != _SYNTAX[0]:
            file.seek(start)
            break
        value = file.read(min(element.length, _LONGEST_VALUE))
        file.seek(element.length - len(value), 1)
        if element.tag == _SYNTAX:
            syntax = value.decode("ascii", "replace").strip("\0 ")
    if syntax in _UNREAD:
        raise ValueError(f"transfer syntax {syntax}")
    return syntax


def _element(file: BinaryIO, explicit: bool) -> _Element:
    """The head of the element at which the file stands."""
    group, number = struct.unpack("<HH", file.read(4))
    if group == _ITEM[0] or not explicit:
        return _Element((group, number), struct.unpack("<I", file.read(4))[0])
    kind = file.read(2)
    if kind in _LONG:
        return _Element((group, number), struct.unpack("<2xI", file.read(6))[0])
    return _Element((group, number), struct.unpack("<H", file.read(2))[0])


def _skip(file: BinaryIO, explicit: bool, end: Tag, depth: int = 0) -> None:
    """Pass over a sequence, or an item of one, of which the header does not say the length."""
    if depth > _DEEPEST:
        raise ValueError("sequences in sequences without end")
    in_sequence = end == _SEQUENCE_END
    for _ in range(_MOST_ELEMENTS):
        element = _element(file, explicit)
        if element.tag == end:
            return
        if in_sequence and element.tag != _ITEM:
            raise ValueError("a sequence holds what is no item")
        if element.length == _UNDEFINED:
            _skip(file, explicit, _ITEM_END if in_sequence else _SEQUENCE_END, depth + 1)
        else:
            file.seek(element.length, 1)
    raise ValueError("a sequence or an item without end")
