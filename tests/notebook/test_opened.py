"""Results as frames and tensors: what is on disk, lazily, finished or not."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from torch.utils.data import DataLoader

import hipt
from hipt.layout import Results
from hipt.notebook.opened import OpenedResults
from hipt.store.schemas import MANIFEST, SLIDES
from hipt.store.tables import PatchEmbeddings, matrix, read_table, write_rows, write_table

GOOD = ["s0", "s1"]


def test_slides_are_the_slide_table(opened: OpenedResults, folder: Path):
    slides = opened.slides
    assert slides.equals(pl.read_parquet(folder / "slides.parquet", glob=False))
    status = dict(slides.select("slide_id", "status").iter_rows())
    assert status == {"s0": "ok", "s1": "ok", "glass": "no_tissue", "gone": "missing"}


def test_patches_are_all_manifests_scanned_lazily(opened: OpenedResults, folder: Path):
    assert isinstance(opened.patches, pl.LazyFrame)
    parts = [pl.read_parquet(folder / "tile" / f"{s}.parquet", glob=False) for s in GOOD]
    assert opened.patches.collect(engine="streaming").equals(pl.concat(parts))
    assert "Parquet SCAN" in opened.patches.explain()


def test_regions_hold_the_vectors(opened: OpenedResults):
    regions = opened.regions.collect()
    assert regions["slide_id"].unique(maintain_order=True).to_list() == GOOD
    for slide_id, part in regions.group_by("slide_id"):
        vectors = opened.region_vectors(str(slide_id[0]))
        assert torch.equal(torch.tensor(part["embedding"].to_numpy()), vectors)


def test_vectors_of_one_slide(opened: OpenedResults, folder: Path):
    shard, slide = PatchEmbeddings(Results(folder).shard("embed_patches", "s0")), opened.slide("s0")
    patches, vectors = slide.patches, opened.patch_vectors("s0")
    assert (vectors.dtype, vectors.shape) == (torch.float16, (len(patches), shard.dim))
    rows = [row for i in range(len(shard)) for row in shard.region(i).to_pylist()]
    assert [(r["x"], r["y"]) for r in rows] == list(patches.select("x", "y").iter_rows())
    assert torch.equal(torch.tensor([r["embedding"] for r in rows]).half(), vectors)
    assert patches["readable"].all()
    regions = opened.region_vectors("s0")
    assert (regions.dtype, regions.shape) == (torch.float32, (len(shard), 16))
    table = read_table(Results(folder).shard("embed_regions", "s0"))
    assert torch.equal(torch.tensor(matrix(table["embedding"])), regions)
    assert len(slide.regions) == len(regions)


def test_bags_are_a_dataset_of_slides(opened: OpenedResults):
    bags = opened.bags()
    assert [slide_id for slide_id, _ in bags] == bags.slides == GOOD
    assert len(bags) == 2
    for slide_id, vectors in DataLoader(pickle.loads(pickle.dumps(bags)), batch_size=None):  # noqa: S301
        assert torch.equal(vectors, opened.region_vectors(slide_id))
    (one,) = opened.bags("patches", ["s1"])
    assert torch.equal(one[1], opened.patch_vectors("s1"))
    with pytest.raises(hipt.HiptError, match="vectors are not of 'patch'; did you mean 'patches'"):
        opened.bags("patch")  # type: ignore[arg-type]
    with pytest.raises(hipt.HiptError, match="no vectors of regions of slide 'glass'"):
        opened.bags(slides=["glass"])


def test_what_is_not_there_is_named_with_what_is_near(opened: OpenedResults):
    with pytest.raises(hipt.HiptError, match="has no slide 's2'; did you mean 's") as caught:
        opened.slide("s2")
    with pytest.raises(hipt.HiptError, match="has no slide 0; did you mean 's0'"):
        opened.slide(0)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    with pytest.raises(hipt.HiptError, match=r"has no slide 'q'; there is s0, s1, glass, gone$"):
        opened.region_vectors("q")
    with pytest.raises(hipt.HiptError, match="has no task 'subtyp'; did you mean 'subtype'"):
        opened.task("subtyp")
    with pytest.raises(hipt.HiptError, match="no heatmap 'attention0'; did you mean 'attention'"):
        opened.heatmap("s0", "attention0")
    with pytest.raises(hipt.HiptError, match="has no layer 'contour'; did you mean 'contours'"):
        opened.show("s0", "contour")
    with pytest.raises(hipt.HiptError, match="glass has no heatmap 'attention'; there is none"):
        opened.heatmap("glass", "attention")


def test_a_troubled_slide_has_no_vectors(opened: OpenedResults):
    with pytest.raises(hipt.HiptError, match="glass has no patch vectors: it is no_tissue"):
        opened.patch_vectors("glass")
    with pytest.raises(hipt.HiptError, match="gone has no region vectors: it is missing"):
        opened.region_vectors("gone")
    assert not opened.slide("glass").mask.any()
    assert opened.slide("glass").contours.is_empty


def test_a_folder_without_results(tmp_path: Path):
    with pytest.raises(hipt.HiptError, match="holds no results"):
        hipt.open(tmp_path)


def test_a_results_folder_is_found_from_elsewhere(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder.parent)
    opened = hipt.open(folder.name)
    monkeypatch.chdir("/")
    assert opened.folder == folder
    assert len(opened.slides) == 4


def test_results_that_are_gone_can_be_shown(opened: OpenedResults, folder: Path):
    shutil.rmtree(folder)
    assert repr(opened).startswith(f"results in {folder}: holds no results")
    assert "holds no results" in opened._repr_html_()


def test_damage_is_a_sentence(opened: OpenedResults, folder: Path):
    path = folder / "embed_regions" / "s0.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(hipt.HiptError, match=r"s0\.parquet: not readable as Parquet"):
        opened.region_vectors("s0")


def test_an_unfinished_run(opened: OpenedResults, folder: Path):
    """Stage 1 was at work: one slide's shard is there, and no index of it."""
    finished = opened.slides
    vectors = opened.patch_vectors("s0")
    (folder / "slides.parquet").unlink()
    shutil.rmtree(folder / "embed_regions")
    shutil.rmtree(folder / "embed_patches" / "index")
    (folder / "embed_patches" / "s1.arrow").unlink()
    slides = opened.slides
    assert slides.schema == finished.schema
    assert slides["slide_id"].to_list() == finished["slide_id"].to_list()
    assert slides["status"].to_list() == [None, None, "no_tissue", "missing"]
    assert set(slides["reason"][:2]) == {"embed_patches is not done yet"}
    assert slides["tissue_mm2"].equals(finished["tissue_mm2"])
    assert slides["levels"].equals(finished["levels"])
    assert slides["patches"].equals(finished["patches"])
    assert torch.equal(opened.patch_vectors("s0"), vectors)
    assert opened.slide("s1").patches["readable"].is_null().all()
    assert opened.bags("patches").slides == ["s0"]
    assert len(opened.bags("regions")) == 0
    assert opened.regions.collect().columns[-1] == "embedding"
    assert opened.patches.collect()["slide_id"].n_unique() == 2
    with pytest.raises(hipt.HiptError, match=r"s1\.arrow: not there; embed_patches has to run"):
        opened.patch_vectors("s1")
    assert "on its way" in repr(opened)


def test_a_run_that_has_just_begun(folder: Path):
    for path in folder.iterdir():
        if path.name != "batches.csv":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    opened = hipt.open(str(folder))
    assert opened.slides["reason"].unique().to_list() == ["segment is not done yet"]
    assert opened.slides.columns == SLIDES.names
    assert opened.patches.collect().columns == MANIFEST.names
    assert len(opened.tasks) == 0
    assert opened._repr_html_()


def test_without_the_table_slides_end_as_in_it(opened: OpenedResults, folder: Path):
    whole = opened.slides
    (folder / "slides.parquet").unlink()
    known = [name for name in whole.columns if name not in ("case_id", "site", "path", "note")]
    assert opened.slides.select(known).equals(whole.select(known))


PROBE = """
import re
import sys
from pathlib import Path
import polars as pl
import hipt

results = hipt.open(sys.argv[1])

def tissue(patches):
    found = patches.filter(pl.col("tissue") >= 0.5).select(pl.len(), pl.col("tissue").mean())
    rows = found.collect(engine="streaming").item(0, 0)
    peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
    return rows, int(peak[1]) // 1024

print(*tissue(results.patches.head(50_000)), *tissue(results.patches))
"""


def test_memory_does_not_grow_with_the_cohort(tmp_path: Path):
    """20 million rows, of which the one column that is asked for would take 80 MiB."""
    slides, patches = 400, 200 * 256
    rng = np.random.default_rng(0)
    columns: dict = {"slide_id": ["s"] * patches}
    columns |= {name: rng.random(patches, np.float32) for name in MANIFEST.names[-3:]}
    integers = {name: np.arange(patches) % 99 for name in MANIFEST.names[1:-3]}
    columns |= {n: v.astype(MANIFEST.field(n).type.to_pandas_dtype()) for n, v in integers.items()}
    first = tmp_path / "tile" / "s0.parquet"
    write_table(first, columns, MANIFEST)
    for i in range(1, slides):
        first.with_name(f"s{i}.parquet").hardlink_to(first)
    empty = dict.fromkeys(("case_id", "site", "path", "batch", "reason", "note"), "")
    rows = [{"slide_id": f"s{i}", "status": "ok", **empty} for i in range(slides)]
    write_rows(tmp_path / "slides.parquet", rows, SLIDES)
    command = [sys.executable, "-c", PROBE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    _, before_mib, found, after_mib = map(int, done.stdout.split())
    assert found == slides * (columns["tissue"] >= 0.5).sum()
    assert after_mib - before_mib < 40
