"""The export step: each tree read back the way its own readers do it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import shapely.geometry
import torch

from hipt.config.config import Config
from hipt.config.step_settings import settings
from hipt.errors import HiptError
from hipt.exchange import formats
from hipt.steps import export
from hipt.store.schemas import EXPORT
from hipt.store.tables import PatchEmbeddings, matrix, read_table
from tests.slidemaker import GLASS, tissue_picture, write_slide
from tests.steps.conftest import Chain

JOB = "20x_64px_0px_overlap"
FORMATS = ("trident", "clam", "stamp", "hipt")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Two slides with tissue and one without, embedded; nothing is exported."""
    chain = Chain(tmp_path_factory.mktemp("made"))
    write_slide(chain.folder / "0012.svs", tissue_picture(1024, 768))
    write_slide(chain.folder / "b.svs", tissue_picture(1536, 1152), mpp=0.25)
    write_slide(chain.folder / "empty.svs", np.full((600, 800, 3), GLASS, np.uint8))
    text = "slide_id,path,case_id,label\n0012,0012.svs,7,high\nb,b.svs,8,low\nempty,empty.svs,9,\n"
    chain.sheet(text + "lost,lost.svs,10,\n")
    chain.upto("embed_regions")
    chain.table()
    return chain


@pytest.fixture
def cohort(made: Chain, tmp_path: Path) -> Chain:
    """A copy of it, to be exported."""
    shutil.copytree(made.folder, tmp_path / "p")
    chain = Chain(tmp_path / "p")
    chain.values["slides"]["sheet"] = str(tmp_path / "p" / "slides.csv")
    return chain


def exported(chain: Chain, name: str) -> tuple[Path, dict[str, dict[str, Any]]]:
    """The format's tree, and the list's rows by slide."""
    cfg = settings("export", Config.model_validate(chain.values)).model_dump_json()
    out = Path(f"{chain.results.export(name)}.parquet")
    export.main(
        ["--slides", str(chain.results.slides), "--format", name, "--cfg", cfg, "--out", str(out)]
    )
    rows = read_table(out, EXPORT).to_pylist()
    return chain.results.export(name), {row["slide_id"]: row for row in rows}


def patches(chain: Chain, slide_id: str) -> tuple[np.ndarray, np.ndarray]:
    """Corners and vectors of the patches that count, straight from the shard."""
    shard = PatchEmbeddings(chain.results.shard("embed_patches", slide_id))
    rows = [row for i in range(len(shard)) for row in shard.region(i).to_pylist()]
    rows = [row for row in rows if row["readable"] and row["tissue"] >= np.float32(0.1)]
    return np.array([(r["x"], r["y"]) for r in rows]), np.array([r["embedding"] for r in rows])


def times(tree: Path) -> dict[str, int]:
    """When each file was written."""
    files = (path for path in tree.rglob("*") if path.is_file())
    return {str(path.relative_to(tree)): path.stat().st_mtime_ns for path in files}


@pytest.mark.parametrize(("slide_id", "side"), [("0012", 64), ("b", 128)])
def test_trident(cohort: Chain, slide_id: str, side: int):
    tree, rows = exported(cohort, "trident")
    xy, vectors = patches(cohort, slide_id)
    with h5py.File(tree / JOB / "features_hipt" / f"{slide_id}.h5") as f:
        np.testing.assert_array_equal(f["features"][:], vectors)
        np.testing.assert_array_equal(f["coords"][:], xy)
        assert (f["features"].dtype, f["coords"].dtype) == (np.float32, np.int64)
        assert f["features"].attrs["encoder"] == "hipt"
        assert f["coords"].attrs["patch_size_level0"] == side
        there = dict(f["coords"].attrs)
    with h5py.File(tree / JOB / "patches" / f"{slide_id}_patches.h5") as f:
        np.testing.assert_array_equal(f["coords"][:], xy)
        folder = {"savetodir": f"{JOB}/patches"}
        assert dict(f["coords"].attrs) == there | folder
    assert there["name"] == slide_id
    assert there["level0_magnification"] == 20 * side // 64
    assert (there["target_magnification"], there["patch_size"], there["overlap"]) == (20, 64, 0)
    outline = json.loads((tree / "contours_geojson" / f"{slide_id}.geojson").read_text())
    tissue = [shapely.geometry.shape(feature["geometry"]) for feature in outline["features"]]
    assert [one["properties"]["tissue_id"] for one in outline["features"]] == [0]
    centres = shapely.points(xy + side / 2)
    assert shapely.covers(tissue[0].buffer(side), centres).all()
    assert rows[slide_id]["patches"] == len(xy)


def test_a_slide_without_tissue_is_empty_in_trident_and_absent_elsewhere(cohort: Chain):
    tree, rows = exported(cohort, "trident")
    with h5py.File(tree / JOB / "features_hipt" / "empty.h5") as f:
        assert (f["features"].shape, f["coords"].shape) == ((0, 16), (0, 2))
        assert f["coords"].attrs["patch_size_level0"] == 64
    assert json.loads((tree / "contours_geojson" / "empty.geojson").read_text())["features"] == []
    assert rows.keys() == {"0012", "b", "empty"}
    for name in FORMATS[1:]:
        assert exported(cohort, name)[1].keys() == {"0012", "b"}


def test_clam(cohort: Chain):
    tree, _ = exported(cohort, "clam")
    for slide_id, side in (("0012", 64), ("b", 128)):
        xy, vectors = patches(cohort, slide_id)
        with h5py.File(tree / "patches" / f"{slide_id}.h5") as f:
            coords = f["coords"]
            np.testing.assert_array_equal(coords[:], xy)
            at = coords.attrs
            level0 = at["patch_size"] * at["downsample"]
            np.testing.assert_array_equal(level0, [side, side])
            assert at["patch_level"] == 0
            assert at["name"] == slide_id
        with h5py.File(tree / "h5_files" / f"{slide_id}.h5") as f:
            np.testing.assert_array_equal(f["features"][:], vectors)
            np.testing.assert_array_equal(f["coords"][:], xy)
            assert (f["features"].dtype, f["coords"].dtype) == (np.float32, np.int32)
        bag = torch.load(tree / "pt_files" / f"{slide_id}.pt", weights_only=True)
        np.testing.assert_array_equal(bag.numpy(), vectors)
        assert bag.dtype == torch.float32
    table = pd.read_csv(tree / "dataset.csv", dtype={"slide_id": str, "case_id": str})
    assert table["slide_id"].tolist() == ["0012", "b"]
    assert dict(zip(table["case_id"], table["label"], strict=True)) == {"7": "high", "8": "low"}
    done = pd.read_csv(tree / "process_list_autogen.csv", dtype={"slide_id": str})
    assert done["slide_id"].tolist() == ["0012", "b"]


def test_stamp(cohort: Chain):
    tree, _ = exported(cohort, "stamp")
    xy, vectors = patches(cohort, "b")
    with h5py.File(tree / "b.h5") as f:
        assert f["feats"].dtype == np.float16
        np.testing.assert_array_equal(f["feats"][:], vectors.astype(np.float16))
        np.testing.assert_allclose(f["coords"][:], xy * 0.25)
        assert f.attrs["unit"] == "um"
        assert (f.attrs["tile_size_um"], f.attrs["tile_size_px"]) == (32, 64)
        assert (f.attrs["extractor"], f.attrs["feat_type"]) == ("hipt", "tile")
    table = pd.read_csv(tree / "slide_table.csv", dtype=str)
    assert table.to_dict("list") == {"PATIENT": ["7", "8"], "FILENAME": ["0012.h5", "b.h5"]}


def test_hipt(cohort: Chain):
    tree, rows = exported(cohort, "hipt")
    shard = PatchEmbeddings(cohort.results.shard("embed_patches", "b"))
    bag = torch.load(tree / "patches" / "b.pt", weights_only=True)
    assert (bag.shape, bag.dtype) == ((len(shard), 16, 16), torch.float32)
    for index, grid in enumerate(bag.numpy()):
        np.testing.assert_array_equal(grid, shard.grid(index))
    regions = torch.load(tree / "regions" / "b.pt", weights_only=True)
    table = read_table(cohort.results.shard("embed_regions", "b"))
    np.testing.assert_array_equal(regions.numpy(), matrix(table["embedding"]))
    assert rows["b"]["patches"] == 16 * rows["b"]["regions"] == 16 * len(shard)


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_there_is_kept_and_what_is_cut_is_written_again(cohort: Chain, name: str):
    tree, rows = exported(cohort, name)
    before, content = times(tree), {f: (tree / f).read_bytes() for f in times(tree)}
    lists = {f for f in before if f.endswith(".csv")}
    exported(cohort, name)
    assert {f for f, time in times(tree).items() if time != before[f]} == lists
    file = rows["b"]["files"][0]
    (tree / file).write_bytes(content[file][:-1])
    exported(cohort, name)
    written = {f for f, time in times(tree).items() if time != before[f]}
    assert written == {*lists, *rows["b"]["files"], ".hipt/b.json"}
    assert {f: (tree / f).read_bytes() for f in times(tree)} == content


def test_other_settings_write_again(cohort: Chain):
    tree, rows = exported(cohort, "stamp")
    cohort.values["export"] = {"min_patch_tissue": 0.0}
    _, more = exported(cohort, "stamp")
    assert more["b"]["patches"] == 16 * more["b"]["regions"] > rows["b"]["patches"]
    cohort.values["embed"]["patches"] |= {"encoder": "hf-hub:MahmoodLab/UNI", "shape": "paper"}
    exported(cohort, "stamp")
    with h5py.File(tree / "b.h5") as f:
        assert f.attrs["extractor"] == "hf-hub_MahmoodLab_UNI"


def test_a_slide_that_left_takes_its_files_along(cohort: Chain):
    tree, _ = exported(cohort, "clam")
    (tree / "h5_files" / "mine.h5").write_bytes(b"of somebody else")
    cohort.sheet("slide_id,path\n0012,0012.svs\n")
    cohort.table()
    _, rows = exported(cohort, "clam")
    assert rows.keys() == {"0012"}
    assert not [f for f in times(tree) if Path(f).stem == "b"]
    assert (tree / "h5_files" / "mine.h5").exists()


@pytest.mark.parametrize("step", ["tile", "embed_patches", "embed_regions"])
@pytest.mark.parametrize("slide_id", ["0012", "b"])
def test_a_deleted_shard_costs_its_slide_alone(cohort: Chain, step: str, slide_id: str):
    cohort.results.shard(step, slide_id).unlink()
    _, rows = exported(cohort, "hipt")
    assert {name: row["status"] for name, row in rows.items()} == {
        **{"0012": "ok", "b": "ok"},
        slide_id: "failed",
    }
    reason = rows[slide_id]["reason"]
    assert f"{step}/{slide_id}" in reason
    assert "is missing or damaged" in reason
    assert reason.endswith(
        f"; to try it again: snakemake --forcerun {cohort.results.export('hipt')}.parquet"
    )


def test_stop_ends_the_export_at_the_first_slide(cohort: Chain):
    cohort.results.shard("tile", "b").unlink()
    cohort.values["slides"]["on_slide_error"] = "stop"
    with pytest.raises(HiptError, match=r"^slide b: failed: .*on_slide_error is 'stop'"):
        exported(cohort, "hipt")


def test_a_slide_that_cannot_be_exported_costs_itself_alone(
    cohort: Chain, monkeypatch: pytest.MonkeyPatch
):
    shard = cohort.results.shard("embed_patches", "b")
    content = shard.read_bytes()
    shard.write_bytes(content[: len(content) // 2])
    tree, rows = exported(cohort, "trident")
    assert {name: row["status"] for name, row in rows.items()} == {
        "0012": "ok",
        "b": "failed",
        "empty": "ok",
    }
    assert "b.arrow: is missing or damaged" in rows["b"]["reason"]
    assert (rows["b"]["files"], rows["b"]["fingerprint"]) == ([], "")
    assert (tree / JOB / "features_hipt" / "0012.h5").exists()
    shard.write_bytes(content)
    bag = formats.tissue_bag

    def broken(slide: Any, scale: Any) -> Any:
        if slide.slide_id == "b":
            raise ZeroDivisionError("nobody foresaw this")
        return bag(slide, scale)

    monkeypatch.setattr(formats, "tissue_bag", broken)
    _, rows = exported(cohort, "trident")
    trace = cohort.results.root / "logs" / "export" / "trident" / "failed" / "b.txt"
    assert rows["b"]["reason"].startswith(
        f"ZeroDivisionError: nobody foresaw this (traceback: {trace}; to try it again: snakemake "
    )
    assert "ZeroDivisionError" in trace.read_text()
    monkeypatch.undo()
    _, rows = exported(cohort, "trident")
    assert rows["b"]["status"] == "ok"
    assert not trace.exists()


SIDES = {
    0.1: {0.2271: 256, 0.263: 256, 0.3611: 177, 0.5044: 128},
    0.01: {0.2271: 282, 0.263: 243, 0.3611: 177, 0.5044: 128},
}
"""Side of a patch, level-0 pixels, on slides of real scanners' um/px, by how exact it has to be."""


@pytest.mark.parametrize("tolerance", SIDES)
def test_trident_computes_the_side_that_was_read(chain: Chain, tolerance: float):
    sides = SIDES[tolerance]
    for mpp in sides:
        write_slide(chain.folder / f"{mpp}.svs", tissue_picture(1024, 768), mpp=mpp, factors=(1,))
    chain.sheet("slide_id,path\n" + "".join(f"s{mpp},{mpp}.svs\n" for mpp in sides))
    chain.values["tile"] = {"region_px": 256, "patch_px": 128}
    chain.values["slides"]["mpp_tolerance"] = tolerance
    chain.upto("embed_regions")
    chain.table()
    tree, _ = exported(chain, "trident")
    for mpp, side in sides.items():
        assert read_table(chain.results.shard("tile", f"s{mpp}"))["read_px"][0].as_py() == side
        for file in ("patches/s{}_patches.h5", "features_hipt/s{}.h5"):
            with h5py.File(tree / "20x_128px_0px_overlap" / file.format(mpp)) as f:
                attrs = dict(f["coords"].attrs)
            assert attrs["patch_size_level0"] == side
            patch, level0, target = (
                attrs[name]
                for name in ("patch_size", "level0_magnification", "target_magnification")
            )
            assert int(patch * level0 / target) == side


def test_ids_of_digits_alone_are_a_warning_and_a_note(
    cohort: Chain, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level("WARNING"):
        _, rows = exported(cohort, "clam")
    assert "clam: dataset.csv: ids of 1 slides (0012) are digits alone" in caplog.text
    assert rows["0012"]["note"] == (
        "in columns of such ids, by pandas and so by CLAM, its slide_id '0012' is read as 12"
    )
    assert rows["b"]["note"] == ""
    caplog.clear()
    assert {row["note"] for row in exported(cohort, "hipt")[1].values()} == {""}
    assert "digits" not in caplog.text
