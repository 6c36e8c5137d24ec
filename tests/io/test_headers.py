"""Headers under the sheet and the settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from hipt.errors import SlideError
from hipt.io.headers import slide_mpp, slide_plan
from hipt.io.sheets import read_sheet
from hipt.io.slides import open_slide
from tests.slidemaker import tissue_picture, write_slide


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


def test_too_coarse_is_a_status():
    with pytest.raises(SlideError) as caught:
        slide_plan(1.0, [1.0, 4.0], 0.5, 0.1, 256)
    assert caught.value.status == "too_coarse"
    assert slide_plan(0.5, [1.0, 4.0], 0.5, 0.1, 256).patch_read_px == 256
