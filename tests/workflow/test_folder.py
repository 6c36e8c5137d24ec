"""A folder instead of a sheet: what a user reads when slides go, and what becomes of them."""

from __future__ import annotations

import polars as pl
import pytest

from tests.workflow.project import Project

pytestmark = pytest.mark.workflow


@pytest.mark.whole("cohort")
def test_slides_do_not_leave_in_silence(project: Project):
    slides = project.folder / "slides"
    project.configure(slides={"sheet": "slides", "batch_size": 2})
    (slides / "d.tif").unlink()
    (slides / "d.tif").symlink_to("/nas/d.tif")
    (slides / "a.tif").unlink()
    (slides / "notes.txt").touch()
    ran = project.run()
    assert ran.rc == 0, ran.text
    assert "slides: left out 1 .txt" in ran.text
    assert "slides: slides of earlier runs that are not in the folder any more: 1 (a)" in ran.text
    assert ran.text.count("left out 1 .txt") == 1  # not by every job
    table = pl.read_parquet(project.results / "slides.parquet")
    assert dict(table.select("slide_id", "status").iter_rows()) == {
        **{"0012": "ok", "b": "ok", "d": "missing"}
    }
