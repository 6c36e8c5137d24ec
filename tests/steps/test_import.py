"""Imported features through tile, embed_patches and embed_regions: there and back again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from hipt.config.config import Config
from hipt.config.step_settings import settings
from hipt.errors import HiptError
from hipt.steps import check, export, report
from hipt.store.images import read_rgb
from hipt.store.tables import PatchEmbeddings, matrix, read_table
from tests.slide2vecmaker import write_slide2vec
from tests.slidemaker import tissue_picture, write_slide
from tests.steps.conftest import Chain

SLIDES = ("0012", "b")
SIZES = {"0012": ((1024, 768), 0.5), "b": ((1536, 1152), 0.25)}
SOURCES = {"trident": "20x_64px_0px_overlap/features_hipt", "clam": ""}
Vectors = dict[tuple[int, int], tuple[float, ...]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Two slides, embedded and exported as TRIDENT and CLAM."""
    chain = Chain(tmp_path_factory.mktemp("made"))
    write_slide(chain.folder / "0012.svs", tissue_picture(1024, 768))
    write_slide(chain.folder / "b.svs", tissue_picture(1536, 1152), mpp=0.25)
    chain.sheet("slide_id,path\n0012,0012.svs\nb,b.svs\n")
    chain.upto("embed_regions")
    chain.table()
    cfg = settings("export", Config.model_validate(chain.values)).model_dump_json()
    for name in SOURCES:
        out = f"{chain.results.export(name)}.parquet"
        slides = ["--slides", str(chain.results.slides), "--format", name]
        export.main([*slides, "--cfg", cfg, "--out", out])
    return chain


def importing(made: Chain, folder: Path, name: str = "trident") -> Chain:
    """The same slides in another folder, to be run on a copy of what was exported."""
    folder.mkdir(exist_ok=True)
    chain = Chain(folder)
    for slide in SLIDES:
        (folder / f"{slide}.svs").symlink_to(made.folder / f"{slide}.svs")
    chain.sheet("slide_id,path\n0012,0012.svs\nb,b.svs\n")
    shutil.copytree(made.results.export(name), folder / "given")
    source = str(folder / "given" / SOURCES[name])
    chain.values["embed"]["patches"] = {"features": source}
    return chain


def by_slide2vec(chain: Chain) -> Chain:
    """What is imported, in slide2vec's files."""
    for slide_id in SLIDES:
        with h5py.File(given_file(chain, slide_id)) as file:
            features, coords = file["features"][:], file["coords"][:]
            side = int(file["coords"].attrs["patch_size_level0"])
        order = np.lexsort(coords.T[::-1])  # as hs2p sorts them
        kind = "npz" if slide_id == "b" else "pt"
        written = (features[order], coords[order], side)
        size_px, mpp = SIZES[slide_id]
        place = {"kind": kind, "size_px": size_px, "mpp": mpp}
        write_slide2vec(chain.folder / "s2v", slide_id, *written, **place)
    chain.values["embed"]["patches"] = {"features": str(chain.folder / "s2v")}
    return chain


def embedded(chain: Chain, slide_id: str) -> tuple[Vectors, list[dict[str, Any]]]:
    """The vectors of the patches that are there by their place, and all rows."""
    shard = PatchEmbeddings(chain.results.shard("embed_patches", slide_id))
    rows = [row for i in range(len(shard)) for row in shard.region(i).to_pylist()]
    there = {(r["x"], r["y"]): tuple(r["embedding"]) for r in rows if r["readable"]}
    return there, rows


def exported(made: Chain, slide_id: str) -> Vectors:
    """What was exported of a slide: its patches with enough tissue."""
    _, rows = embedded(made, slide_id)
    kept = [r for r in rows if r["tissue"] >= np.float32(0.1)]
    return {(r["x"], r["y"]): tuple(r["embedding"]) for r in kept}


def given_file(chain: Chain, slide_id: str) -> Path:
    return Path(chain.values["embed"]["patches"]["features"]) / f"{slide_id}.h5"


@pytest.mark.parametrize("name", [*SOURCES, "slide2vec"])
def test_what_was_exported_comes_back(made: Chain, tmp_path: Path, name: str):
    if name == "slide2vec":
        chain = by_slide2vec(importing(made, tmp_path))
    else:
        chain = importing(made, tmp_path, name)
    tiles = chain.upto("tile")
    patches, regions = chain.call("embed_patches"), chain.call("embed_regions")
    for slide_id in SLIDES:
        back, rows = embedded(chain, slide_id)
        sent = exported(made, slide_id)
        outside = sent.keys() - back.keys()
        assert back == {place: vector for place, vector in sent.items() if place not in outside}
        assert bool(outside) == bool(tiles[slide_id]["reason"])
        absent = [row for row in rows if not row["readable"]]
        assert all(row["tissue"] == 0 and not any(row["embedding"]) for row in absent)
        assert all(row["tissue"] == 1 for row in rows if row["readable"])
        assert tiles[slide_id]["tissue_patches"] == len(back)
        assert (patches[slide_id]["dim"], patches[slide_id]["unreadable_patches"]) == (16, 0)
        table = read_table(chain.results.shard("embed_regions", slide_id))
        assert len(table) == regions[slide_id]["regions"] == len(rows) // 16
        assert np.isfinite(matrix(table["embedding"])).all()
    assert tiles["b"]["read_px"] == 128


def test_a_changed_file_is_made_again_alone(made: Chain, tmp_path: Path):
    chain = importing(made, tmp_path)
    before = chain.upto("embed_regions")
    times = {s: chain.results.shard("embed_patches", s).stat().st_mtime_ns for s in SLIDES}
    with h5py.File(given_file(chain, "b"), "a") as file:
        file["features"][:] = file["features"][:] + 1
    after = chain.upto("embed_regions")
    assert {s: before[s]["fingerprint"] != after[s]["fingerprint"] for s in SLIDES} == {
        "0012": False,
        "b": True,
    }
    now = {s: chain.results.shard("embed_patches", s).stat().st_mtime_ns for s in SLIDES}
    assert {s: now[s] != times[s] for s in SLIDES} == {"0012": False, "b": True}


def test_a_changed_file_of_slide2vec_is_made_again_alone(made: Chain, tmp_path: Path):
    chain = by_slide2vec(importing(made, tmp_path))
    before = chain.upto("embed_regions")
    path = tmp_path / "s2v" / "tile_embeddings" / "0012.pt"
    torch.save(torch.load(path, weights_only=True) + 1, path)
    after = chain.upto("embed_regions")
    changed = {s for s in SLIDES if before[s]["fingerprint"] != after[s]["fingerprint"]}
    assert changed == {"0012"}


def test_check_reads_what_slide2vec_states(
    made: Chain, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    chain = by_slide2vec(importing(made, tmp_path))
    write_slide2vec(tmp_path / "s2v", "b", np.zeros((0, 16), np.float32), np.zeros((0, 2)), 128)
    write_slide2vec(tmp_path / "s2v", "other", np.ones((1, 16), np.float32), np.zeros((1, 2)), 128)
    check.main(["--cfg", Config.model_validate(chain.values).model_dump_json(), "--threads", "1"])
    output = capsys.readouterr().out
    assert "embed.patches: imported:uni2, no model" in output
    assert "1 of 2 slides have a file that fits" in output
    assert "1 no_tissue\n            b: its imported features hold no patch" in output
    assert "files of no slide of the sheet: 1 (other)" in output


def test_what_does_not_fit_is_noted_in_the_slide_table(made: Chain, tmp_path: Path):
    chain = importing(made, tmp_path)
    with h5py.File(given_file(chain, "b"), "a") as file:
        coords, attributes = file["coords"][:], dict(file["coords"].attrs)
        coords[:3] += 5
        coords[3] = coords[4]
        del file["coords"]
        file["coords"] = coords
        file["coords"].attrs.update(attributes)
    chain.upto("embed_regions")
    row = chain.table()["b"]
    assert row["status"] == "ok"
    assert "1 given twice, 3 beside the grid of most" in row["note"]


def test_other_ends_of_slides(made: Chain, tmp_path: Path):
    chain = importing(made, tmp_path)
    given_file(chain, "0012").unlink()
    rows = chain.upto("embed_regions")
    assert rows["0012"]["status"] == "missing"
    assert rows["0012"]["reason"].endswith("0012.h5: no such file")
    assert rows["b"]["status"] == "ok"
    with h5py.File(given_file(chain, "b"), "a") as file:
        file["coords"].attrs["patch_size_level0"] = 256
    row = chain.upto("tile")["b"]
    assert row["status"] == "unreadable"
    assert "a patch has a side of 256 px, 64 um; wanted are 32 um" in row["reason"]
    with h5py.File(given_file(chain, "b"), "w") as file:
        file["coords"], file["features"] = np.zeros((0, 2), int), np.zeros((0, 16))
        file["coords"].attrs["patch_size_level0"] = 128
    assert chain.upto("tile")["b"]["status"] == "no_tissue"


def test_features_of_another_slide_are_refused(made: Chain, tmp_path: Path):
    chain = importing(made, tmp_path)
    with h5py.File(given_file(chain, "b"), "a") as file:
        file["coords"][:] += 20_000
    rows = chain.upto("tile")
    assert {s: rows[s]["status"] for s in SLIDES} == {"0012": "ok", "b": "unreadable"}
    assert "its imported features lie outside of the slide: their" in rows["b"]["reason"]
    assert rows["b"]["reason"].endswith("the slide has 1,536 x 1,152 px")


def test_a_file_that_breaks_between_steps_costs_its_slide(made: Chain, tmp_path: Path):
    chain = importing(made, tmp_path)
    chain.upto("tile")
    given_file(chain, "b").write_bytes(b"broken")
    rows = chain.call("embed_patches")
    assert {s: rows[s]["status"] for s in SLIDES} == {"0012": "ok", "b": "unreadable"}


def test_features_and_weights_contradict_each_other():
    with pytest.raises(ValueError, match="leave out weights, random"):
        Config.model_validate({"embed": {"patches": {"features": "f", "random": 1}}})


def test_check_loads_the_second_stage_for_the_width_of_the_files(
    made: Chain, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    chain = importing(made, tmp_path)
    config = Config.model_validate(chain.values)
    check.main(["--cfg", config.model_dump_json(), "--threads", "1"])
    output = capsys.readouterr().out
    assert "embed.patches: imported:hipt, no model" in output
    assert "embed.regions: random:2" in output
    assert "patches are imported" in output


def test_no_folder(tmp_path: Path):
    config = Config.model_validate({"embed": {"patches": {"features": str(tmp_path / "none")}}})
    with pytest.raises(HiptError, match=r"embed\.patches\.features: .*no such folder"):
        check.main(["--weights", "--cfg", config.model_dump_json()])


def test_the_report_says_that_vectors_were_imported(made: Chain, tmp_path: Path):
    chain = importing(made, tmp_path)
    chain.upto("embed_regions")
    chain.table()
    config = Config.model_validate(chain.values)
    cfg = settings("report", config).model_dump_json()
    page = chain.results.report
    report.main(["--slides", str(chain.results.slides), "--cfg", cfg, "--out", str(page)])
    assert "imported: hipt" in page.read_text()


def without_slides(chain: Chain, mpp: bool) -> Chain:
    """The same sheet, whose slides are not there."""
    for slide_id in SLIDES:
        (chain.folder / f"{slide_id}.svs").unlink()
    columns = "slide_id,path,mpp" if mpp else "slide_id,path"
    rows = [f"{s},{s}.svs" + (f",{SIZES[s][1]}" if mpp else "") for s in SLIDES]
    chain.sheet("\n".join([columns, *rows]) + "\n")
    return chain


@pytest.mark.parametrize("name", [*SOURCES, "slide2vec"])
def test_no_slide_is_needed(made: Chain, tmp_path: Path, name: str):
    """Vectors, places, maps and exports are those of a run with the slides."""
    there = importing(made, tmp_path / "there", "clam" if name == "clam" else "trident")
    alone = importing(made, tmp_path / "alone", "clam" if name == "clam" else "trident")
    if name == "slide2vec":
        there, alone = by_slide2vec(there), by_slide2vec(alone)
    alone = without_slides(alone, mpp=name == "clam")
    rows = {}
    for chain in (there, alone):
        chain.upto("attend")
        rows[chain] = chain.table()
        cfg = settings("export", Config.model_validate(chain.values)).model_dump_json()
        out = f"{chain.results.export('trident')}.parquet"
        slides = ["--slides", str(chain.results.slides), "--format", "trident"]
        export.main([*slides, "--cfg", cfg, "--out", out])
    for slide_id in SLIDES:
        row = rows[alone][slide_id]
        assert row["status"] == "ok"
        assert "its file is not there: size and resolution are those" in row["note"]
        for column in ("mpp", "width_px", "height_px", "read_mpp", "regions", "tissue_patches"):
            assert row[column] == rows[there][slide_id][column], column
        assert embedded(alone, slide_id) == embedded(there, slide_id)
        maps, others = (
            read_table(chain.results.shard("attend", slide_id)) for chain in (alone, there)
        )
        assert maps.to_pylist() == others.to_pylist()
        sent = [next(c.results.export("trident").rglob(f"features_*/{slide_id}.h5")) for c in rows]
        with h5py.File(sent[0]) as first, h5py.File(sent[1]) as second:
            np.testing.assert_array_equal(first["features"][:], second["features"][:])
            np.testing.assert_array_equal(first["coords"][:], second["coords"][:])
        overview = read_rgb(alone.results.overview("segment", slide_id))
        (width, height), _ = SIZES[slide_id]
        assert overview.shape[1] / overview.shape[0] == pytest.approx(width / height, rel=0.02)
        assert np.median(overview) == 255


def test_check_and_the_run_say_alike_what_files_do_not_say(
    made: Chain, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    chain = without_slides(importing(made, tmp_path), mpp=False)
    with h5py.File(given_file(chain, "b"), "a") as file:
        del file["coords"].attrs["level0_width"]
    check.main(["--cfg", Config.model_validate(chain.values).model_dump_json(), "--threads", "1"])
    output = capsys.readouterr().out
    assert "0012: its file is not there: size and resolution are those" in output
    rows = chain.upto("segment")
    assert {s: rows[s]["status"] for s in SLIDES} == {"0012": "ok", "b": "missing"}
    assert rows["b"]["reason"].endswith("; and its imported features do not state its size")
    assert f"b: {rows['b']['reason']}" in output


def test_a_slide_with_neither_file_names_both(made: Chain, tmp_path: Path):
    chain = without_slides(importing(made, tmp_path), mpp=False)
    given_file(chain, "b").unlink()
    row = chain.upto("segment")["b"]
    assert row["status"] == "missing"
    assert "b.svs: no such file; and its imported features: " in row["reason"]


def test_a_size_that_no_slide_has_is_refused(made: Chain, tmp_path: Path):
    chain = without_slides(importing(made, tmp_path), mpp=False)
    for slide_id, side in (("0012", 2**31), ("b", 2**30)):
        with h5py.File(given_file(chain, slide_id), "a") as file:
            file["coords"].attrs["level0_width"] = side
            file["coords"].attrs["level0_height"] = side
    rows = chain.upto("segment")
    assert {rows[s]["status"] for s in SLIDES} == {"unreadable"}
    assert "says of the slide's size" in rows["0012"]["reason"]
    assert "a thumbnail of which has" in rows["b"]["reason"]
