"""Headers under the sheet and the settings."""

from __future__ import annotations

from pathlib import Path

import pytest
import tifffile

from hipt.cohort.headers import slide_mpp, slide_plan
from hipt.cohort.sheet import SlideRow, read_sheet
from hipt.errors import SlideError
from hipt.geometry.resolution import Mpp
from hipt.slides.slide import SlideInfo, open_slide
from tests.slidemaker import tissue_picture, write_levels, write_slide


@pytest.mark.parametrize(
    ("header", "sheet", "default", "expected"),
    [
        (0.25, "", 1.0, (0.25, "header")),
        (0.25, "0.5", None, (0.5, "sheet")),
        (None, "0.5", 1.0, (0.5, "sheet")),
        (None, "", 1.0, (1.0, "default")),
    ],
)
def test_sheet_then_header_then_default(tmp_path: Path, header, sheet, default, expected):
    write_slide(tmp_path / "a.svs", tissue_picture(300, 300), mpp=header)
    (tmp_path / "s.csv").write_text(f"slide_id,path,mpp\na,a.svs,{sheet}\n")
    with open_slide(tmp_path / "a.svs") as slide:
        mpp = slide_mpp(slide.info, read_sheet(tmp_path / "s.csv")[0], default)
    assert (mpp.value, mpp.source) == expected


def test_nothing_says_it(tmp_path: Path):
    write_slide(tmp_path / "a.svs", tissue_picture(300, 300), mpp=None)
    (tmp_path / "s.csv").write_text("slide_id,path\na,a.svs\n")
    with open_slide(tmp_path / "a.svs") as slide, pytest.raises(SlideError) as caught:
        slide_mpp(slide.info, read_sheet(tmp_path / "s.csv")[0], None)
    assert caught.value.status == "no_mpp"
    assert "slides.default_mpp" in caught.value.reason


def test_too_coarse_is_a_status_that_names_the_source_and_the_column():
    with pytest.raises(SlideError) as caught:
        slide_plan(Mpp(5.0, "tiff"), [1.0, 4.0], 0.5, 0.1, 256)
    assert caught.value.status == "too_coarse"
    assert "the slide's 5 is from its TIFF resolution tags" in caught.value.reason
    assert "give the true one in the sheet's column mpp" in caught.value.reason
    assert slide_plan(Mpp(0.5, "sheet"), [1.0, 4.0], 0.5, 0.1, 256).patch_read_px == 256


def resolution(tmp_path: Path, header: str, sheet: str = "", default: float | None = None) -> Mpp:
    """Of an Aperio slide whose description says that, under a cell of the sheet and a default."""
    text = f"Aperio Image Library v12 \r\n300x300 (256x256) JPEG/RGB Q=95|{header}"
    write_levels(tmp_path / "a.svs", [tissue_picture(300, 300)], description=text)
    (tmp_path / "s.csv").write_text(f"slide_id,path,mpp\na,a.svs,{sheet}\n")
    with open_slide(tmp_path / "a.svs") as slide:
        return slide_mpp(slide.info, read_sheet(tmp_path / "s.csv")[0], default)


CANNOT_BE = {
    "ten times": ("AppMag = 20|MPP = 4.99", ["4.99 um/px, from its header", "20x", "about 0.5"]),
    "a hundred times": ("AppMag = 20|MPP = 50.0", ["50 um, from its header", "20x", "about 0.5"]),
    "in nm": ("AppMag = 20|MPP = 500", ["500 um, from its header", "20x"]),
    "a tenth": ("AppMag = 40|MPP = 0.025", ["0.025 um, from its header", "40x", "about 0.25"]),
    "a tenth of 20x": ("AppMag = 20|MPP = 0.05", ["0.05 um, from its header"]),
    "a tenth of 10x": ("AppMag = 10|MPP = 0.1", ["0.1 um/px, from its header", "10 times apart"]),
    "a third": ("AppMag = 20|MPP = 0.166", ["0.166 um/px", "3.01 times apart"]),
    "a quarter of the size": ("AppMag = 40|MPP = 1.0", ["1 um/px", "4 times apart"]),
    "too fine": ("MPP = 0.04", ["0.04 um, from its header"]),
    "too coarse": ("MPP = 31", ["31 um, from its header"]),
    "nothing": ("AppMag = 20|MPP = 0", ["does not say", "20x means about 0.5"]),
    "empty": ("AppMag = 20|MPP = ", ["does not say", "slides.default_mpp"]),
}


@pytest.mark.parametrize("name", CANNOT_BE)
def test_a_resolution_that_cannot_be(tmp_path: Path, name: str):
    header, parts = CANNOT_BE[name]
    with pytest.raises(SlideError) as caught:
        resolution(tmp_path, header)
    assert caught.value.status == "no_mpp"
    for part in (*parts, "the sheet's column mpp"):
        assert part in caught.value.reason


@pytest.mark.parametrize(
    ("header", "mpp", "note"),
    [
        ("AppMag = 20|MPP = 0.5", 0.5, ""),
        ("AppMag = 20|MPP = 0,4990", 0.499, ""),
        ("AppMag = 40|MPP = 0.2208", 0.2208, ""),
        ("AppMag = 28|MPP = 0.3611", 0.3611, ""),
        ("AppMag = 40|MPP = 0.5", 0.5, "are 2 times apart"),  # saved at half of its size
        ("AppMag = 40|MPP = 0.526036", 0.526036, "are 2.1 times apart"),
        ("AppMag = 20|MPP = 0.2339", 0.2339, "are 2.14 times apart"),  # a lens of 20x
        ("MPP = 12", 12, ""),
    ],
)
def test_a_resolution_that_can_be(tmp_path: Path, header: str, mpp: float, note: str):
    result = resolution(tmp_path, header)
    assert (result.value, result.source) == (mpp, "header")
    assert note in result.note
    assert bool(note) == bool(result.note)


def test_the_sheet_is_believed_and_what_contradicts_it_is_noted(tmp_path: Path):
    result = resolution(tmp_path, "AppMag = 20|MPP = 0.5", sheet="4.99")
    assert (result.value, result.source) == (4.99, "sheet")
    assert "contradicts the header's 0.5" in result.note
    assert "4.99 um/px, from the sheet's column mpp, and its objective of 20x" in result.note
    mended = resolution(tmp_path, "AppMag = 20|MPP = 4.99", sheet="0.499")
    assert mended.value == 0.499


def test_a_default_that_the_objective_contradicts(tmp_path: Path):
    with pytest.raises(
        SlideError, match=r"0\.25 um/px, from slides\.default_mpp, .* 4 times apart"
    ):
        resolution(tmp_path, "AppMag = 10", default=0.25)
    assert resolution(tmp_path, "AppMag = 10", default=1.0).value == 1.0


@pytest.mark.parametrize(
    ("vendor", "objective", "mpp"),
    [
        ("mirax", 20, 0.2339),
        ("zeiss", 20, 0.1725),  # a camera of 3.45 um behind the lens
        ("dicom", 40, 16.0),  # a coarse level, alone in its file
    ],
)
def test_formats_that_state_the_lens_or_a_level(vendor: str, objective: float, mpp: float):
    info = SlideInfo(vendor, objective, (mpp, mpp), "header", 9, 9, (1.0,), (0, 0, 9, 9))
    result = slide_mpp(info, SlideRow("a", Path("a"), "a"), None)
    assert (result.value, result.note) == (mpp, "")


@pytest.mark.parametrize(
    ("dpi", "status"), [(72, "no_mpp"), (300, "no_mpp"), (1200, "too_coarse"), (96, "no_mpp")]
)
def test_a_resolution_for_print(tmp_path: Path, dpi: int, status: str):
    write_levels(tmp_path / "a.tif", [tissue_picture(300, 300)], mpp=25400 / dpi)
    row = SlideRow("a", tmp_path / "a.tif", "a")
    with open_slide(row.path) as slide, pytest.raises(SlideError) as caught:
        slide_plan(slide_mpp(slide.info, row, None), slide.info.downsamples, 0.5, 0.1, 256)
    assert caught.value.status == status
    assert "its TIFF resolution tags" in caught.value.reason
    assert "the sheet's column mpp" in caught.value.reason


@pytest.mark.parametrize("per_cm", [(20_000, 2_000), (9_000, 20_000)])
def test_a_pixel_that_is_far_from_square(tmp_path: Path, per_cm: tuple[int, int]):
    picture = tissue_picture(600, 600)
    tifffile.imwrite(
        tmp_path / "a.tif", picture, tile=(256, 256), photometric="rgb", resolution=per_cm,
        resolutionunit="CENTIMETER",
    )  # fmt: skip
    (tmp_path / "s.csv").write_text("slide_id,path,mpp\na,a.tif,\nb,a.tif,0.5\n")
    empty, given = read_sheet(tmp_path / "s.csv")
    with open_slide(tmp_path / "a.tif") as slide:
        with pytest.raises(SlideError) as caught:
            slide_mpp(slide.info, empty, None)
        assert slide_mpp(slide.info, given, None).value == 0.5
    x, y = (1e4 / number for number in per_cm)
    assert caught.value.status == "no_mpp"
    assert caught.value.reason == (
        f"a pixel of {x:g} x {y:g} um, from its TIFF resolution tags, is none of a slide, whose "
        "are square; give the true one in the sheet's column mpp"
    )
