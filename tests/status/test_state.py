from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from hipt.config.config import Config
from hipt.errors import SlideError
from hipt.registry import EVERY_SLIDE
from hipt.status.state import Indices, RunState, StepState, read_state
from hipt.status.text import lines, values
from tests.status.run_folder import RunFolder

SLIDES = ["a", "b", "c", "d", "e"]
TILED = {"regions": 1, "patches": 100}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "results", SLIDES)


def step(run: RunState, name: str) -> StepState:
    (state,) = [state for state in run.steps if state.step == name]
    return state


def test_before_the_first_job(folder: RunFolder):
    run = read_state(folder.results)
    assert [(s.step, s.done, s.total) for s in run.steps] == [
        (name, 0, 5) for name in ("segment", "tile", "embed_patches", "embed_regions")
    ]
    assert not run.finished
    assert run.last_word_s() is None


def test_where_nothing_is(tmp_path: Path):
    run = read_state(RunFolder(tmp_path / "none", []).results)
    assert (run.batches, run.finished, list(run.slides)) == (0, False, [])


def test_halfway(folder: RunFolder):
    folder.work("segment", "b0000", {"b": SlideError("no_tissue", "none")})
    folder.work("segment", "b0001", until=1)
    folder.work("tile", "b0000", facts=TILED)
    run = read_state(folder.results)
    segment, tile = step(run, "segment"), step(run, "tile")
    assert segment.verdicts == {"a": ("ok", ""), "b": ("no_tissue", "none"), "c": ("ok", "")}
    assert [job.state for job in segment.jobs] == ["done", "working", "waiting"]
    assert segment.new == {"no_tissue": 1}
    assert segment.unit == "slides"
    assert segment.left_s is not None
    assert (tile.done, tile.total) == (2, 5)
    assert run.verdict("b") == ("segment", ("no_tissue", "none"))
    assert run.verdict("c") == ("tile", ("to do", ""))


def test_results_of_a_batch_that_is_made_anew_are_looked_at_again(folder: RunFolder):
    for name in ("segment", "tile"):
        folder.work(name, "b0000")
    assert step(read_state(folder.results), "tile").again == 0
    folder.results.index("segment", "b0000").unlink()
    tile = step(read_state(folder.results), "tile")
    assert (tile.done, tile.again) == (2, 2)


def test_a_verdict_that_is_handed_on_counts_where_it_arose(folder: RunFolder):
    ends = {"a": SlideError("unreadable", "no slide")}
    folder.work("segment", "b0000", ends)
    folder.work("tile", "b0000", ends)
    run = read_state(folder.results)
    assert step(run, "segment").new == {"unreadable": 1}
    assert step(run, "tile").new == {}


def test_a_killed_job_is_silent_after_a_while(folder: RunFolder):
    folder.work("segment", "b0000", until=1)
    log = folder.results.log("segment", "b0000")
    assert [job.name for job in read_state(folder.results).in_state("working")] == ["b0000"]
    os.utime(log, (time.time() - 3600,) * 2)
    run = read_state(folder.results)
    assert [job.name for job in run.in_state("silent")] == ["b0000"]
    assert step(run, "segment").left_s is None
    assert run.last_word_s() == pytest.approx(3600, abs=60)


def test_a_job_that_was_asked_to_stop_is_neither_at_work_nor_failed(folder: RunFolder):
    folder.work("segment", "b0000", until=1)
    with folder.results.log("segment", "b0000").open("a") as log:
        log.write("hipt segment: stopped by SIGINT\n")
    run = read_state(folder.results)
    assert [job.name for job in run.in_state("stopped")] == ["b0000"]
    assert step(run, "segment").left_s is None
    assert not run.in_state("failed")
    assert "nothing is at work; stopped: segment b0000" in next(lines(run))
    assert values(run)["steps"]["segment"]["jobs"] == {"stopped": 1, "waiting": 2}


def test_the_pace_of_jobs_side_by_side_adds_up(folder: RunFolder):
    for batch in ("b0000", "b0001", "b0002"):
        folder.work("tile", batch, facts=TILED)
    for number, batch in enumerate(("b0000", "b0001")):
        log = folder.results.log("embed_patches", batch)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(f"10:00:00 s: {number * 100}/200 patches, 5.0 patches/s, about 9 s left\n")
    embed = step(read_state(folder.results), "embed_patches")
    assert (embed.per_s, embed.unit) == (10, "patches")
    assert embed.left_s == pytest.approx((500 - 100) / 10)  # five slides of a hundred patches


def test_a_job_that_has_just_begun_goes_as_fast_as_the_last_one(folder: RunFolder):
    for batch in ("b0000", "b0001", "b0002"):
        folder.work("tile", batch, facts=TILED)
    folder.work("embed_patches", "b0000", facts=TILED)
    with folder.results.log("embed_patches", "b0000").open("a") as log:
        log.write("10:00:00 200/200 patches, 50 computed, 5.0 patches/s, 3% of the time waiting\n")
    folder.results.log("embed_patches", "b0001").write_text("10:00:00 computing on CPU\n")
    embed = step(read_state(folder.results), "embed_patches")
    assert (embed.per_s, embed.left_s) == (20, pytest.approx(300 / 20))


def test_slides_that_came_and_went(folder: RunFolder, tmp_path: Path):
    sheet = tmp_path / "slides.csv"
    sheet.write_text("slide_id,path\na,a.tif\nnew,new.tif\n")
    folder.work("segment", "b0000")
    run = read_state(folder.results, Config(slides={"sheet": str(sheet)}))
    assert (run.slides, run.unplaced, run.batches) == (["a", "new"], 1, 1)
    assert (step(run, "segment").done, step(run, "segment").total) == (1, 2)
    assert not run.finished


def test_without_its_sheet_the_ledger_names_the_slides(folder: RunFolder, tmp_path: Path):
    run = read_state(folder.results, Config(slides={"sheet": str(tmp_path / "gone.csv")}))
    assert list(run.slides) == SLIDES
    assert "gone.csv" in run.remarks[0]


def test_a_damaged_index_is_said(folder: RunFolder):
    folder.work("segment", "b0000")
    folder.results.index("segment", "b0000").write_bytes(b"PAR1 cut")
    run = read_state(folder.results)
    assert step(run, "segment").done == 0
    assert "b0000.parquet: cannot be read" in run.remarks[0]


def test_a_run_has_not_ended_while_a_verdict_lacks(folder: RunFolder):
    for batch in ("b0000", "b0001", "b0002"):
        for name in EVERY_SLIDE:
            folder.work(name, batch)
    assert read_state(folder.results).finished
    folder.results.index("tile", "b0001").write_bytes(b"PAR1 cut")
    assert not read_state(folder.results).finished
    folder.work("tile", "b0001", until=1)  # as with a slide that came back into the sheet
    assert not read_state(folder.results).finished


def test_indices_are_read_once(folder: RunFolder):
    folder.work("segment", "b0000")
    indices = Indices()
    first = read_state(folder.results, None, indices)
    path = folder.results.index("segment", "b0000")
    stat = path.stat()
    path.write_bytes(b"x" * stat.st_size)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    again = read_state(folder.results, None, indices)
    assert step(again, "segment").verdicts == step(first, "segment").verdicts
    os.utime(path)
    assert "cannot be read" in read_state(folder.results, None, indices).remarks[0]


def test_tasks_models_and_heatmaps_are_part_of_a_run(folder: RunFolder, tmp_path: Path):
    sheet = tmp_path / "slides.csv"
    sheet.write_text("slide_id,path,kind\n" + "".join(f"{s},{s}.tif,x\n" for s in SLIDES))
    task = {"kind": "classification", "label": "kind", "models": ["linear", "abmil"]}
    config = Config(
        results=str(folder.results.root),
        slides={"sheet": str(sheet)},
        embed={"patches": {"weights": "pretrain"}},
        attend={"slides": ["c"]},
        tasks={"one": task},
        export={"formats": ["hipt"]},
    )
    run = read_state(folder.results, config)
    jobs = {state.step: [job.name for job in state.jobs] for state in run.steps}
    assert jobs["pretrain_patches"] == [""]
    assert jobs["fit"] == ["one.linear.1", "one.abmil.1"]
    assert jobs["attend"] == ["b0001"]
    assert (step(run, "attend").total, step(run, "attend").jobs[0].slides) == (1, ["c"])
    assert {"split", "evaluate", "knn", "export", "slides", "report"} <= jobs.keys()
