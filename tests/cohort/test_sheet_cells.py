"""Cells of the sheet as programs and people leave them, and all faults at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from hipt.cohort.sheet import read_sheet, read_with_remarks
from hipt.errors import HiptError


def sheet(folder: Path, text: str) -> Path:
    path = folder / "slides.csv"
    path.write_text(text)
    return path


def sentence(path: Path) -> str:
    """What the user reads, the folder left out."""
    with pytest.raises(HiptError) as error:
        read_with_remarks(path)
    return str(error.value).replace(f"{path.parent}/", "")


def test_words_for_what_is_not_known_are_empty_cells(tmp_path: Path):
    text = (
        "slide_id,path,case_id,site,mpp,mask,exclude,grade\n"
        "1,a.svs,NA,n/a,nan,None,-,NA\n2,a.svs,[Not Available],#N/A,.,null,NA,x\n"
        "none,a.svs,unknown,Graz,0.5,m.png,yes,x\n"
    )
    rows = read_sheet(sheet(tmp_path, text))
    assert [(row.slide_id, row.case_id) for row in rows] == [("1", "1"), ("2", "2"), ("none",) * 2]
    facts = [(row.site, row.mpp, row.mask, row.exclude) for row in rows]
    assert facts == [
        *[("", None, None, False)] * 2,
        ("Graz", 0.5, tmp_path / "m.png", True),
    ]
    assert rows[0].unknown == {
        **{"case_id": "NA", "site": "n/a", "mpp": "nan", "mask": "None", "exclude": "-"},
    }
    assert rows[2].unknown == {"case_id": "unknown"}
    assert rows[0].labels == {"grade": "NA"}  # whether that is a class, its task decides


def test_the_words_are_a_setting(tmp_path: Path):
    text = "slide_id,path,case_id,site\n1,a.svs,NA,n.d.\n2,a.svs,NA,Graz\n"
    rows = read_sheet(sheet(tmp_path, text), missing=["N.D."])
    assert [(row.case_id, row.site) for row in rows] == [("NA", ""), ("NA", "Graz")]


def test_a_tissue_source_site_of_tcga_is_called_na(tmp_path: Path):
    text = "slide_id,path,site\nTCGA-NA-A4QV-01Z-00-DX1,a.svs,NA\nTCGA-N5-A4RD-01Z,a.svs,NA\n"
    assert [row.site for row in read_sheet(sheet(tmp_path, text))] == ["NA", ""]
    assert [row.site for row in read_sheet(sheet(tmp_path, text), case_from="tcga")] == ["NA", "N5"]


def test_all_rows_at_fault_are_named_at_once(tmp_path: Path):
    text = "slide_id,path,mpp,exclude\n1,a,0,\n2,,,\n3,a,,maybe\n1,a,,\n4,a,,\n"
    message = sentence(sheet(tmp_path, text))
    assert message.startswith("slides.csv, row 2, column 'mpp': ")
    assert message.endswith(" (2 more rows are at fault: 3, 4)")


def test_all_rows_with_too_many_cells_are_named_at_once(tmp_path: Path):
    message = sentence(sheet(tmp_path, "slide_id,path\n1,a,b\n2,a\n3,a,b\n"))
    assert message.startswith("slides.csv, row 2: has 3 cells, the header 2; ")
    assert message.endswith(" (1 more row is at fault: 4)")


def test_what_cannot_be_seen_at_the_ends_of_a_cell_is_left_out(tmp_path: Path):
    text = "slide_id,path,exclude\n1\u00a0,a.svs\u200b,1.0\n\ufeff2,\u00a0b.svs,0.0\n"
    rows = read_sheet(sheet(tmp_path, text))
    assert [(row.slide_id, row.path.name, row.exclude) for row in rows] == [
        ("1", "a.svs", True),
        ("2", "b.svs", False),
    ]
