"""What is tried of a cohort."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hipt.cohort.sheet import SlideRow, read_sheet
from hipt.cohort.survey import Header, grid_of, headers, job_of, spread
from hipt.config.config import Config
from hipt.errors import SlideError
from tests.slidemaker import tissue_picture, write_levels, write_slide


def of_area(area_mm2: float) -> Header:
    row = SlideRow(f"s{area_mm2}", Path("s.svs"), "c")
    return Header(row, "ok", area_mm2=area_mm2)


def test_small_and_large_slides_are_tried():
    fine = [of_area(a) for a in (9, 1, 5, 3, 7)]
    assert [h.area_mm2 for h in spread(fine, 3)] == [1, 5, 9]
    assert [h.area_mm2 for h in spread(fine, 1)] == [5]
    assert [h.area_mm2 for h in spread(fine, 10)] == sorted(h.area_mm2 for h in fine)
    assert spread([], 3) == []


def test_regions_are_whole_ones_from_all_over_the_slide(tmp_path: Path):
    write_slide(tmp_path / "a.svs", tissue_picture(1536, 1024))
    (tmp_path / "slides.csv").write_text("slide_id,path\na,a.svs\n")
    config = Config.model_validate(
        {
            "slides": {"sheet": str(tmp_path / "slides.csv")},
            "tile": {"region_px": 256, "patch_px": 64},
        }
    )
    (header,) = headers(read_sheet(tmp_path / "slides.csv"), config)
    assert header.area_mm2 == 1536 * 1024 * 0.25 / 1e6
    grid = grid_of(header, config)
    whole = np.stack([grid.columns["region_x"], grid.columns["region_y"]], 1)[::16]
    few, all_of_it = (job_of(header, grid, config, count).corners for count in (3, 1000))
    np.testing.assert_array_equal(all_of_it, whole)
    assert len(np.unique(whole, axis=0)) == len(whole) > 3
    np.testing.assert_array_equal(few[[0, -1]], whole[[0, -1]])
    assert len(few) == 3


SPARSE = np.dstack([tissue_picture(512, 384), np.zeros((384, 512), np.uint8)])
SPARSE[:9, :9, 3] = 255  # nearly all of it is transparent


@pytest.mark.parametrize(
    ("levels", "status", "message"),
    [
        ([tissue_picture(512, 384) // 16], "unreadable", "is dark, without bright glass"),
        ([tissue_picture(512, 384).astype(np.uint16) * 16], "unreadable", "only the lower 12"),
        ([np.repeat(tissue_picture(512, 384)[..., :1], 3, 2)], "no_tissue", "has no colour"),
        ([SPARSE], "no_tissue", "the fourth was taken for alpha"),
    ],
)
def test_a_picture_in_which_no_tissue_can_be_found_is_reported_at_the_trial(
    tmp_path: Path, levels, status, message
):
    more = {"extrasamples": ("unassalpha",)} if levels[0].shape[2] == 4 else {}
    write_levels(tmp_path / "a.tif", levels, **more)
    (tmp_path / "slides.csv").write_text("slide_id,path\na,a.tif\n")
    config = Config.model_validate({"slides": {"sheet": str(tmp_path / "slides.csv")}})
    (header,) = headers(read_sheet(tmp_path / "slides.csv"), config)
    assert header.status == "ok"  # its header alone does not tell
    with pytest.raises(SlideError, match=message) as caught:
        grid_of(header, config)
    assert caught.value.status == status


def test_remarks_of_the_header_on_levels_pixels_and_resolution_come_before_a_run(tmp_path: Path):
    slide = tissue_picture(1024, 768)
    wide = tissue_picture(300, 100)
    write_levels(tmp_path / "a.tif", [slide.astype(np.uint16) * 257, wide.astype(np.uint16) * 257])
    write_levels(tmp_path / "b.tif", [slide], mpp=0.05)
    write_levels(tmp_path / "c.tif", [slide], mpp=5.0)
    text = "".join(f"{name},{name}.tif\n" for name in "abc")
    (tmp_path / "slides.csv").write_text(f"slide_id,path\n{text}")
    config = Config.model_validate({"slides": {"sheet": str(tmp_path / "slides.csv")}})
    a, b, c = headers(read_sheet(tmp_path / "slides.csv"), config)
    assert [one.status for one in (a, b, c)] == ["ok", "no_mpp", "too_coarse"]
    assert "level 1 (300 x 100 px) left out" in a.reason
    assert "16 bits, of which the upper 8 are read" in a.reason
    for one in (b, c):
        assert "from its TIFF resolution tags" in one.reason
        assert "the sheet's column mpp" in one.reason
