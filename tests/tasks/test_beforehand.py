"""What is said of tasks before the first job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hipt.cohort.sheet import SlideRow
from hipt.config.config import Config
from hipt.errors import HiptError
from hipt.tasks.beforehand import outlooks, refuse_tasks

ROWS = [
    SlideRow(
        f"s{n}", Path(f"s{n}.svs"), f"c{n // 2}", "NS"[n // 8], labels={"grade": "hl"[n // 2 % 2]}
    )
    for n in range(16)
]


def config(folder: Path, **tasks: dict[str, Any]) -> Config:
    head = {"kind": "classification", "label": "grade", "folds": 2}
    named = {name: {**head, **task} for name, task in tasks.items()}
    return Config.model_validate({"results": str(folder / "results"), "tasks": named})


def errors(settings: Config, rows: Sequence[SlideRow] = ROWS) -> list[str]:
    return [str(outlook.error) for outlook in outlooks(settings, rows) if outlook.error]


def test_every_task_is_counted(tmp_path: Path):
    (outlook,) = outlooks(config(tmp_path, t={}), ROWS)
    assert outlook.sentences == (
        "16 of 16 slides have a label: h 8 (4 cases), l 8 (4 cases); 2 folds",
    )


def test_a_column_that_is_not_there(tmp_path: Path):
    settings = config(tmp_path, a={"label": "gade"}, b={}, c={"labels": "no.csv"})
    first, second = errors(settings)
    assert first == (
        "slides.sheet: column 'gade' is missing (did you mean 'grade'?); add it, correct tasks.a, "
        "or name a table in tasks.a.labels"
    )
    assert second == "no.csv: no such table of labels; name one that is there"
    with pytest.raises(HiptError) as error:
        refuse_tasks(settings, ROWS)
    assert str(error.value).endswith("(at fault too: tasks.c; `hipt check` says why)")


@pytest.mark.parametrize(
    ("task", "problem"),
    [
        ({"split": "files", "split_files": "no"}, "no: no such folder or file of splits"),
        ({"features": "no.parquet"}, "no.parquet: no such file of features"),
        ({"folds": 5}, "class 'h' of column 'grade' in slides.sheet has 4 cases, fewer than the 5"),
        ({"split": "site", "folds": 4}, "groups cannot fill 4 empty folds"),
    ],
)
def test_what_would_fail_after_all_slides_were_embedded(
    tmp_path: Path, task: dict[str, Any], problem: str
):
    (sentence,) = errors(config(tmp_path, t=task))
    assert problem in sentence


def test_split_files_of_other_slides(tmp_path: Path):
    folder = tmp_path / "splits"
    folder.mkdir()
    (folder / "splits_0.csv").write_text(",train,val,test\n0,s0,s2,other\n1,s4,,another\n")
    settings = config(tmp_path, t={"split": "files", "split_files": str(folder)})
    assert not errors(settings)  # what is for validation is tested
    (folder / "splits_0.csv").write_text(",train,val,test\n0,s0,,other\n1,s4,,another\n")
    (sentence,) = errors(settings)
    assert sentence.endswith(
        "splits, fold 0: no slide with features and label is for 'test'; check that its ids are "
        "those of the slides or cases"
    )


def test_features_of_other_slides(tmp_path: Path):
    table = pa.table({"slide_id": ["x", "y"], "embedding": [[1.0], [2.0]]})
    pq.write_table(table, tmp_path / "f.parquet")
    (sentence,) = errors(config(tmp_path, t={"features": str(tmp_path / "f.parquet")}))
    assert "none of 2 slides, such as 'x', has a value in 'grade'" in sentence


def test_members_of_other_folds(tmp_path: Path):
    ledger = tmp_path / "results" / "tasks" / "t" / "members.csv"
    ledger.parent.mkdir(parents=True)
    ledger.write_text("case_id,fold\nc0,3\n")
    (sentence,) = errors(config(tmp_path, t={}))
    assert "members.csv: is no ledger of 2 folds" in sentence


def test_rows_of_one_file_are_dealt_as_one(tmp_path: Path):
    rows = [replace(row, path=Path(f"x{n % 2}.svs")) for n, row in enumerate(ROWS)]
    (problem,) = errors(config(tmp_path, t={"unit": "slide"}), rows)
    assert problem == (
        "tasks.t: fewer cases than the 2 folds: 'h' (1); cases that hold the same slide count as "
        "one"
    )


def test_copies_are_dealt_as_one_and_their_labels_compared(tmp_path: Path):
    marks = {row.slide_id: row.slide_id for row in ROWS} | {"s0": "same", "s3": "same"}
    (outlook,) = outlooks(config(tmp_path, t={}), ROWS, marks)
    _, of_copies, of_labels = outlook.sentences
    assert of_copies == (
        "2 slides are 1 by their content (s0, s3); 1 case is kept on the side of another one that "
        "holds the same slide"
    )
    assert of_labels == "s0, s3 have the same content and the labels h, l"
    own = config(tmp_path, t={"features": str(tmp_path / "f.parquet")})
    pq.write_table(pa.table({"slide_id": [row.slide_id for row in ROWS]}), tmp_path / "f.parquet")
    (outlook,) = outlooks(own, ROWS, marks)  # what its vectors show is not in the slides' files
    assert len(outlook.sentences) == 1


def test_copies_of_which_one_alone_has_the_event(tmp_path: Path):
    labels = {f"s{n}": {"m": str(n + 1), "e": str(int(n in (7, 15)))} for n in range(16)}
    rows = [replace(r, case_id=r.slide_id, labels=labels[r.slide_id]) for r in ROWS]
    marks = {"s0": "a", "s7": "a", "s1": "b", "s15": "b"}
    settings = config(tmp_path, t={"kind": "survival", "label": None, "time": "m", "event": "e"})
    (outlook,) = outlooks(settings, rows, marks)
    assert outlook.error is None


def test_what_split_files_leave_out_is_a_remark(tmp_path: Path):
    (tmp_path / "splits_0.csv").write_text(
        ",train,val,test\n0,s0.svs,s4.svs,s8.SVS\n1,s2,s6,s9\n2,s1,,gone\n"
    )
    settings = config(tmp_path, t={"split": "files", "split_files": str(tmp_path)})
    marks = {"s0": "same", "s8": "same"}
    (outlook,) = outlooks(settings, ROWS, marks)
    counts, *others = outlook.sentences
    assert counts.endswith(f"; 1 fold of {tmp_path}")
    of_copies, unknown, unused, lacks = others
    assert of_copies == (
        "2 slides are 1 by their content (s0, s8); folds from files may part them, and the audit "
        "lists where they do"
    )
    assert unknown == "ids in the files that no slide with a label has: 1, left out: gone"
    assert unused == (
        "slides with a label that are not in the files: 9, not used: s10, s11, s12, s13, s14, s15, "
        "s3, s5, s7"
    )
    assert lacks == "fold 0 has no slide with l to test"


def test_the_plan_says_who_is_in_a_task(tmp_path: Path):
    assert refuse_tasks(config(tmp_path, t={}), ROWS) == [
        "tasks.t: 16 of 16 slides have a label: h 8 (4 cases), l 8 (4 cases); 2 folds"
    ]
