"""Disks, clocks and other people in the way of a run: nothing is lost, nothing half is kept."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest

from tests.workflow.moments import freeze
from tests.workflow.project import Project
from tests.workflow.test_what_must_hold import statuses

pytestmark = pytest.mark.workflow

root_only = pytest.mark.skipif(os.getuid() != 0, reason="mounting needs root")


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """A mount on a folder; on what it holds, where it is bound to itself."""
    subprocess.run(["mount", *options, str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def unchanging(project: Project) -> dict[str, str]:
    """The content of the results, but for the ledger: it knows times, and slides that went."""
    return {name: digest for name, digest in project.content().items() if name != "batches.csv"}


def size(folder: Path) -> int:
    """Bytes of all files, in whole pages as tmpfs counts them."""
    return sum(-(-p.stat().st_size // 4096) * 4096 for p in folder.rglob("*") if p.is_file())


@root_only
@pytest.mark.whole
def test_full_disk(cohort: Project, finished: Project, tmp_path: Path):
    """At first there is room for a tenth of the results, then for more: each time one sentence."""
    project = cohort.copy(tmp_path / "p")
    project.results.mkdir()
    needed = size(finished.results)
    with mounted(project.results, "-t", "tmpfs", "-o", f"size={needed // 10}", "none"):
        for share in (0.1, 0.3, 0.5, 0.8):
            remount = f"remount,size={int(needed * share)}"
            subprocess.run(["mount", "-o", remount, str(project.results)], check=True)
            ran = project.run()
            assert ran.rc == 1
            assert "o space left" in ran.text, ran.text
            assert "Traceback" not in ran.text, ran.text
        subprocess.run(["mount", "-o", "remount,size=1g", str(project.results)], check=True)
        ran = project.run()
        assert ran.rc == 0, ran.text
        assert project.content() == finished.content()


@root_only
@pytest.mark.parametrize("changed", ["a setting", "a new slide"])
def test_read_only_results(project: Project, changed: str):
    """What is there cannot be made again, what is new cannot be written: said before any job."""
    if changed == "a setting":
        project.configure(tile={"min_tissue": 0.3})
    else:
        shutil.copy2(project.folder / "slides/a.tif", project.folder / "slides/new.tif")
        project.write_sheet([*project.read_sheet(), {"slide_id": "new", "path": "slides/new.tif"}])
    before = project.content()
    folder = str(project.results)
    with mounted(project.results, "--bind", folder):
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        ran = project.run()
    assert ran.rc == 1
    assert re.search("read-only|write-protected", ran.text, re.IGNORECASE), ran.text
    assert "Traceback" not in ran.text, ran.text
    assert project.content() == before


@pytest.mark.whole
def test_slides_break_while_they_are_read(cohort: Project, finished: Project, tmp_path: Path):
    """One is cut, one garbled, one gone, after they were segmented, before they are embedded."""
    project = cohort.copy(tmp_path / "p")
    slides = project.folder / "slides"
    with project.running() as run:
        pid, _ = freeze(project, "embed_patches", lambda _: True)
        os.truncate(slides / "a.tif", (slides / "a.tif").stat().st_size // 3)
        garbled = bytearray((slides / "d.tif").read_bytes())
        garbled[2000 : len(garbled) // 2] = random.Random(1).randbytes(len(garbled) // 2 - 2000)
        (slides / "d.tif").write_bytes(garbled)
        (slides / "b.tif").unlink()
        os.kill(pid, signal.SIGCONT)
        ran = run.end()
    assert ran.rc == 0, ran.text
    found = statuses(project)
    assert found["0012"] == "ok"
    assert (found["a"], found["b"], found["d"]) == ("unreadable", "missing", "unreadable")
    for name in ("a", "b", "d"):
        shutil.copy2(cohort.folder / "slides" / f"{name}.tif", slides)
    # Repaired under their old times they look as they did before: Snakemake has to be told.
    ran = project.run("--forcerun", "segment")
    assert ran.rc == 0, ran.text
    assert project.content() == finished.content()


@pytest.mark.whole
def test_a_broken_file_of_an_earlier_step_costs_its_slide(project: Project):
    """The row names it, is not tried at each plan, and ends with how it is tried again."""
    before = project.content()
    broken = project.results / "embed_patches" / "a.arrow"
    os.truncate(broken, broken.stat().st_size // 2)
    (project.results / "embed_regions" / "a.parquet").unlink()
    ran = project.run("--forcerun", "embed_regions")
    assert ran.rc == 0, ran.text
    assert statuses(project) == dict.fromkeys(("b", "0012", "d"), "ok") | {"a": "failed"}
    table = pl.read_parquet(project.results / "slides.parquet")
    reason = table.filter(slide_id="a")["reason"].item()
    assert "results/embed_patches/a.arrow: not readable as Arrow" in reason
    assert project.run().jobs == {}
    target = reason.rpartition("to try it again: snakemake --forcerun ")[2]
    assert target == "results/embed_regions/index/b0000.parquet"
    ran = project.run("--forcerun", "results/embed_patches/index/b0000.parquet", target)
    assert ran.rc == 0, ran.text
    assert project.content() == before


@pytest.mark.whole
def test_two_runs_in_one_folder(cohort: Project, finished: Project, tmp_path: Path):
    """The second is told of the first. Forced to run beside it, neither leaves anything half."""
    project = cohort.copy(tmp_path / "p")
    with project.running() as first:
        pid, _ = freeze(project, "segment", lambda _: True)
        second = project.run()
        assert second.rc == 1
        assert "Directory cannot be locked" in second.text, second.text
        os.kill(pid, signal.SIGCONT)
        with project.running("--nolock") as third:
            ends = [first.end(), third.end()]
    for (
        ran
    ) in ends:  # Snakemake deletes outputs that it makes again, which the other may be reading
        assert "Traceback" not in ran.text, ran.text
    ran = project.run()
    assert ran.rc == 0, ran.text
    assert project.content() == finished.content()


@pytest.mark.whole
def test_clocks_that_disagree(project: Project):
    """Files of hours ago and of tomorrow: jobs look again, and keep every slide."""
    before = unchanging(project)
    dice = random.Random(7)
    now = time.time()
    for path in sorted(project.folder.rglob("*")):
        if path.is_file() and ".snakemake" not in path.parts:
            moment = now + dice.uniform(-7200, 86400)
            os.utime(path, (moment, moment))
    times = {step: project.times(step) for step in ("segment", "tile", "embed_patches")}
    ran = project.run()
    assert ran.rc == 0, ran.text
    assert unchanging(project) == before
    for step, expected in times.items():
        assert project.times(step) == expected, step


@pytest.mark.whole
def test_sheet_edited_during_a_run(cohort: Project, finished: Project, tmp_path: Path):
    """A slide more, one less, another resolution: this run ends, the next one knows."""
    project = cohort.copy(tmp_path / "p")
    rows = project.read_sheet()
    with project.running() as run:
        pid, _ = freeze(project, "segment", lambda _: True)
        shutil.copy2(project.folder / "slides/a.tif", project.folder / "slides/new.tif")
        project.write_sheet(
            [row for row in rows if row["slide_id"] != "b"]
            + [{"slide_id": "new", "path": "slides/new.tif"}]
        )
        project.change_row("d", mpp="0.4")
        os.kill(pid, signal.SIGCONT)
        ran = run.end()
    assert "Traceback" not in ran.text, ran.text
    ran = project.run()
    assert ran.rc == 0, ran.text
    assert statuses(project) == dict.fromkeys(("a", "0012", "d", "new"), "ok")
    project.write_sheet(rows)
    ran = project.run()
    # The batch was made while b was out of the sheet; the sentence says what to do.
    assert "snakemake --forcerun results/segment/index/b0000.parquet" in ran.text, ran.text
    ran = project.run("--forcerun", "results/segment/index/b0000.parquet")
    assert ran.rc == 0, ran.text
    expected = unchanging(finished)
    assert {name: unchanging(project)[name] for name in expected} == expected


@pytest.mark.whole
def test_files_that_appear_late(cohort: Project, finished: Project, tmp_path: Path):
    """As on a network file system: what a job wrote is seen a second after the job has ended."""
    project = cohort.copy(tmp_path / "p")
    hidden = 0
    done = threading.Event()

    def hide() -> None:
        nonlocal hidden
        seen: set[Path] = set()
        away = project.folder / "away.parquet"
        while not done.is_set():
            for path in set(project.results.glob("*/index/b*.parquet")) - seen:
                path.rename(away)
                time.sleep(1)
                away.rename(path)
                seen.add(path)
                hidden += 1
            time.sleep(0.001)

    hider = threading.Thread(target=hide)
    hider.start()
    try:
        # A job that does not see its input yet is sent again, as the profile for SLURM does.
        ran = project.run("--latency-wait", "20", "--retries", "3")
    finally:
        done.set()
        hider.join()
    assert ran.rc == 0, ran.text
    assert hidden == 8
    assert project.content() == finished.content()
