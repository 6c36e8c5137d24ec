"""Copies are found before anything is computed, by the files alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from hipt.cohort import same_files
from hipt.cohort.same_files import content_marks, copies
from hipt.cohort.sheet import read_with_remarks
from hipt.slides.identity import identity


def sheet(folder: Path, *rows: str) -> Path:
    for name, content in (("a", "one"), ("b", "two"), ("c", "one"), ("d", "other")):
        (folder / f"{name}.svs").write_text(content)
    for name in "mn":
        (folder / f"{name}.png").write_text(name)
    path = folder / "slides.csv"
    path.write_text("\n".join(["slide_id,path,mask,exclude", *rows]) + "\n")
    return path


def test_copies_are_named_and_files_of_their_own_size_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    read = []
    monkeypatch.setattr(same_files, "identity", lambda p: read.append(p.name) or identity(p))
    rows = [*(f"{name},{name}.svs,," for name in "abcd"), "gone,gone.svs,,", "x,a.svs,,yes"]
    assert list(copies(content_marks(read_with_remarks(sheet(tmp_path, *rows))[0]))) == [
        "2 slides are 1 by their content (a, c); tasks keep their cases on one side"
    ]
    assert sorted(read) == ["a.svs", "b.svs", "c.svs"]


def test_pieces_of_one_glass_are_no_copies(tmp_path: Path):
    rows, remarks = read_with_remarks(sheet(tmp_path, "p,a.svs,m.png,", "q,a.svs,n.png,"))
    assert not list(copies(content_marks(rows)))
    assert remarks == []


def test_files_in_several_rows_are_named_when_a_run_starts(tmp_path: Path):
    rows = ["p,a.svs,,", "q,a.svs,,", "r,b.svs,m.png,", "s,b.svs,m.png,", "t,a.svs,,yes"]
    assert read_with_remarks(sheet(tmp_path, *rows))[1] == [
        (
            "files in several rows: 2 (p, q; r, s); each row is worked on, and tasks keep their "
            "cases on one side"
        )
    ]
