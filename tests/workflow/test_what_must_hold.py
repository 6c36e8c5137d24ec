"""What runs after a change: each row of the README's table, with Snakemake on a tiny cohort."""

from __future__ import annotations

import os
import random
import re
import shutil
from pathlib import Path

import polars as pl
import pytest

from hipt.store.shard import read_provenance
from tests.workflow.moments import processes, wait_for
from tests.workflow.project import ROOT, TINY, Project

pytestmark = pytest.mark.workflow

AGGREGATES = {"slides": 1, "report": 1}
STEPS = ("segment", "tile", "embed_patches", "embed_regions")


def per_batch(count: int, *steps: str) -> dict[str, int]:
    return dict.fromkeys(steps or STEPS, count) | AGGREGATES


def statuses(project: Project) -> dict[str, str]:
    table = pl.read_parquet(project.results / "slides.parquet")
    return dict(table.select("slide_id", "status").iter_rows())


def rewritten(before: dict[str, int], after: dict[str, int]) -> set[str]:
    """Slides whose files were written again."""
    return {Path(name).stem for name in before if before[name] != after.get(name)}


def test_first_run_makes_every_result(finished: Project):
    assert set(statuses(finished).values()) == {"ok"}
    for step in STEPS:
        assert len(finished.times(step)) >= 4
    ids = pl.read_parquet(finished.results / "slides.parquet")["slide_id"].to_list()
    assert "0012" in ids  # text, as in the sheet
    regions = pl.read_parquet(finished.results / "embed_regions" / "0012.parquet")
    assert regions.height > 1
    assert regions["embedding"].dtype == pl.Array(pl.Float32, 16)


def test_nothing_changed(project: Project):
    ran = project.run()
    assert (ran.rc, ran.jobs) == (0, {})


def test_row_added(project: Project):
    before = project.content()
    extra = project.folder / "slides" / "extra.tif"
    shutil.copy2(project.folder / "slides" / "a.tif", extra)
    project.write_sheet([*project.read_sheet(), {"slide_id": "extra", "path": "slides/extra.tif"}])
    ran = project.run()
    assert ran.rc == 0, ran.text
    assert ran.jobs == per_batch(1)
    after = project.content()
    changed = {name for name in before if before[name] != after[name]}
    figures = {name for name in before if name.startswith("figures/slides-")}  # one slide more
    assert changed == {"batches.csv", "slides.parquet"} | figures
    assert statuses(project)["extra"] == "ok"


def test_row_removed(project: Project):
    before = project.times("embed_patches")
    project.write_sheet([row for row in project.read_sheet() if row["slide_id"] != "b"])
    ran = project.run()
    assert (ran.rc, ran.jobs) == (0, AGGREGATES), ran.text
    assert "b" not in statuses(project)
    assert project.times("embed_patches") == before
    assert project.run().jobs == {}


def test_label_that_no_task_reads(project: Project):
    project.change_row("a", grade="high")
    assert project.run().jobs == {}


def test_case_or_site_changed(project: Project):
    project.change_row("a", site="north")
    assert project.run().jobs == AGGREGATES


def test_sheet_reordered(project: Project):
    before = project.content()
    project.write_sheet(project.read_sheet()[::-1])
    ran = project.run()
    assert ran.jobs == AGGREGATES  # the slide table is in the sheet's order
    changed = {n for n, digest in project.content().items() if before.get(n) != digest}
    assert changed == {"slides.parquet"}


def test_mpp_of_one_row(project: Project):
    before = {step: project.times(step) for step in STEPS}
    project.change_row("a", mpp="0.53")
    ran = project.run()
    assert ran.rc == 0, ran.text
    assert ran.jobs == per_batch(1)
    for step in STEPS:
        assert rewritten(before[step], project.times(step)) == {"a"}, step
    table = pl.read_parquet(project.results / "slides.parquet").filter(slide_id="a")
    assert table["mpp_source"].item() == "sheet"


def test_mask_of_one_row(project: Project):
    before = {step: project.times(step) for step in STEPS}
    mask = project.folder / "a.geojson"
    mask.write_text(
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {},'
        ' "geometry": {"type": "Polygon", "coordinates":'
        " [[[200, 200], [900, 200], [900, 900], [200, 900], [200, 200]]]}}]}"
    )
    project.change_row("a", mask="a.geojson")
    ran = project.run()
    assert ran.rc == 0, ran.text
    assert ran.jobs == per_batch(1)
    for step in STEPS:
        assert rewritten(before[step], project.times(step)) == {"a"}, step
    table = pl.read_parquet(project.results / "slides.parquet").filter(slide_id="a")
    assert table["tissue_mm2"].item() == pytest.approx(0.35**2, rel=0.1)


@pytest.mark.parametrize(
    ("sections", "first"),
    [
        ({"segment": {"mask_mpp": 6.0}}, 0),
        ({"tile": {"min_tissue": 0.3}}, 1),
        ({"mpp": 0.52}, 1),
        ({"embed": {"precision": "fp32"}}, 2),
        ({"embed": {"regions": {"shape": {"depth": 1, "dim": 16, "heads": 2}, "random": 3}}}, 3),
        ({"report": {"title": "Another"}}, 4),
    ],
    ids=["segment", "tile", "mpp", "precision", "regions", "report"],
)
def test_setting_changed_plans_that_step_and_what_follows(
    project: Project, sections: dict, first: int
):
    project.configure(**{k: v for k, v in sections.items() if isinstance(v, dict)})
    extra = [f"{k}={v}" for k, v in sections.items() if not isinstance(v, dict)]
    ran = project.run("--dry-run", *(["--config", *extra] if extra else []))
    expected = dict.fromkeys(STEPS[first:], 2) | AGGREGATES
    if first == 4:
        expected = {"report": 1}
    assert ran.jobs == expected, ran.text


def test_tile_setting_changed_and_a_removed_slide_is_not_worked_on_again(project: Project):
    project.write_sheet([row for row in project.read_sheet() if row["slide_id"] != "b"])
    (project.folder / "slides" / "b.tif").unlink()
    before = {step: project.times(step) for step in STEPS}
    project.configure(tile={"min_tissue": 0.3})
    ran = project.run()
    assert ran.rc == 0, ran.text
    assert ran.jobs == per_batch(2, "tile", "embed_patches", "embed_regions")
    assert project.times("segment") == before["segment"]
    assert rewritten(before["tile"], project.times("tile")) >= {"a", "0012", "d"}
    for step in ("embed_patches", "embed_regions"):
        assert rewritten(before[step], project.times(step)) == {"a", "0012", "d"}
    assert statuses(project) == {"a": "ok", "0012": "ok", "d": "ok"}


def test_raised_version(project: Project, monkeypatch: pytest.MonkeyPatch):
    checkout = project.folder / "checkout"
    for name in ("hipt", "workflow", "config"):
        shutil.copytree(ROOT / name, checkout / name)
    for name in ("environment.yml", "Snakefile"):
        shutil.copy2(ROOT / name, checkout)
    registry = checkout / "hipt/registry.py"
    raised, count = re.subn(
        r'("embed_regions",\n.*,\n +version=)\d+', r"\g<1>99", registry.read_text()
    )
    assert count == 1
    registry.write_text(raised)
    monkeypatch.setenv("PYTHONPATH", str(checkout))
    monkeypatch.setattr("tests.workflow.project.ROOT", checkout)
    ran = project.run("--dry-run")
    assert ran.jobs == per_batch(2, "embed_regions"), ran.text


def test_touched_and_moved_slides(project: Project):
    before = {step: project.times(step) for step in STEPS}
    content = project.content()
    for slide in (project.folder / "slides").iterdir():
        slide.touch()
    (project.folder / "slides").rename(project.folder / "elsewhere")
    project.write_sheet(
        [r | {"path": r["path"].replace("slides/", "elsewhere/")} for r in project.read_sheet()]
    )
    ran = project.run()
    assert ran.rc == 0, ran.text
    for step in STEPS:
        assert project.times(step) == before[step], step  # looked at, and kept
    changed = {n for n, digest in project.content().items() if content.get(n) != digest}
    assert changed == {"batches.csv", "slides.parquet"}  # row digests and paths


@pytest.mark.whole
def test_lost_ledger(project: Project):
    before = {step: project.times(step) for step in STEPS}
    (project.results / "batches.csv").unlink()
    project.write_sheet(project.read_sheet()[::-1])
    ran = project.run()
    assert ran.rc == 0, ran.text
    for step in STEPS:
        assert project.times(step) == before[step], step


def test_shard_deleted_by_hand_is_named_and_made_again(project: Project):
    content = project.content()
    shard = project.results / "embed_regions" / "a.parquet"
    shard.unlink()
    ran = project.run("--forcerun", "slides")
    assert ran.rc == 0, ran.text
    note = pl.read_parquet(project.results / "slides.parquet").filter(slide_id="a")["note"].item()
    assert "embed_regions" in note
    ran = project.run("--forcerun", "results/embed_regions/index/b0000.parquet")
    assert ran.rc == 0, ran.text
    assert project.content() == content


def test_dry_run_writes_nothing(project: Project):
    before = {p: p.stat().st_mtime_ns for p in project.results.rglob("*")}
    project.write_sheet([*project.read_sheet(), {"slide_id": "new", "path": "slides/new.tif"}])
    ran = project.run("--dry-run")
    assert ran.jobs == per_batch(1)
    assert {p: p.stat().st_mtime_ns for p in project.results.rglob("*")} == before


def test_broken_slides_are_rows_and_the_rest_goes_on(project: Project):
    slides = project.folder / "slides"
    (slides / "zero.svs").touch()
    (slides / "text.svs").write_text("not a slide")
    (slides / "cut.tif").write_bytes((slides / "a.tif").read_bytes()[:3000])
    broken = {"gone": "slides/gone.svs", "zero": "slides/zero.svs"}
    broken |= {"text": "slides/text.svs", "cut": "slides/cut.tif"}
    rows = [{"slide_id": name, "path": path} for name, path in broken.items()]
    project.write_sheet([*project.read_sheet(), *rows])
    project.configure(slides={"sheet": "slides.csv", "batch_size": 4})
    ran = project.run()
    assert ran.rc == 0, ran.text
    assert statuses(project) == dict.fromkeys(("a", "b", "0012", "d"), "ok") | {
        "gone": "missing",
        "zero": "unreadable",
        "text": "unreadable",
        "cut": "unreadable",
    }
    table = pl.read_parquet(project.results / "slides.parquet")
    reasons = dict(table.select("slide_id", "reason").iter_rows())
    assert all(broken[name] in reasons[name] for name in broken)
    # the repaired file is noticed by itself
    shutil.copy2(slides / "a.tif", slides / "cut.tif")
    before = project.times("embed_patches")
    assert project.run().jobs == per_batch(1)
    assert statuses(project)["cut"] == "ok"
    assert rewritten(before, project.times("embed_patches")) == set()


def test_stop_on_slide_error(cohort: Project, tmp_path: Path):
    project = cohort.copy(tmp_path / "p")
    gone = {"slide_id": "gone", "path": "slides/gone.svs"}
    project.write_sheet([*project.read_sheet()[:1], gone])
    project.configure(slides={"sheet": "slides.csv", "batch_size": 2, "on_slide_error": "stop"})
    ran = project.run()
    assert ran.rc == 1
    assert "slide gone: missing:" in ran.text


def test_another_reader_or_engine_makes_nothing_anew(project: Project):
    """Pixels and vectors are the same: only the report, which shows the settings, is written."""
    before = project.content()
    slides = {"sheet": "slides.csv", "batch_size": 2, "reader": "openslide"}
    project.configure(slides=slides, embed={"engine": "torch"})
    ran = project.run()
    assert (ran.rc, ran.jobs) == (0, {"report": 1}), ran.text
    assert project.content() == before
    (project.results / "embed_patches" / "a.arrow").unlink()
    forced = project.run("--forcerun", "results/embed_patches/index/b0000.parquet")
    assert forced.rc == 0, forced.text
    table = pl.read_parquet(project.results / "slides.parquet")
    readers = dict(table.select("slide_id", "reader").iter_rows())
    assert readers == {"a": "openslide", "b": "direct", "0012": "direct", "d": "direct"}
    shards = {slide: project.results / "embed_patches" / f"{slide}.arrow" for slide in "ab"}
    engines = {slide: read_provenance(file).software["engine"] for slide, file in shards.items()}
    assert engines == {"a": "torch", "b": "openvino"}


def test_weights_replaced(project: Project, tiny_weights: Path, other_weights: Path):
    project.write_sheet(project.read_sheet()[:2])
    weights = project.folder / "vit256.safetensors"
    shutil.copy2(tiny_weights, weights)
    shape = {"depth": 1, "dim": 16, "heads": 2}
    embed = {
        "patches": {"shape": shape, "weights": weights.name},
        "regions": {"shape": shape, "random": 2},
    }
    project.configure(embed=embed)
    ran = project.run()
    assert ran.rc == 0, ran.text
    assert ran.jobs == per_batch(1, "embed_patches", "embed_regions")
    weights.write_bytes(tiny_weights.read_bytes())  # the same content under a new time
    assert project.run().jobs == {}
    shutil.copy2(other_weights, weights)
    before = project.times("embed_patches")
    ran = project.run()
    assert ran.jobs == per_batch(1, "embed_patches", "embed_regions")
    assert rewritten(before, project.times("embed_patches")) == {"a", "b"}


def test_killed_while_it_embeds(cohort: Project, finished: Project, tmp_path: Path):
    """SIGKILL of the whole run; results equal those of an undisturbed run, byte for byte."""
    project = cohort.copy(tmp_path / "killed")
    with project.running():
        wait_for(lambda: processes(project, "embed_patches"), "a process that embeds")
    _unlock(project)
    ran = project.run()
    assert ran.rc == 0, ran.text
    assert project.content() == finished.content()


@pytest.mark.whole
def test_killed_at_random_moments(cohort: Project, finished: Project, tmp_path: Path):
    """Again and again, and the results are the same."""
    project = cohort.copy(tmp_path / "killed")
    moments = random.Random(20221123)
    kills = 0
    for _ in range(4):
        kills += project.run_and_kill(moments.uniform(3, 16))
        _unlock(project)
    assert kills, "every run was done before its kill: choose earlier moments"
    ran = project.run()
    assert ran.rc == 0, ran.text
    assert project.content() == finished.content()


def _unlock(project: Project) -> None:
    """What the README says to do about a leftover lock."""
    assert project.run("--unlock").rc == 0


@pytest.mark.whole("embedding")
def test_another_timm_looks_at_embeddings_again_and_keeps_what_is_the_same(
    cohort: Project, tmp_path: Path
):
    """Mean and std come from timm here; what it says is in the fingerprints, its version is not."""
    project = cohort.copy(tmp_path / "p")
    patches = {"encoder": "test_resnet", "input_px": 64, "random": 1}
    project.configure(embed={"patches": patches, "regions": TINY["embed"]["regions"]})
    assert project.run().rc == 0
    before = {step: project.times(step) for step in STEPS}
    upgraded = tmp_path / "upgraded" / "timm-99.0.dist-info"
    upgraded.mkdir(parents=True)
    (upgraded / "METADATA").write_text("Metadata-Version: 2.1\nName: timm\nVersion: 99.0\n")
    env = os.environ | {"PYTHONPATH": f"{upgraded.parent}:{os.environ.get('PYTHONPATH', '')}"}
    with project.running(env=env) as running:
        ran = running.end()
    assert ran.rc == 0, ran.text
    assert ran.jobs == per_batch(2, "embed_patches", "embed_regions"), ran.text
    assert {step: project.times(step) for step in STEPS} == before
