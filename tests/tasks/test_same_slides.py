"""One slide under several names: its cases are on one side of every fold, or are a leak."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from hipt.config.config import Config
from hipt.config.step_settings import task_settings
from hipt.errors import HiptError
from hipt.pretraining.corpus_list import Member, write_corpus_list
from hipt.steps import split
from hipt.store.tables import read_table
from hipt.tasks.schemas import FOLDS, LEAKS
from hipt.tasks.units import TEST
from tests.slidemaker import tissue_picture, write_slide
from tests.steps.conftest import Chain
from tests.steps.test_split import TaskFolder, fold_of_case

COPIED = {4: 30, 5: 31, 6: 32, 30: 33}
"""Cases whose slides are those of another case: of case 33 through case 30 those of 4."""


def with_copies(folder: Path, **task: Any) -> TaskFolder:
    """A task on features in which slides of some cases are copies of others."""
    made = TaskFolder(folder, **task)
    copy_features(made)
    return made


def copy_features(made: TaskFolder, copied: dict[int, int] | None = None) -> None:
    """Give cases the vectors of others."""
    path = made.folder / "features.parquet"
    table = pq.read_table(path)
    rows = {name: i for i, name in reversed(list(enumerate(table["slide_id"].to_pylist())))}
    order = list(range(len(table)))
    for own, other in (COPIED if copied is None else copied).items():
        source, target = rows[f"s{own:03}-0"], rows[f"s{other:03}-0"]
        for k in range(3):
            order[target + k] = order[source + k]
    embedding = table["embedding"].combine_chunks().take(order)
    pq.write_table(table.set_column(1, table.schema.field(1), embedding), path)


def leaks_of(task: TaskFolder) -> list[dict[str, Any]]:
    return read_table(task.leaks, LEAKS).to_pylist()


@pytest.mark.parametrize("by", ["grouped", "site"])
def test_cases_that_hold_one_slide_are_never_parted(tmp_path: Path, by: str):
    task = with_copies(tmp_path, split=by)
    rows = task.split()
    parts = {row["case_id"]: row["parts"] for row in rows}
    for own, other in COPIED.items():
        assert parts[f"c{own:03}"] == parts[f"c{other:03}"]
    assert {leak["kind"] for leak in leaks_of(task)} <= {"site"}
    assert {row["case_id"] for row in rows} == {f"c{case:03}" for case in range(40)}


def test_without_copies_no_case_moves(tmp_path: Path):
    before = fold_of_case(TaskFolder(tmp_path).split())
    (tmp_path / "tasks/t/members.csv").unlink()
    after = fold_of_case(with_copies(tmp_path).split())
    moved = {case for case in before if before[case] != after[case]}
    copies = {f"c{case:03}" for pair in COPIED.items() for case in pair}
    assert len(moved - copies) <= 12  # those that make room; the others stay


def test_a_copy_that_comes_later_goes_to_its_slide(tmp_path: Path):
    task = TaskFolder(tmp_path)
    before = fold_of_case(task.split())
    task.cases(44)
    copy_features(task, {7: 41, 8: 42})
    after = fold_of_case(task.split())
    assert before.items() <= after.items()
    assert (after["c041"], after["c042"]) == (after["c007"], after["c008"])


def test_known_cases_that_hold_one_slide_in_two_folds(tmp_path: Path):
    task = TaskFolder(tmp_path)
    before = fold_of_case(task.split())
    own, other = next((0, case) for case in range(1, 40) if before[f"c{case:03}"] != before["c000"])
    copy_features(task, {own: other})
    with pytest.raises(HiptError) as error:
        task.split()
    ledger = tmp_path / "tasks/t/members.csv"
    assert str(error.value) == (
        f"{ledger}: the cases 'c000' (fold {before['c000']}) and 'c{other:03}' (fold "
        f"{before[f'c{other:03}']}) hold the same slide, see the slide table's column note; "
        "exclude one of the slides, or delete this file to deal all folds anew"
    )
    ledger.unlink()
    assert fold_of_case(task.split())["c000"] == fold_of_case(task.split())[f"c{other:03}"]


def test_too_few_cases_are_explained(tmp_path: Path):
    task = TaskFolder(tmp_path, folds=4)
    task.cases(8)  # four of each class
    copy_features(task, {0: 2})
    with pytest.raises(HiptError, match=r"'a' \(3\); cases that hold the same slide count as one"):
        task.split()


def test_copies_with_other_labels_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    task = TaskFolder(tmp_path)
    copy_features(task, {0: 2, 4: 5})
    with caplog.at_level(logging.WARNING):
        task.split()
    assert [record.message for record in caplog.records] == [
        (
            "task t: 4 slides are 2 by their content (s000-0, s002-0, ...); 2 cases are kept on "
            "the side of another one that holds the same slide"
        ),
        "task t: s004-0, s005-0 have the same content and the labels a, b",
    ]


def test_published_folds_that_part_them_leak(tmp_path: Path):
    (tmp_path / "splits").mkdir()
    text = ",train,val,test\n0,c004,c006,c032\n1,c030,c031,c033\n"
    (tmp_path / "splits/splits_0.csv").write_text(text)
    task = with_copies(tmp_path, split="files", split_files=str(tmp_path / "splits"))
    task.split()
    assert [leak for leak in leaks_of(task) if leak["kind"] == "content"] == [
        {
            **{"fold": 0, "kind": "content", "value": "s004-0, s030-0, s033-0"},
            **{"sides": "train test", "slides": 3},
        },
        {
            **{"fold": 0, "kind": "content", "value": "s006-0, s032-0"},
            **{"sides": "val test", "slides": 2},
        },
    ]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Five slides, each again as a copy of another case, and one row that names a file again."""
    chain = Chain(tmp_path_factory.mktemp("cohort"))
    lines = ["slide_id,path,case_id,kind,mpp,exclude"]
    for i in range(5):
        first = write_slide(chain.folder / f"s{i}.svs", tissue_picture(768, 512, seed=i))
        shutil.copy(first, chain.folder / f"copy_{i}.svs")
        (chain.folder / f"copy_{i}.svs").touch()
        mpp = "0.51" if i == 4 else ""  # another row's µm/px: other vectors of the same slide
        kind = ("normal", "tumour")[i % 2]
        lines += [f"s{i},s{i}.svs,p{i},{kind},", f"copy_{i},copy_{i}.svs,q{i},{kind},{mpp}"]
    lines += ["s0_again,s0.svs,r0,normal", "gone,gone.svs,r2,tumour"]
    lines += ["left_out,s1.svs,r1,tumour,,yes"]
    chain.sheet("\n".join(lines))
    chain.upto("embed_regions")
    chain.values["tasks"] = {
        "kind": {"kind": "classification", "label": "kind", "folds": 2, "validation": 0.2}
    }
    return chain


def audited(chain: Chain) -> tuple[dict[str, list[int]], list[dict[str, Any]]]:
    """Parts by slide, and the leaks."""
    chain.table()
    settings = task_settings("split", Config.model_validate(chain.values), "kind").model_dump_json()
    folds = chain.results.task("kind", "folds.parquet")
    leaks = folds.with_name("leaks.parquet")
    arguments = ["--slides", str(chain.results.slides), "--cfg", settings]
    split.main([*arguments, "--leaks", str(leaks), "--out", str(folds)])
    rows = read_table(folds, FOLDS).to_pylist()
    return {row["slide_id"]: row["parts"] for row in rows}, read_table(leaks, LEAKS).to_pylist()


def test_the_slide_table_says_which_slides_are_one(cohort: Chain):
    table = cohort.table()
    assert table["s0"]["note"] == "same content as copy_0 (case q0), s0_again (case r0)"
    assert table["copy_1"]["note"] == "same content as s1 (case p1)"
    assert "same content as s4 (case p4)" in table["copy_4"]["note"]
    assert table["copy_2"]["content"] == table["s2"]["content"] != table["s3"]["content"]
    assert (table["left_out"]["content"], table["left_out"]["note"]) == (None, "")
    assert (table["gone"]["content"], table["gone"]["note"]) == (None, "")


def test_folds_of_copies_have_no_leak(cohort: Chain):
    parts, leaks = audited(cohort)
    assert leaks == []
    assert all(parts[f"s{i}"] == parts[f"copy_{i}"] for i in range(5))
    assert parts["s0_again"] == parts["s0"]
    assert all(own.count(TEST) == 1 for own in parts.values())


def test_the_corpus_is_compared_by_content_and_case(cohort: Chain, tmp_path: Path):
    contents = {name: row["content"] for name, row in cohort.table().items()}
    weights = tmp_path / "own.safetensors"
    seen = [
        Member("copy_0", "f", 1, 1),  # in the sheet, of another case
        Member("scan 7", "f", 1, 1, "elsewhere", contents["s3"]),  # of another project
        Member("block 2", "f", 1, 1, "p2", "another"),
    ]
    write_corpus_list(weights.with_suffix(".corpus.csv"), seen)
    before = cohort.values["embed"]
    shape = before["patches"]["shape"]
    cohort.values["embed"] = before | {"patches": {"shape": shape, "weights": str(weights)}}
    try:
        _, leaks = audited(cohort)
    finally:
        cohort.values["embed"] = before
    assert {(leak["kind"], leak["value"]) for leak in leaks} == {
        *(("corpus", name) for name in ("s0", "copy_0", "s0_again", "s3", "copy_3")),
        ("corpus_case", "p2"),
    }
    assert {leak["sides"] for leak in leaks} == {"corpus test"}
