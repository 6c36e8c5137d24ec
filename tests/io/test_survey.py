"""What is tried of a cohort."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hipt.config import Config
from hipt.io.sheets import SlideRow, read_sheet
from hipt.io.survey import Header, grid_of, headers, job_of, spread
from tests.slidemaker import tissue_picture, write_slide


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
