"""What is said of tasks before the first job."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hipt.config import Config
from hipt.errors import HiptError
from hipt.io.sheets import SlideRow
from hipt.tasks.beforehand import outlooks, refuse_tasks

ROWS = [
    SlideRow(f"s{n}", Path("x.svs"), f"c{n // 2}", "NS"[n // 8], labels={"grade": "hl"[n // 2 % 2]})
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
