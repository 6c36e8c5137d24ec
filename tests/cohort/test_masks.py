"""Masks that the sheet names and that are not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from hipt.cohort.masks import missing_masks
from hipt.cohort.sheet import SlideRow
from hipt.errors import HiptError


def row(slide: str, mask: Path | None, exclude: bool = False) -> SlideRow:
    return SlideRow(slide, Path("x.svs"), slide, mask=mask, exclude=exclude)


def test_masks_that_are_not_there_are_named(tmp_path: Path):
    (tmp_path / "m.png").touch()
    rows = [row("a", tmp_path / "m.png"), row("b", None), row("out", tmp_path / "n.png", True)]
    assert missing_masks(rows) == ""
    rows += [row(f"s{n}", Path(f"s{n}.png")) for n in range(4)]
    assert missing_masks(rows) == (
        "4 of 5 masks are not there, and their slides will end as unreadable: "
        "s0 (s0.png), s1 (s1.png), s2 (s2.png) and 1 more"
    )


def test_no_mask_at_all_is_a_wrong_folder():
    with pytest.raises(HiptError) as error:
        missing_masks([row("a", Path("m/a.png")), row("b", Path("m/b.png"))])
    assert str(error.value) == (
        "none of the sheet's 2 masks is there: a (m/a.png), b (m/b.png); "
        "correct its column mask, or slides.root"
    )
