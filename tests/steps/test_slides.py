"""The slide table: one row per slide of the sheet, whatever became of it."""

from __future__ import annotations

import pytest

from hipt.errors import HiptError
from tests.slidemaker import tissue_picture, write_slide
from tests.steps.conftest import Chain


def finished(chain: Chain) -> None:
    write_slide(chain.folder / "a.svs", tissue_picture(1024, 768))
    write_slide(chain.folder / "coarse.svs", tissue_picture(1024, 768), mpp=2.0)
    chain.sheet("slide_id,path,case_id,site\ngone,x.svs,p,north\na,a.svs,p,\ncoarse,coarse.svs,,\n")
    chain.upto("embed_regions")


def test_rows_are_those_of_the_sheet_with_the_first_verdict_that_is_not_ok(chain: Chain):
    finished(chain)
    table = chain.table()
    assert list(table) == ["gone", "a", "coarse"]
    assert [row["status"] for row in table.values()] == ["missing", "ok", "too_coarse"]
    assert [row["case_id"] for row in table.values()] == ["p", "p", "coarse"]
    assert table["gone"]["site"] == "north"
    assert table["a"]["patches"] == 16 * table["a"]["regions"]
    assert table["a"]["unreadable_patches"] == 0
    assert table["coarse"]["tissue_mm2"] > 0
    assert table["coarse"]["regions"] is None
    assert table["gone"]["mpp"] is None


def test_a_slide_that_left_the_sheet_left_the_table(chain: Chain):
    finished(chain)
    (chain.folder / "slides.csv").write_text("slide_id,path\na,a.svs\n")
    assert list(chain.table()) == ["a"]


def test_a_deleted_file_is_named_with_the_command_that_makes_it_again(chain: Chain):
    finished(chain)
    chain.results.shard("embed_patches", "a").unlink()
    note = chain.table()["a"]["note"]
    assert note.startswith("embed_patches file is missing")
    assert "--forcerun" in note


def test_unknown_cases_are_not_one_case_and_the_table_says_so(chain: Chain):
    finished(chain)
    (chain.folder / "slides.csv").write_text(
        "slide_id,path,case_id\ngone,x.svs,NA\na,a.svs,NA\ncoarse,coarse.svs,p\n"
    )
    table = chain.table()
    assert [row["case_id"] for row in table.values()] == ["gone", "a", "p"]
    assert table["a"]["note"] == "case_id is 'NA': the slide is a case of its own"
    assert table["coarse"]["note"] == ""


def test_a_slide_without_a_batch_is_named(chain: Chain):
    finished(chain)
    (chain.folder / "slides.csv").write_text("slide_id,path\na,a.svs\nnew,n.svs\n")
    with pytest.raises(HiptError, match="new among them"):
        chain.table()
