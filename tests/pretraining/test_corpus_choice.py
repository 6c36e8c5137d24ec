"""What a `corpus` setting means, and what is said when it means nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from hipt.cohort.sheet import SlideRow
from hipt.errors import HiptError
from hipt.pretraining.corpus_choice import chosen

ROWS = [
    SlideRow("b", Path("b.svs"), "b", "X", labels={"organ": "liver"}),
    SlideRow("a", Path("a.svs"), "a", "Y", labels={"organ": "lung"}),
    SlideRow("gone", Path("no.svs"), "gone", labels={"organ": "liver"}),
]


@pytest.mark.parametrize(
    ("corpus", "ids"),
    [("all", "b a gone"), ("organ=liver", "b gone"), ("organ = lung", "a"), ("site=X", "b")],
)
def test_a_corpus_is_all_or_those_of_a_label(corpus: str, ids: str):
    assert [row.slide_id for row in chosen(ROWS, corpus)] == ids.split()


def test_a_corpus_is_a_file_of_ids(tmp_path: Path):
    file = tmp_path / "key=value.txt"
    file.write_text("\ufeffa\n\n  gone \n")
    assert [row.slide_id for row in chosen(ROWS, str(file))] == ["a", "gone"]


@pytest.mark.parametrize(
    ("corpus", "sentence"),
    [
        ("grade=3", "no column 'grade' .found: case_id, organ, site."),
        ("organ=brain", "no slide has this value .found: liver, lung."),
        ("ids.txt", "pretrain corpus 'ids.txt': no such file .*; write 'all'"),
    ],
)
def test_a_choice_of_nothing_is_refused(corpus: str, sentence: str):
    with pytest.raises(HiptError, match=sentence):
        chosen(ROWS, corpus)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"a\n\nz\n", "ids.txt, row 3: 'z' is not in the sheet"),
        (b"\n", "ids.txt: holds no slide_id"),
        (b"\xff", "ids.txt: is not UTF-8"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, content: bytes, sentence: str):
    (tmp_path / "ids.txt").write_bytes(content)
    with pytest.raises(HiptError, match=sentence):
        chosen(ROWS, str(tmp_path / "ids.txt"))
