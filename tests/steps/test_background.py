"""embed.patches.background on real files: what is read, embedded, filled, marked and exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pytest
import torch
from PIL import Image

from hipt.config.config import Config
from hipt.config.step_settings import settings
from hipt.embedding.background import SAMPLES
from hipt.embedding.embedder import PatchEmbedder
from hipt.slides.slide import open_slide
from hipt.slides.tiled_tiff import TiledTiff
from hipt.steps import export
from hipt.store.schemas import EXPORT, MANIFEST
from hipt.store.shard import read_provenance
from hipt.store.tables import PatchEmbeddings, matrix, read_table
from hipt.tasks.labels.probe_items import labelled_patches
from tests.scnmaker import write_scn
from tests.slidemaker import GLASS, TISSUE, damage_tile, tissue_picture, write_slide
from tests.steps.conftest import Chain

NETWORKS: dict[str, dict[str, Any]] = {
    "ours": {"shape": {"depth": 1, "dim": 16, "heads": 2}, "random": 1},
    "convolutions": {"encoder": "test_resnet", "random": 1, "input_px": 64},
}


def spots(side_px: int = 2048) -> np.ndarray:
    """Speckled glass with a piece of tissue in two opposite corners."""
    noise = np.random.default_rng(1).integers(-3, 4, (side_px, side_px, 1))
    picture = (np.array(GLASS) - 3 + noise).astype(np.uint8)
    speckles = np.random.default_rng(2).integers(-40, 40, (side_px // 8, side_px // 8, 1))
    tissue = np.clip(np.array(TISSUE) + speckles, 0, 255).astype(np.uint8)
    tissue = cv2.resize(tissue, (side_px, side_px))
    y, x = np.mgrid[:side_px, :side_px]
    for centre in (300, side_px - 300):
        inside = (x - centre) ** 2 + (y - centre) ** 2 <= 180**2
        picture[inside] = tissue[inside]
    return picture


class Shard:
    """A slide's patches as arrays."""

    def __init__(self, chain: Chain) -> None:
        self.path = chain.results.shard("embed_patches", "a")
        shard = PatchEmbeddings(self.path)
        batches = [shard.region(i) for i in range(len(shard))]
        self.vectors = np.concatenate([matrix(batch["embedding"]) for batch in batches]).copy()
        self.readable, self.computed, self.tissue, self.x, self.y = (
            np.concatenate([np.asarray(batch[name]) for batch in batches])
            for name in ("readable", "computed", "tissue", "x", "y")
        )
        manifest = read_table(chain.results.shard("tile", "a"), MANIFEST)
        self.outside = manifest["inside"].to_numpy() == 0
        self.empty = (self.tissue == 0) & ~self.outside


@pytest.fixture
def slide(chain: Chain) -> Chain:
    """One slide, one region of 2048 px, most of it glass."""
    write_slide(chain.folder / "a.svs", spots())
    chain.sheet("slide_id,path\na,a.svs\n")
    chain.values["tile"] |= {"region_px": 2048, "anchor": "slide"}
    return chain


def embedded(chain: Chain, background: str, *more: str) -> tuple[dict[str, Any], Shard]:
    """The slide's row of the index and its patches; the steps before it are run where needed."""
    chain.values["embed"]["patches"]["background"] = background
    if not chain.results.index("tile", "b0000").exists():
        chain.upto("tile")
    return chain.call("embed_patches", *more)["a"], Shard(chain)


@pytest.mark.parametrize("network", NETWORKS)
def test_tissue_has_the_same_vectors_either_way(slide: Chain, network: str):
    """Bit for bit; of the others a few have their own, and the rest have the mean of those."""
    slide.values["embed"]["patches"] = dict(NETWORKS[network])
    all_row, full = embedded(slide, "embed")
    row, some = embedded(slide, "sample")
    assert full.computed.all()
    assert all_row["computed_patches"] == all_row["patches"] == len(full.tissue)
    np.testing.assert_array_equal(some.vectors[some.computed], full.vectors[some.computed])
    assert some.computed[some.tissue > 0].all()
    sampled = some.computed & some.empty
    assert sampled.sum() == SAMPLES
    mean = some.vectors[sampled].mean(0, dtype=np.float32).astype(np.float16)
    assert (some.vectors[~some.computed] == mean).all()
    assert (~some.computed).sum() > 0.8 * len(some.computed)
    assert row["computed_patches"] == some.computed.sum()
    assert some.readable.all()
    assert row["fingerprint"] != all_row["fingerprint"]
    assert read_provenance(some.path).settings["background"] == "sample"


def test_the_log_says_how_alike_background_is(slide: Chain, caplog: pytest.LogCaptureFixture):
    with caplog.at_level("INFO"):
        _, shard = embedded(slide, "sample")
    sampled, tissue = (shard.computed & shard.empty, shard.tissue > 0)
    apart = [np.sqrt(shard.vectors[one].astype(float).var(0).sum()) for one in (sampled, tissue)]
    text = f"a: 16 sampled patches without tissue lie {apart[0] / apart[1]:.2f} times as far apart"
    assert any(line.startswith(text) for line in caplog.messages)


def test_padding_is_embedded_once(chain: Chain, monkeypatch: pytest.MonkeyPatch):
    """Whatever the key says, with the vector that each of them has by itself."""
    write_slide(chain.folder / "a.svs", tissue_picture(700, 600))
    chain.sheet("slide_id,path\na,a.svs\n")
    chain.values["tile"] |= {"region_px": 1024}
    given: list[int] = []
    vectors, embedders = PatchEmbedder.vectors, []

    def counted(self: PatchEmbedder, pixels: torch.Tensor) -> torch.Tensor:
        given.append(len(pixels))
        embedders.append(self)
        return vectors(self, pixels)

    monkeypatch.setattr(PatchEmbedder, "vectors", counted)
    row, shard = embedded(chain, "embed")
    inside = int((~shard.outside).sum())
    assert 0 < inside < row["patches"] / 2
    assert sum(given) == -(-(inside + 1) // 16) * 16  # whole minibatches of 16
    white = torch.full((16, 64, 64, 3), 255, dtype=torch.uint8)
    alone = vectors(embedders[0], white)[:1].to(torch.float16).numpy()
    assert (shard.vectors[shard.outside] == alone).all()
    assert shard.computed.all()


def test_padding_is_white_where_the_scan_ends_before_the_slide_does(chain: Chain):
    write_scn(chain.folder / "a.scn", tissue_picture(700, 600))
    chain.sheet("slide_id,path\na,a.scn\n")
    chain.values["tile"] |= {"region_px": 1024}
    _, shard = embedded(chain, "embed")
    with open_slide(chain.folder / "a.scn") as slide:
        width, height = slide.level_px(0)
        there = shard.outside & (shard.x < width - 64) & (shard.y < height - 64)
        assert there.sum() > 50
        for x, y in zip(shard.x[there].tolist(), shard.y[there].tolist(), strict=True):
            assert (slide.read(0, x, y, 64, 64) == 255).all()


def test_tiles_without_tissue_are_not_decoded(slide: Chain, monkeypatch: pytest.MonkeyPatch):
    decoded: list[int] = []
    decode = TiledTiff.decode

    def watched(self, level, index, out):
        if level.across == 8:  # the finest
            decoded.append(index)
        return decode(self, level, index, out)

    monkeypatch.setattr(TiledTiff, "decode", watched)
    read = {}
    for background in ("embed", "sample"):
        decoded.clear()
        row, shard = embedded(slide, background, "--reader", "direct")
        assert row["reader"] == "direct"
        read[background] = set(decoded)
    assert len(read["embed"]) == 64
    tile = shard.y // 256 * 8 + shard.x // 256
    samples = set(tile[shard.computed & shard.empty].tolist())
    pieces = {row * 8 + column for row in range(3) for column in range(3)}
    pieces |= {63 - one for one in pieces}
    judged = read["sample"] - samples - pieces  # by which the reader compares itself to OpenSlide
    assert len(judged) <= 6
    assert len(read["sample"]) <= len(samples) + len(pieces) + 6 < 50


def test_equal_bytes_whatever_the_threads_and_the_reader(slide: Chain):
    found = []
    for threads, reader in (("1", "auto"), ("3", "auto"), ("2", "auto")):
        _, shard = embedded(slide, "sample", "--threads", threads, "--reader", reader)
        found.append(shard.path.read_bytes())
        shard.path.unlink()
    assert found[0] == found[1] == found[2]
    _, other = embedded(slide, "sample", "--reader", "openslide")
    kept = embedded(slide, "sample")[1]
    np.testing.assert_array_equal(other.vectors, kept.vectors)


def test_what_is_made_is_kept_under_its_key_and_made_again_under_another(slide: Chain):
    row, shard = embedded(slide, "sample")
    written = shard.path.stat().st_mtime_ns
    assert embedded(slide, "sample")[0] == row
    assert shard.path.stat().st_mtime_ns == written
    other, _ = embedded(slide, "embed")
    assert other["fingerprint"] != row["fingerprint"]
    assert shard.path.stat().st_mtime_ns != written


@pytest.mark.parametrize("side", [192, 256, 320])
def test_where_few_patches_hold_no_tissue_all_are_computed(chain: Chain, side: int):
    """Glass of up to 25, 16 and 9 patches: more than are sampled, as many, and fewer."""
    picture = np.full((512, 512, 3), TISSUE, np.uint8)
    picture[: 512 - side, : 512 - side] = GLASS
    write_slide(chain.folder / "a.svs", picture)
    chain.sheet("slide_id,path\na,a.svs\n")
    chain.values["tile"] |= {"region_px": 512, "anchor": "slide"}
    _, full = embedded(chain, "embed")
    row, some = embedded(chain, "sample")
    empty = int(some.empty.sum())
    assert row["computed_patches"] == row["patches"] - max(0, empty - SAMPLES)
    np.testing.assert_array_equal(some.vectors[some.computed], full.vectors[some.computed])


def test_a_slide_of_tissue_alone_and_one_of_a_single_patch(chain: Chain):
    for name, px in (("all", 512), ("one", 60)):
        picture = np.full((512, 512, 3), GLASS, np.uint8)
        picture[:px, :px] = TISSUE
        write_slide(chain.folder / f"{name}.svs", picture)
    chain.sheet("slide_id,path\nall,all.svs\none,one.svs\n")
    chain.values["tile"] |= {"region_px": 512, "anchor": "slide"}
    chain.values["segment"] = {"min_tissue_mm2": 0.0001}
    chain.values["embed"]["patches"]["background"] = "sample"
    rows = chain.upto("embed_regions")
    assert {row["status"] for row in rows.values()} == {"ok"}
    counts = {name: row["computed_patches"] for name, row in chain.table().items()}
    assert counts["all"] == 64
    assert 1 + SAMPLES <= counts["one"] <= 4 + SAMPLES  # the outline may touch its neighbours


def test_damage_where_nobody_looks_ends_nothing(slide: Chain):
    """A tile without tissue that cannot be decoded: no patch of it is said to be unreadable."""
    _, before = embedded(slide, "sample")
    tile = before.y // 256 * 8 + before.x // 256
    looked_at = set(tile[before.computed].tolist())
    spare = next(one for one in range(64) if one not in looked_at)
    damage_tile(slide.folder / "a.svs", spare % 8, spare // 8)
    slide.upto("tile")
    row, after = embedded(slide, "sample")
    assert (row["status"], row["unreadable_patches"]) == ("ok", 0)
    np.testing.assert_array_equal(after.vectors, before.vectors)
    row, full = embedded(slide, "embed")
    assert (row["status"], row["unreadable_patches"]) == ("ok", 16)
    assert set(tile[~full.readable].tolist()) == {spare}


def test_a_sample_that_cannot_be_read_is_marked_and_left_out_of_the_mean(slide: Chain):
    _, before = embedded(slide, "sample")
    sampled = np.flatnonzero(before.computed & before.empty)
    lost = sampled[0]
    damage_tile(slide.folder / "a.svs", int(before.x[lost] // 256), int(before.y[lost] // 256))
    slide.upto("tile")
    row, after = embedded(slide, "sample")
    assert row["status"] == "ok"
    assert not after.readable[lost]
    kept = sampled[after.readable[sampled]]
    mean = after.vectors[kept].mean(0, dtype=np.float32).astype(np.float16)
    assert (after.vectors[~after.computed] == mean).all()


def exported(chain: Chain, name: str) -> tuple[Path, dict[str, Any]]:
    """A format's tree, and the slide's line of its list."""
    cfg = settings("export", Config.model_validate(chain.values)).model_dump_json()
    out = Path(f"{chain.results.export(name)}.parquet")
    slides = str(chain.results.slides)
    export.main(["--slides", slides, "--format", name, "--cfg", cfg, "--out", str(out)])
    return chain.results.export(name), read_table(out, EXPORT).to_pylist()[0]


@pytest.mark.parametrize("least", [0.0, 0.1])
def test_no_filled_vector_is_exported_as_a_patch(slide: Chain, least: float):
    slide.values["export"] = {"min_patch_tissue": least}
    _, shard = embedded(slide, "sample")
    slide.call("embed_regions")
    slide.table()
    filled = int((~shard.computed).sum())
    own = shard.computed & (shard.tissue >= np.float32(least))
    tree, line = exported(slide, "trident")
    (file,) = tree.rglob("features_*/a.h5")
    with h5py.File(file) as f:
        np.testing.assert_array_equal(f["features"][:], shard.vectors[own])
        places = np.stack([shard.x, shard.y], 1)[own]
        np.testing.assert_array_equal(f["coords"][:], places)
    text = f"{filled:,} of {len(own):,} patches have no vector of their own: left out"
    assert line["note"] == ("" if least else f"{text} (background: sample)")
    tree, line = exported(slide, "clam")
    bag = torch.load(tree / "pt_files" / "a.pt", weights_only=True).numpy()
    np.testing.assert_array_equal(bag, shard.vectors[own])
    tree, line = exported(slide, "hipt")
    grids = torch.load(tree / "patches" / "a.pt", weights_only=True).numpy()
    np.testing.assert_array_equal(grids.reshape(len(own), -1), shard.vectors)
    assert line["note"].startswith(f"{filled:,} of {len(own):,} patches have the mean of others")


def test_maps_say_whose_vectors_were_computed(slide: Chain):
    _, shard = embedded(slide, "sample")
    for step in ("embed_regions", "attend"):
        slide.call(step)
    maps = read_table(slide.results.shard("attend", "a"))
    np.testing.assert_array_equal(np.asarray(maps["computed"]), shard.computed)


def test_the_probe_draws_no_filled_vector(slide: Chain):
    """Of a map on which all is one class, glass too."""
    _, shard = embedded(slide, "sample")
    slide.call("embed_regions")
    row = slide.table()["a"]
    path = slide.folder / "map.png"
    Image.fromarray(np.ones((64, 64), np.uint8)).save(path)
    items = labelled_patches([row], {"a": path}, {1: "all"}, slide.results)
    assert items.place.tolist() == np.flatnonzero(shard.computed).tolist()


def test_regions_without_stage_2_do_not_change(slide: Chain):
    """Patches without tissue count nothing in a mean by tissue."""
    slide.values["embed"]["regions"] = {"pool": "mean"}
    found = []
    for background in ("embed", "sample"):
        embedded(slide, background)
        slide.call("embed_regions")
        found.append(matrix(read_table(slide.results.shard("embed_regions", "a"))["embedding"]))
    np.testing.assert_array_equal(*found)
