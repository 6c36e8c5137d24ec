"""What is written down, and looked at, when a real run starts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hipt.cohort.ledger import read_ledger
from hipt.errors import HiptError
from hipt.heatmaps.chosen import read_mapped
from hipt.planning.start import load_weights, remember
from tests.planning.conftest import Run

SHAPE = {"depth": 1, "dim": 16, "heads": 2}


def test_what_jobs_have_to_find_is_written_once(run: Run):
    weights = run.folder / "w.pth"
    weights.write_bytes(bytes(64))
    sections = {
        "embed": {"patches": {"weights": str(weights)}, "regions": {"random": 2}},
        "attend": {"slides": ["d", "a"]},
    }
    plan = run.plan(**sections)
    remember(plan)
    assert read_ledger(plan.results.batches) == plan.ledger
    assert read_mapped(plan.results.mapped) == {"a", "d"}
    assert plan.weights["embed_patches"] in plan.results.digests.read_text()
    before = {path: path.stat().st_mtime_ns for path in run.results.iterdir()}
    again = run.plan(**sections)
    remember(again)
    assert again == plan
    assert {path: path.stat().st_mtime_ns for path in run.results.iterdir()} == before


def test_without_heatmaps_no_list_of_them(run: Run):
    plan = run.plan()
    remember(plan)
    assert plan.results.batches.exists()
    assert not plan.results.mapped.exists()


def test_weights_are_loaded_before_the_first_job(run: Run, tmp_path: Path):
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(bytes(64))
    patches = {"weights": str(weights), "shape": SHAPE}
    plan = run.plan(embed={"patches": patches, "regions": {"random": 2, "shape": SHAPE}})
    with pytest.raises(HiptError, match=r"^hipt check: .*w\.safetensors") as error:
        load_weights(plan)
    assert "\n" not in str(error.value)


def test_random_weights_need_no_look(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(bytes(64))
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    load_weights(run.plan())
    with pytest.raises(FileNotFoundError):  # weights would have been looked at
        load_weights(
            run.plan(embed={"patches": {"weights": str(weights)}, "regions": {"random": 2}})
        )
