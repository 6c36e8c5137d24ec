"""Headers of DICOM files: what says which files are one slide."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hipt.cohort.dicom_series import DicomHeader, dicom_header, may_be_dicom
from tests.dicommaker import (
    CT,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    WHOLE_SLIDE,
    element,
    header,
    sequence,
)


def written(folder: Path, content: bytes) -> Path:
    path = folder / "a.dcm"
    path.write_bytes(content)
    return path


ITEM = element(8, 0x100, "SH", "code") + sequence(8, 0x8A, element(8, 0x104, "LO", "x" * 300))
BETWEEN = {
    "nothing": b"",
    "a sequence": sequence(0x20, 0x9221, ITEM, ITEM),
    "a sequence without a length": sequence(0x20, 0x9221, ITEM, ITEM, endless=True),
    "sequences without lengths in each other": sequence(
        0x20, 0x9221, sequence(0x20, 0x9222, ITEM, endless=True), endless=True
    ),
    "a private block": element(0x21, 0x10, "UN", b"\1" * 70_000),
}


@pytest.mark.parametrize("between", BETWEEN)
def test_what_is_found_whatever_lies_between(tmp_path: Path, between: str):
    path = written(tmp_path, header("1.2.3", (70_000, 90_000), between=BETWEEN[between]))
    assert dicom_header(path) == DicomHeader(
        series="1.2.3",
        sop_class=WHOLE_SLIDE,
        image_type=("ORIGINAL", "PRIMARY", "VOLUME", "NONE"),
        size_px=(70_000, 90_000),
    )


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_both_ways_of_writing(tmp_path: Path, syntax: str):
    result = dicom_header(written(tmp_path, header("1.2.3", (512, 256), syntax=syntax)))
    assert result is not None
    assert (result.series, result.size_px, result.is_level) == ("1.2.3", (512, 256), True)


@pytest.mark.parametrize(
    ("kind", "level"),
    [("VOLUME", True), ("LABEL", False), ("OVERVIEW", False), ("THUMBNAIL", False)],
)
def test_labels_and_overviews_are_no_levels(tmp_path: Path, kind: str, level: bool):
    result = dicom_header(written(tmp_path, header("1.2.3", kind=kind)))
    assert result is not None
    assert (result.is_slide, result.is_level) == (True, level)


def test_a_radiograph_is_no_slide(tmp_path: Path):
    result = dicom_header(written(tmp_path, header("1.2.3", sop_class=CT)))
    assert result is not None
    assert not result.is_slide
    assert not result.is_level


def test_no_header(tmp_path: Path):
    assert dicom_header(tmp_path / "absent.dcm") is None
    assert dicom_header(written(tmp_path, b"")) is None
    assert dicom_header(written(tmp_path, b"II*\0" * 100)) is None
    assert dicom_header(written(tmp_path, header(None))) is None
    assert dicom_header(written(tmp_path, header("1.2", syntax=DEFLATED))) is None
    assert dicom_header(written(tmp_path, header("1.2")[:200])) is None
    endless = struct.pack("<HH", 0x20, 0x9221) + b"SQ" + struct.pack("<2xI", 0xFFFFFFFF)
    deep = (endless + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)) * 3000
    assert dicom_header(written(tmp_path, header("1.2", between=deep))) is None


@given(st.data())
def test_damage_is_no_traceback(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject):
    content = bytearray(header("1.2.3", between=BETWEEN["a sequence without a length"]))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(128, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.dcm"
    path.write_bytes(content)
    result = dicom_header(path)
    assert result is None or (result.series and min(result.size_px) >= 0)


def test_names_that_archives_give():
    fit = ("a.dcm", "a.DCM", "IM000001", "1.2.840.113619.2.55.3")
    assert all(may_be_dicom(Path(name)) for name in fit)
    assert not any(may_be_dicom(Path(name)) for name in ("a.svs", "a.tif", "a.dcm.txt"))
