"""What is said of cells with a word for a value that is not known."""

from __future__ import annotations

from pathlib import Path

from hipt.cohort.sheet import read_sheet
from hipt.cohort.unknown import unknown_cells, unknown_note


def test_every_column_is_counted_and_every_slide_has_its_note(tmp_path: Path):
    path = tmp_path / "slides.csv"
    path.write_text("slide_id,path,case_id,mask\na,x,NA,None\nb,x,NA,\nc,x,nan,m.png\nd,x,d1,\n")
    rows = read_sheet(path)
    assert list(unknown_cells(rows)) == [
        "case_id: 2 'NA', 1 'nan' of 4 count as empty (the slide is a case of its own)",
        "mask: 1 'None' of 4 count as empty (tissue is found)",
    ]
    assert [unknown_note(row) for row in rows] == [
        "case_id is 'NA': the slide is a case of its own; mask is 'None': tissue is found",
        "case_id is 'NA': the slide is a case of its own",
        "case_id is 'nan': the slide is a case of its own",
        "",
    ]
