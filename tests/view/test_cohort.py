"""The cohort that the viewer sees: what changes it, and what an odd folder of results may hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from hipt.cohort.ledger import Ledger, updated, write_ledger
from hipt.config.config import Config
from hipt.errors import HiptError
from hipt.layout import Results
from hipt.store.schemas import INDICES, MANIFEST
from hipt.store.tables import write_rows
from hipt.view.cohort import mark_of, read_cohort
from hipt.view.places import read_grid

NO_SHEET = Config(slides={"sheet": "no/such/sheet.csv"})


def ledger(root: Path, *slides: str) -> Results:
    results = Results(root)
    write_ledger(results.batches, updated(Ledger(), dict.fromkeys(slides, "digest"), 16))
    return results


def test_a_task_whose_folds_come_while_it_is_looked_at(tmp_path: Path):
    folds = Results(tmp_path).task("grade", "folds.parquet")
    folds.parent.mkdir(parents=True)  # as Snakemake does before a job
    before = mark_of(Results(tmp_path))
    folds.write_bytes(b"")
    assert mark_of(Results(tmp_path)) != before


def test_a_reason_keeps_its_dots_where_no_file_is_known(tmp_path: Path):
    results = ledger(tmp_path, "a")
    row = {"slide_id": "a", "status": "unreadable", "reason": "level 0.5 is none. See a.svs"}
    write_rows(results.index("segment", "b0000"), [row], INDICES["segment"])
    assert read_cohort(results, NO_SHEET).columns()["reason"] == [row["reason"]]


@pytest.mark.parametrize("slide", ["../../elsewhere/a", "/a"])
def test_ids_of_a_ledger_are_no_paths_either(tmp_path: Path, slide: str):
    with pytest.raises(HiptError, match="is no id"):
        read_cohort(ledger(tmp_path, "b", slide), NO_SHEET)


def test_a_slide_without_regions_has_none(tmp_path: Path):
    write_rows(tmp_path / "a.parquet", [], MANIFEST)
    assert read_grid(tmp_path / "a.parquet").all_regions() == {
        **{"size": 0.0, "region": [], "x": [], "y": [], "tissue": []}
    }
