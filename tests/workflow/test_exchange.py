"""Export and import under Snakemake: what runs, and that what went out comes back."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest

from hipt.store.tables import PatchEmbeddings
from tests.workflow.project import EMBED, PRETRAIN, Project

pytestmark = pytest.mark.workflow

FEATURES = "export/trident/20x_64px_0px_overlap/features_hipt"


@pytest.fixture(scope="module")
def exporting(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The finished run, exported."""
    project = finished.copy(tmp_path_factory.mktemp("exporting") / "p")
    project.configure(export={"formats": ["trident", "hipt"]})
    ran = project.run()
    assert (ran.rc, ran.jobs) == (0, {"export": 2, "report": 1}), ran.text
    return project


@pytest.mark.whole("exchange")
def test_what_runs_after_an_export(exporting: Project, tmp_path: Path):
    project = exporting.copy(tmp_path / "p")
    files = {path.stem for path in (project.results / FEATURES).glob("*.h5")}
    assert files == {"a", "b", "0012", "d"}
    listed = pl.read_parquet(project.results / "export" / "trident.parquet")
    assert set(listed["slide_id"]) == files
    before = project.times("export")
    project.change_row("a", grade="high")
    assert project.run().jobs == {"export": 2}  # labels are in CLAM's table
    after = project.times("export")
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"export/trident.parquet", "export/hipt.parquet"}
    project.write_sheet([row for row in project.read_sheet() if row["slide_id"] != "b"])
    assert project.run().jobs == {"slides": 1, "export": 2, "report": 1}
    assert not [name for name in project.times("export") if Path(name).stem in ("b", "b_patches")]


@pytest.mark.whole("exchange")
def test_an_export_is_imported(exporting: Project, cohort: Project, tmp_path: Path):
    project = cohort.copy(tmp_path / "p")
    given = exporting.copy(tmp_path / "given").results / FEATURES
    project.configure(embed={"patches": {"features": str(given)}})
    ran = project.run()
    assert ran.rc == 0, ran.text
    table = pl.read_parquet(project.results / "slides.parquet")
    assert set(table["status"]) == {"ok"}
    for slide_id in table["slide_id"]:
        shard = PatchEmbeddings(project.results / "embed_patches" / f"{slide_id}.arrow")
        rows = [row for i in range(len(shard)) for row in shard.region(i).to_pylist()]
        back = {(row["x"], row["y"]): row["embedding"] for row in rows if row["readable"]}
        with h5py.File(given / f"{slide_id}.h5") as file:
            coords, features = file["coords"][:], file["features"][:]
        sent = dict(zip(map(tuple, coords.tolist()), features, strict=True))
        assert back.keys() <= sent.keys()
        assert len(back) > 0.9 * len(sent)
        for place, vector in back.items():
            np.testing.assert_array_equal(vector, sent[place])
    before = project.times("embed_regions")
    with h5py.File(given / "d.h5", "a") as file:
        file["features"][:] = file["features"][:] * 2
    ran = project.run()
    steps = ("tile", "embed_patches", "embed_regions", "slides", "report")
    assert (ran.rc, ran.jobs) == (0, dict.fromkeys(steps, 1)), ran.text
    after = project.times("embed_regions")
    assert {Path(name).stem for name in before if before[name] != after[name]} == {"d"}


@pytest.mark.whole("exchange")
def test_no_slide_is_needed_until_it_is_there(exporting: Project, cohort: Project, tmp_path: Path):
    project = cohort.copy(tmp_path / "p")
    given = exporting.copy(tmp_path / "given").results / FEATURES
    slide = project.folder / "slides" / "b.tif"
    slide.parent.rename(tmp_path / "away")
    project.configure(
        embed={"patches": {"features": str(given)}, "regions": EMBED["regions"]},
        pretrain=PRETRAIN,
        attend={"slides": "all"},
        export={"formats": ["stamp"]},
    )
    ran = project.run()
    assert ran.rc == 0, ran.text
    assert (ran.jobs["pretrain_regions"], ran.jobs["attend"], ran.jobs["export"]) == (1, 2, 1)
    table = pl.read_parquet(project.results / "slides.parquet")
    assert set(table["status"]) == {"ok"}
    assert table["note"].str.contains("its file is not there").all()
    assert project.run().jobs == {}
    with h5py.File(given / "d.h5", "a") as file:
        file["features"][:] = file["features"][:] * 2
    assert project.run("-n").jobs["segment"] == 1  # it has the files of features for slides
    slide.parent.mkdir()
    (tmp_path / "away" / "b.tif").rename(slide)
    assert project.run().rc == 0
    table = pl.read_parquet(project.results / "slides.parquet")
    blank = table.filter(pl.col("note").str.contains("its file is not there"))["slide_id"]
    assert set(blank) == {"a", "0012", "d"}


def test_no_folder_of_features_is_said_before_anything_runs(project: Project):
    project.configure(embed={"patches": {"features": "nowhere"}})
    ran = project.run()
    assert ran.rc == 1
    assert "embed.patches.features: nowhere: no such folder" in ran.text
    assert ran.jobs == {}
