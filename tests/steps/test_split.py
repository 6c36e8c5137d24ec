"""The split step: folds that tear no case apart, members that never move, and the audit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hipt.config.config import Config
from hipt.config.step_settings import task_settings
from hipt.errors import HiptError
from hipt.steps import split
from hipt.store.tables import read_table, vectors
from hipt.tasks.schemas import FOLDS, LABELS, LEAKS
from hipt.tasks.units import TEST, TRAIN, UNUSED, VALIDATION, read_units

CASES = 40


class TaskFolder:
    """A task on features in a file; a case has two slides."""

    def __init__(self, folder: Path, **task: Any) -> None:
        self.folder = folder
        self.values = {
            **{"kind": "classification", "label": "grade", "folds": 4, "validation": 0.2},
            **{"features": str(folder / "features.parquet"), "labels": str(folder / "labels.csv")},
            **task,
        }
        (folder / "slides.csv").write_text("slide_id,path\nnone,none.svs\n")
        self.cases(CASES)

    def cases(self, count: int) -> None:
        """Features and labels of so many cases."""
        lines, ids = ["slide_id,case_id,site,grade,months,died"], []
        for case in range(count):
            for slide in range(2):
                ids.append(f"s{case:03}-{slide}")
                outcome = f"{case + 1},{case % 3 == 0:d}"
                lines.append(f"{ids[-1]},c{case:03},h{case % 9},{'ab'[case % 2]},{outcome}")
        (self.folder / "labels.csv").write_text("\n".join(lines) + "\n")
        rng = np.random.default_rng(0)
        table = {
            "slide_id": np.repeat(ids, 3),
            "embedding": vectors(rng.normal(size=(3 * len(ids), 8)).astype(np.float32)),
        }
        pq.write_table(pa.table(table), self.folder / "features.parquet")

    def split(self) -> list[dict[str, Any]]:
        """The rows of the folds."""
        out = self.folder / "tasks" / "t" / "folds.parquet"
        out.parent.mkdir(parents=True, exist_ok=True)
        config = Config.model_validate(
            {"slides": {"sheet": str(self.folder / "slides.csv")}, "tasks": {"t": self.values}}
        )
        settings = task_settings("split", config, "t").model_dump_json()
        arguments = ["--slides", str(self.folder / "slides.parquet"), "--cfg", settings]
        split.main([*arguments, "--leaks", str(self.leaks), "--out", str(out)])
        self.out = out
        return read_table(out, FOLDS).to_pylist()

    @property
    def leaks(self) -> Path:
        return self.folder / "leaks.parquet"


def fold_of_case(rows: list[dict[str, Any]]) -> dict[str, int]:
    """The fold in which each case is tested."""
    return {row["case_id"]: row["parts"].index(TEST) for row in rows}


def test_every_case_is_tested_once_whole_and_validates_elsewhere(tmp_path: Path):
    rows = TaskFolder(tmp_path).split()
    assert len(rows) == 2 * CASES
    for row in rows:
        assert row["parts"].count(TEST) == 1
        assert set(row["parts"]) <= {TRAIN, VALIDATION, TEST}
        assert row["unit"] == row["slide_id"]
        assert row["y"] == "ab".index(row["label"])
    by_case: dict[str, set[tuple[int, ...]]] = {}
    for row in rows:
        by_case.setdefault(row["case_id"], set()).add(tuple(row["parts"]))
    assert all(len(parts) == 1 for parts in by_case.values())
    for fold in range(4):
        parts = [row["parts"][fold] for row in rows]
        assert parts.count(TEST) == 20
        assert parts.count(VALIDATION) == pytest.approx(12, abs=4)
        for label in "ab":
            mine = [r for r in rows if r["label"] == label and r["parts"][fold] == TEST]
            assert len(mine) == 10
    kinds = {leak["kind"] for leak in read_table(tmp_path / "leaks.parquet", LEAKS).to_pylist()}
    assert kinds == {"site"}  # a split by case tears sites apart, and says so


def test_members_never_move_when_cases_are_added(tmp_path: Path):
    task = TaskFolder(tmp_path)
    before = fold_of_case(task.split())
    task.cases(CASES + 4)
    after = fold_of_case(task.split())
    assert len(after) == CASES + 4
    assert before.items() <= after.items()


def test_sites_stay_whole(tmp_path: Path):
    rows = TaskFolder(tmp_path, split="site").split()
    fold_of: dict[str, set[int]] = {}
    for row in rows:
        fold_of.setdefault(row["site"], set()).add(row["parts"].index(TEST))
    assert all(len(folds) == 1 for folds in fold_of.values())
    leaks = read_table(tmp_path / "leaks.parquet", LEAKS).to_pylist()
    assert not [leak for leak in leaks if "test" in leak["sides"]]


def test_a_case_is_one_unit_with_all_its_slides(tmp_path: Path):
    survival = {"kind": "survival", "label": None, "time": "months", "event": "died"}
    task = TaskFolder(tmp_path, **survival)
    task.split()
    units = read_units(task.out)
    assert len(units.names) == CASES
    assert all(len(slides) == 2 for slides in units.slides)
    assert units.names == units.cases
    assert units.time.tolist() == [float(i + 1) for i in range(CASES)]
    assert units.event.tolist() == [i % 3 == 0 for i in range(CASES)]


def test_foreign_splits_are_taken_as_they_are_and_their_leaks_listed(tmp_path: Path):
    folder = tmp_path / "splits"
    folder.mkdir()
    names = [f"s{case:03}-{slide}" for case in range(20) for slide in range(2)]
    train, val, test = names[:21], names[21:30], names[30:]
    lines = [",train,val,test"]
    for i in range(len(train)):
        cells = [part[i] if i < len(part) else "" for part in (train, val, test)]
        lines.append(f"{i},{','.join(cells)}")
    (folder / "splits_0.csv").write_text("\n".join(lines) + "\n")
    task = TaskFolder(tmp_path, split="files", split_files=str(folder))
    part_of = {row["slide_id"]: row["parts"] for row in task.split()}
    assert [part_of[name] for name in train] == [[TRAIN]] * 21
    assert [part_of[name] for name in val] == [[VALIDATION]] * 9
    assert [part_of[name] for name in test] == [[TEST]] * 10
    assert part_of["s030-0"] == [UNUSED]
    leaks = read_table(tmp_path / "leaks.parquet", LEAKS).to_pylist()
    assert [leak["value"] for leak in leaks if leak["kind"] == "case"] == ["c010"]


def test_a_split_without_a_test_part_tests_what_was_for_validation(tmp_path: Path):
    (tmp_path / "splits").mkdir()
    text = ",train,val\n" + "".join(f"{i},c{i:03},c{i + 20:03}\n" for i in range(20))
    (tmp_path / "splits" / "splits_0.csv").write_text(text)
    rows = TaskFolder(tmp_path, split="files", split_files=str(tmp_path / "splits")).split()
    for row in rows:
        is_tested = int(row["case_id"][1:]) >= 20
        assert (row["parts"] == [TEST]) == is_tested
    assert 0 < sum(row["parts"] == [VALIDATION] for row in rows) < 20


def test_bad_features_are_refused(tmp_path: Path):
    task = TaskFolder(tmp_path)
    table = pq.read_table(tmp_path / "features.parquet")
    values = np.asarray(table["embedding"].combine_chunks().flatten()).reshape(-1, 8).copy()
    values[4, 2] = np.nan
    pq.write_table(
        pa.table({"slide_id": table["slide_id"], "embedding": vectors(values)}),
        tmp_path / "features.parquet",
    )
    with pytest.raises(HiptError, match="row 5, column 'embedding': holds a number that is not"):
        task.split()
    pq.write_table(table.rename_columns(["slide", "embedding"]), tmp_path / "features.parquet")
    with pytest.raises(HiptError, match="has no column 'slide_id'"):
        task.split()


def test_more_folds_than_cases_of_a_class(tmp_path: Path):
    with pytest.raises(HiptError, match="30"):
        TaskFolder(tmp_path, folds=30).split()


def test_what_became_of_the_labels_is_a_table_and_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    task = TaskFolder(tmp_path)
    path = tmp_path / "labels.csv"
    path.write_text(path.read_text().replace(",h0,a,", ",h0,NA,"))
    caplog.set_level("INFO")
    rows = task.split()
    assert {row["label"] for row in rows} == {"a", "b"}
    facts = read_table(task.out.with_name("labels.parquet"), LABELS).to_pylist()
    counts = [(fact["kind"], fact["value"], fact["slides"], fact["cases"]) for fact in facts]
    assert counts == [("class", "a", 34, 17), ("class", "b", 40, 20), ("missing", "NA", 6, None)]
    assert "task t: 6 of 80 slides have no label, left out: 6 'NA'" in caplog.messages
