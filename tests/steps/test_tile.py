"""The tile step on real files."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from hipt.slides.slide import open_slide
from hipt.store.images import read_rgb
from hipt.store.schemas import MANIFEST
from hipt.store.shard import read_provenance
from hipt.store.tables import PatchEmbeddings, read_table
from tests.slidemaker import tissue_picture, write_levels, write_slide
from tests.steps.conftest import Chain


def test_manifests_of_one_tissue_at_several_resolutions_cover_the_same_field(chain: Chain):
    for name, mpp, size in (("x20", 0.5, (1024, 768)), ("x40", 0.25, (2048, 1536))):
        write_slide(chain.folder / f"{name}.svs", tissue_picture(*size), mpp=mpp, factors=(1, 4))
    chain.sheet("slide_id,path\nx20,x20.svs\nx40,x40.svs\n")
    rows = chain.upto("tile")
    assert (rows["x20"]["read_px"], rows["x40"]["read_px"]) == (64, 128)
    assert rows["x20"]["regions"] == rows["x40"]["regions"]
    a, b = (read_table(chain.results.shard("tile", n), MANIFEST) for n in ("x20", "x40"))
    np.testing.assert_allclose(a["x"].to_numpy() * 2, b["x"].to_numpy(), atol=64)


def test_manifest_is_region_major_and_patches_fill_their_region(chain: Chain):
    write_slide(chain.folder / "a.svs", tissue_picture(1024, 768))
    chain.sheet("slide_id,path\na,a.svs\n")
    row = chain.upto("tile")["a"]
    table = read_table(chain.results.shard("tile", "a"), MANIFEST)
    columns = {name: table[name].to_numpy() for name in table.column_names[1:]}
    assert len(table) == row["patches"] == 16 * row["regions"]
    np.testing.assert_array_equal(columns["region"], np.repeat(np.arange(row["regions"]), 16))
    patch_row, patch_column = np.divmod(columns["patch"], 4)
    np.testing.assert_array_equal(columns["x"], columns["region_x"] + 64 * patch_column)
    np.testing.assert_array_equal(columns["y"], columns["region_y"] + 64 * patch_row)
    assert row["tissue_patches"] == (columns["tissue"] >= np.float32(0.1)).sum()
    assert read_provenance(chain.results.shard("tile", "a")).fingerprint == row["fingerprint"]


def test_a_biopsy_smaller_than_a_region_is_one_region(chain: Chain):
    write_slide(chain.folder / "a.svs", tissue_picture(400, 300))
    chain.sheet("slide_id,path\na,a.svs\n")
    chain.values["tile"] = {"region_px": 4096, "patch_px": 256}
    chain.values["segment"] = {"min_tissue_mm2": 0.001}
    row = chain.upto("tile")["a"]
    assert (row["status"], row["regions"], row["patches"]) == ("ok", 1, 256)
    table = read_table(chain.results.shard("tile", "a"), MANIFEST)
    assert 0 < (table["inside"].to_numpy() > 0).sum() < 256


def test_too_coarse_is_a_row(chain: Chain):
    write_slide(chain.folder / "a.svs", tissue_picture(1024, 768), mpp=2.0)
    chain.sheet("slide_id,path\na,a.svs\n")
    row = chain.upto("tile")["a"]
    assert row["status"] == "too_coarse"
    assert "2 um/px" in row["reason"]
    assert "from its header: if it is wrong, give the true one in the sheet" in row["reason"]


def test_the_overview_shows_the_regions(chain: Chain):
    write_slide(chain.folder / "a.svs", tissue_picture(1024, 768))
    chain.sheet("slide_id,path\na,a.svs\n")
    chain.upto("tile")
    before, after = (read_rgb(chain.results.overview(s, "a")) for s in ("segment", "tile"))
    assert before.shape == after.shape
    assert (np.abs(before.astype(int) - after).max(2) > 60).mean() > 0.003


@pytest.mark.parametrize("touched", ["tile", "segment"])
def test_what_is_damaged_is_made_again(chain: Chain, touched: str):
    write_slide(chain.folder / "a.svs", tissue_picture(1024, 768))
    chain.sheet("slide_id,path\na,a.svs\n")
    chain.upto("tile")
    shard = chain.results.shard(touched, "a")
    content = shard.read_bytes()
    shard.write_bytes(content[: len(content) // 2])
    chain.upto("tile")
    assert shard.read_bytes() == content


@pytest.mark.parametrize("size", [(2050, 1538), (2051, 1537)])
@pytest.mark.parametrize("kind", ["aperio", "generic"])
def test_wherever_the_tissue_begins_its_patches_are_read_directly(chain: Chain, size, kind):
    """Masks lie on levels of other factors: 16.02 here. Of (2051, 1537), that of 2 is 2.001."""
    write_slide(chain.folder / "a.tif", tissue_picture(*size), 0.25, (1, 2, 16), kind)
    chain.sheet("slide_id,path\na,a.tif\n")
    row = chain.upto("tile")["a"]
    assert chain.call("embed_patches", "--reader", "auto")["a"]["reader"] == "direct"
    assert (row["read_level"], row["downsample"]) == ((1, 2) if size == (2050, 1538) else (0, 1))
    table = read_table(chain.results.shard("tile", "a"), MANIFEST)
    for name in ("region_x", "region_y", "x", "y", "read_px"):
        assert not (table[name].to_numpy() % row["downsample"]).any()


def test_openslide_interpolates_no_patch(chain: Chain):
    """What it reads is the level to the last bit, where nothing is lost in coding."""
    rng = np.random.default_rng(0)
    noise = rng.integers(-30, 30, (1538, 2050, 1))
    picture = np.clip(tissue_picture(2050, 1538) + noise, 0, 255).astype(np.uint8)
    half = cv2.resize(picture, (1025, 769), interpolation=cv2.INTER_AREA)
    small = cv2.resize(picture, (128, 96), interpolation=cv2.INTER_AREA)
    write_levels(chain.folder / "a.tif", [picture, half, small], mpp=0.25)
    chain.sheet("slide_id,path\na,a.tif\n")
    row = chain.upto("tile")["a"]
    table = read_table(chain.results.shard("tile", "a"), MANIFEST)
    x, y, inside = (table[name].to_numpy() for name in ("x", "y", "inside"))
    assert (row["status"], row["read_level"]) == ("ok", 1)
    with open_slide(chain.folder / "a.tif") as slide:
        for left, top in zip(x[inside == 1].tolist(), y[inside == 1].tolist(), strict=True):
            expected = half[top // 2 : top // 2 + 64, left // 2 : left // 2 + 64]
            np.testing.assert_array_equal(slide.read(1, left, top, 64, 64), expected)


@pytest.mark.parametrize("reader", ["auto", "openslide"])
def test_regions_that_begin_before_the_slide_are_read_embedded_and_mapped(
    chain: Chain, reader: str
):
    """`best` moves the grid a patch to the left: the same patches, in other regions."""
    write_slide(chain.folder / "a.svs", tissue_picture(960, 256))
    mask = np.zeros((16, 60), np.uint8)  # three pieces; from the first one's corner, four regions
    mask[:, :4] = mask[:, 12:28] = mask[:, 44:60] = 255
    cv2.imwrite(str(chain.folder / "mask.png"), mask)
    chain.sheet("slide_id,path,mask\na,a.svs,mask.png\n")
    vectors = {}
    for anchor, regions in (("tissue", 4), ("best", 3)):
        chain.values["tile"] |= {"anchor": anchor}
        assert chain.upto("tile")["a"]["regions"] == regions
        manifest = read_table(chain.results.shard("tile", "a"), MANIFEST)
        chain.call("embed_patches", "--reader", reader)
        found = PatchEmbeddings(chain.results.shard("embed_patches", "a"))
        rows = np.concatenate([found.grid(region) for region in range(regions)])
        places = zip(manifest["x"].to_pylist(), manifest["y"].to_pylist(), strict=True)
        vectors[anchor] = dict(zip(places, rows, strict=True))
    assert min(vectors["best"])[0] == -64
    both = vectors["tissue"].keys() & vectors["best"].keys()
    assert len(both) == 4 * 11
    for place in both:
        np.testing.assert_array_equal(vectors["tissue"][place], vectors["best"][place])
    assert chain.call("embed_regions")["a"]["status"] == "ok"
    assert chain.call("attend")["a"]["status"] == "ok"
