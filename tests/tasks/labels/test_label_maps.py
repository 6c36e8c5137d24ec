"""Where labels come from, and the sentence where there are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hipt.cohort.sheet import SlideRow
from hipt.errors import HiptError
from hipt.tasks.labels.label_maps import class_names, label_maps, slide_labels

ROWS = [
    SlideRow("a", Path("a.svs"), "p", "north", labels={"grade": "1", "empty": ""}),
    SlideRow("b", Path("b.svs"), "q", "south", labels={"grade": "", "empty": ""}),
]


def test_slides_without_a_value_have_no_label():
    assert slide_labels(ROWS, "grade") == {"a": "1"}
    assert slide_labels(ROWS, "site") == {"a": "north", "b": "south"}
    assert slide_labels(ROWS, None) == {}


def test_words_for_what_is_not_known_are_no_label():
    cells = {"a": "1", "b": "NA", "c": "[Unknown]", "d": "2"}
    rows = [SlideRow(s, Path("x"), s, labels={"grade": cell}) for s, cell in cells.items()]
    assert slide_labels(rows, "grade") == {"a": "1", "d": "2"}
    with pytest.raises(HiptError, match="'NA' in the sheet's column 'grade' reads like a value"):
        slide_labels(rows, "grade", ["[unknown]"])


def test_a_column_that_says_nothing():
    with pytest.raises(HiptError, match=r"no column 'gade' \(found: empty, grade, site\)"):
        slide_labels(ROWS, "gade")
    with pytest.raises(HiptError, match="column 'empty' is empty; fill it in"):
        slide_labels(ROWS, "empty")


def test_maps_are_found_by_slide(tmp_path: Path):
    with pytest.raises(HiptError, match="has no label map of any slide; put <slide_id>"):
        label_maps(ROWS, str(tmp_path))
    (tmp_path / "b.png").touch()
    assert label_maps(ROWS, str(tmp_path)) == {"b": tmp_path / "b.png"}
    assert label_maps(ROWS, None) == {}


def test_names_of_classes(tmp_path: Path):
    assert class_names(str(tmp_path)) == {}
    file = tmp_path / "truth.json"
    file.write_text(json.dumps({"labels": {"0": "glass", "2": "tumour"}}))
    assert class_names(str(tmp_path)) == {0: "glass", 2: "tumour"}
    for damaged in ("{", "[]", '{"labels": {"a": "b"}}', '{"labels": ["a"]}'):
        file.write_text(damaged)
        with pytest.raises(HiptError, match=r"truth\.json: its labels are no JSON table"):
            class_names(str(tmp_path))
