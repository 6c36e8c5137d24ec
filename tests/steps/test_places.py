"""Slides whose scan does not begin at their corner: everything lies where people drew it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import shapely
import tifffile
from PIL import Image
from shapely.geometry import mapping, shape

from hipt.config.config import Config, Extent
from hipt.config.step_settings import settings
from hipt.steps import export
from hipt.store.images import read_mask
from hipt.store.schemas import INDICES, MANIFEST
from hipt.store.tables import read_table, write_rows
from hipt.tasks.labels.probe_items import patch_counts
from tests.scnmaker import write_scn
from tests.slidemaker import GLASS, TISSUE, tissue_picture, write_slide
from tests.steps.conftest import Chain

SLIDE, CORNER = (2048, 1536), (600, 400)
DRAWN = (128, 128, 512, 640)
"""Left, top, right, bottom of the painted tissue, pixels of the scan: what QuPath shows."""
TRUE = (728, 528, 1112, 1040)
"""The same as OpenSlide counts."""
MASK_PX = 16.0
"""Level-0 pixels per pixel of the mask: outlines that were rasterised are true to half of it."""


def painted(corner: tuple[int, int] = CORNER) -> tuple[np.ndarray, tuple[int, int]]:
    """A scan with one square of tissue; and where its corner lies."""
    noise = np.random.default_rng(0).normal(0, 10, (768, 1024, 1))
    picture = np.full((768, 1024, 3), GLASS, np.uint8)
    left, top, right, bottom = DRAWN
    tissue = np.clip(np.array(TISSUE) + noise, 0, 255).astype(np.uint8)
    picture[top:bottom, left:right] = tissue[top:bottom, left:right]
    return picture, corner


def outlines(path: Path, *boxes: tuple[float, float, float, float], name: str = "Tumor") -> None:
    """Rectangles as QuPath exports them."""
    properties = {"objectType": "annotation", "classification": {"name": name}}
    features = [
        {"type": "Feature", "geometry": mapping(shapely.box(*box)), "properties": properties}
        for box in boxes
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))


@pytest.fixture
def scn(chain: Chain) -> Chain:
    """An SCN slide `s.scn`, and an ordinary one `a.svs`."""
    picture, corner = painted()
    write_scn(chain.folder / "s.scn", picture, SLIDE, corner)
    write_slide(chain.folder / "a.svs", tissue_picture(1024, 768))
    return chain


def masked_at(chain: Chain, slide_id: str = "s") -> np.ndarray:
    """Left, top, right, bottom of a slide's mask, level-0 pixels of OpenSlide."""
    ys, xs = np.nonzero(read_mask(chain.results.shard("segment", slide_id)))
    return MASK_PX * np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])


def contours_at(path: Path) -> np.ndarray:
    """Left, top, right, bottom of all outlines in a file."""
    areas = [shape(one["geometry"]) for one in json.loads(path.read_text())["features"]]
    return np.array(shapely.union_all(areas).bounds)


@pytest.mark.parametrize(("origin", "box"), [("qupath", DRAWN), ("openslide", TRUE)])
def test_a_mask_that_was_drawn_lies_where_the_tissue_is(scn: Chain, origin: str, box: tuple):
    outlines(scn.folder / "m.geojson", box)
    scn.values["slides"]["mask_origin"] = origin
    scn.sheet("slide_id,path,mask\ns,s.scn,m.geojson\n")
    row = scn.upto("tile")["s"]
    np.testing.assert_allclose(masked_at(scn), TRUE, atol=MASK_PX / 2)
    manifest = read_table(scn.results.shard("tile", "s"), MANIFEST)
    x, y, tissue = (manifest[name].to_numpy() for name in ("x", "y", "tissue"))
    inside = (x >= 736) & (x + 64 <= 1104) & (y >= 528) & (y + 64 <= 1040)
    assert inside.any()
    assert (tissue[inside] == 1).all()
    assert row["status"] == "ok"


def test_outlines_lie_right_in_qupath_and_come_back_as_the_same_mask(scn: Chain):
    scn.sheet("slide_id,path\ns,s.scn\n")
    scn.call("segment")
    np.testing.assert_allclose(masked_at(scn), TRUE, atol=64)
    mask = read_mask(scn.results.shard("segment", "s"))
    outline = scn.results.contours("s")
    np.testing.assert_array_equal(contours_at(outline), masked_at(scn) - (*CORNER, *CORNER))
    (scn.folder / "mine.geojson").write_bytes(outline.read_bytes())
    scn.sheet("slide_id,path,mask\ns,s.scn,mine.geojson\n")
    scn.call("segment")
    np.testing.assert_array_equal(read_mask(scn.results.shard("segment", "s")), mask)


FAR = (
    "its mask far.geojson lies outside of the slide: it spans x 9,000 to 12,000 and y 9,000 to "
    "12,000, the slide has 1,024 x 768 px; draw it on this slide"
)
BESIDE = (
    "its mask beside.geojson lies outside of what was scanned: it spans x 728 to 1,112 and y -272 "
    "to 240, the slide has 2,048 x 1,536 px, of which x 600 to 1,624 and y 400 to 1,168 were "
    "scanned; draw it on this slide, or see slides.mask_origin"
)


def test_a_mask_beside_the_slide_is_named_and_the_batch_goes_on(scn: Chain):
    outlines(scn.folder / "far.geojson", (9000, 9000, 12000, 12000))
    outlines(scn.folder / "beside.geojson", (128, -672, 512, -160))
    outlines(scn.folder / "cut.geojson", DRAWN, name="Ignore*")
    outlines(scn.folder / "dot.geojson", (300, 300, 304, 304))
    lines = ["a,a.svs,far.geojson", "s,s.scn,beside.geojson", "c,s.scn,cut.geojson"]
    lines += ["d,s.scn,dot.geojson", "good,a.svs,"]
    scn.sheet("\n".join(["slide_id,path,mask", *lines]))
    first = scn.call("segment")
    assert {row["slide_id"]: row["status"] for row in first.values()} == {
        **dict.fromkeys("ascd", "no_tissue"),
        "good": "ok",
    }
    assert first["a"]["reason"] == FAR
    assert first["s"]["reason"] == BESIDE
    assert first["c"]["reason"] == (
        "its mask cut.geojson marks nothing: all its areas are of classes that are cut out"
    )
    assert first["d"]["reason"] == (
        "its mask dot.geojson marks less of what was scanned than a pixel of the mask (16 px wide)"
    )
    assert scn.call("segment") == first  # kept as they are, reasons too
    rows = scn.upto("embed_regions")
    assert rows["good"]["status"] == "ok"
    assert rows["a"]["reason"] == FAR


def test_a_mask_that_reaches_beyond_the_scan_is_noted_and_cut(scn: Chain):
    outlines(scn.folder / "m.geojson", (128, -256, 512, 256))
    scn.sheet("slide_id,path,mask\ns,s.scn,m.geojson\n")
    row = scn.call("segment")["s"]
    assert row["note"] == "50% of its mask m.geojson lie outside of what was scanned"
    assert scn.call("segment")["s"] == row
    np.testing.assert_allclose(masked_at(scn), (728, 400, 1112, 656), atol=MASK_PX / 2)


def test_other_origins_rerun_the_slides_with_masks_alone(scn: Chain):
    outlines(scn.folder / "m.geojson", TRUE)
    scn.sheet("slide_id,path,mask\ns,s.scn,m.geojson\na,a.svs,\n")
    before = scn.call("segment")
    scn.values["slides"]["mask_origin"] = "openslide"
    after = scn.call("segment")
    assert before["a"]["fingerprint"] == after["a"]["fingerprint"]
    assert before["s"]["fingerprint"] != after["s"]["fingerprint"]


@pytest.mark.parametrize(("shows", "size"), [("slide", (512, 384)), ("scan", (256, 192))])
def test_a_mask_picture_shows_the_slide_or_the_scan(scn: Chain, shows: str, size: tuple):
    box = TRUE if shows == "slide" else DRAWN
    left, top, right, bottom = (round(side / 4) for side in box)
    picture = np.zeros(size[::-1], np.uint8)
    picture[top:bottom, left:right] = 1
    Image.fromarray(picture).save(scn.folder / "m.png")
    scn.sheet("slide_id,path,mask\ns,s.scn,m.png\na,a.svs,m.png\n")
    scn.values["slides"]["pictures_show"] = shows
    rows = scn.call("segment")
    np.testing.assert_allclose(masked_at(scn), TRUE, atol=MASK_PX / 2)
    shown = {"slide": "the whole slide", "scan": "what was scanned of the slide"}[shows]
    assert rows["s"]["note"] == (
        f"its mask m.png is taken to show {shown} (slides.pictures_show: {shows})"
    )
    assert rows["a"]["note"] == ""  # all of it was scanned


def test_a_tile_without_regions_has_a_reason_and_none_is_embedded(scn: Chain):
    scn.sheet("slide_id,path\ns,s.scn\na,a.svs\n")
    rows = scn.call("segment")
    rows["s"]["bounds"] = [1800, 1300, 200, 200]  # the header of a scanner that is mistaken
    write_rows(scn.results.index("segment", "b0000"), [*rows.values()], INDICES["segment"])
    tiled = scn.call("tile")
    assert (tiled["s"]["status"], tiled["a"]["status"]) == ("no_tissue", "ok")
    assert tiled["s"]["reason"] == (
        "its tissue lies outside of what was scanned (x 1,800 to 2,000, y 1,300 to 1,500)"
    )
    tiled["s"] |= {"status": "ok", "reason": "", "regions": 0, "patches": 0}
    write_rows(scn.results.index("tile", "b0000"), [*tiled.values()], INDICES["tile"])
    rows = scn.call("embed_patches")
    assert (rows["s"]["status"], rows["a"]["status"]) == ("no_tissue", "ok")


def exported(chain: Chain) -> Path:
    """The tree for TRIDENT."""
    cfg = settings("export", Config.model_validate(chain.values)).model_dump_json()
    out = Path(f"{chain.results.export('trident')}.parquet")
    common = ["--slides", str(chain.results.slides), "--cfg", cfg, "--out", str(out)]
    export.main([*common, "--format", "trident"])
    return chain.results.export("trident")


def test_tiles_for_qupath_and_outlines_for_trident_lie_on_the_tissue(scn: Chain):
    scn.sheet("slide_id,path\ns,s.scn\n")
    scn.upto("embed_regions")
    assert scn.table()["s"]["bounds"] == [600, 400, 1024, 768]
    table = read_table(scn.results.shard("tile", "s"), MANIFEST)
    first = np.array([table["x"][0].as_py(), table["y"][0].as_py()])
    scn.call("attend")
    tiles = json.loads((scn.results.maps("s") / "qupath.geojson").read_text())["features"]
    corner: Any = shape(tiles[0]["geometry"]).bounds[:2]
    np.testing.assert_array_equal(corner, first - CORNER)
    tree = exported(scn)
    with h5py.File(tree / "20x_64px_0px_overlap" / "patches" / "s_patches.h5") as file:
        coords = file["coords"][:]
    outline = contours_at(tree / "contours_geojson" / "s.geojson")
    np.testing.assert_array_equal(outline, masked_at(scn))  # as OpenSlide counts, like coords
    assert shapely.covers(shapely.box(*outline).buffer(64), shapely.points(coords + 32)).all()


@pytest.mark.parametrize("shows", ["slide", "scan"])
def test_label_maps_show_the_slide_or_the_scan(scn: Chain, shows: Extent):
    scn.sheet("slide_id,path\ns,s.scn\n")
    scn.upto("tile")
    box, size = (TRUE, SLIDE) if shows == "slide" else (DRAWN, (1024, 768))
    left, top, right, bottom = (side // 8 for side in box)
    labels = np.zeros((size[1] // 8, size[0] // 8), np.uint8)
    labels[top:bottom, left:right] = 3
    Image.fromarray(labels).save(scn.folder / "s.png")
    row = {"slide_id": "s", "width_px": 2048, "height_px": 1536, "bounds": [600, 400, 1024, 768]}
    counts = patch_counts(row, scn.folder / "s.png", scn.results, shows)
    manifest = read_table(scn.results.shard("tile", "s"), MANIFEST)
    x, y = (manifest[name].to_numpy() for name in "xy")
    far = 8  # a pixel of the map
    inside = (x >= 728 + far) & (x + 64 <= 1112 - far) & (y >= 528 + far) & (y + 64 <= 1040 - far)
    outside = (x >= 1112 + far) | (x + 64 <= 728 - far) | (y >= 1040 + far) | (y + 64 <= 528 - far)
    assert inside.any()
    assert outside.any()
    assert (counts[inside, 3] == 64).all()
    assert not counts[outside, 3].any()


def test_a_quarter_of_the_slide_is_a_quarter_in_every_kind_of_picture(chain: Chain):
    write_slide(chain.folder / "a.svs", tissue_picture(2048, 1536))
    quarter = np.zeros((96, 128), bool)
    quarter[:48, :64] = True
    alpha = Image.fromarray(quarter.astype(np.uint8) * 255)
    white = Image.new("L", alpha.size, 255)
    Image.merge("RGBA", [white, white, white, alpha]).save(chain.folder / "alpha.png")
    tifffile.imwrite(chain.folder / "float.tif", (quarter * 0.9).astype(np.float32))
    tifffile.imwrite(chain.folder / "double.tif", quarter * 0.9)
    tifffile.imwrite(chain.folder / "bool.tif", quarter)
    names = ["alpha.png", "float.tif", "double.tif", "bool.tif"]
    lines = [f"{name.split('.')[0]},a.svs,{name}" for name in names]
    chain.sheet("\n".join(["slide_id,path,mask", *lines]))
    rows = chain.call("segment")
    assert {name: (row["status"], row["tissue_fraction"]) for name, row in rows.items()} == {
        name.split(".")[0]: ("ok", 0.25) for name in names
    }


def test_pictures_of_another_shape_or_with_nothing_in_them_are_named(chain: Chain):
    write_slide(chain.folder / "a.svs", tissue_picture(2048, 1536))
    Image.fromarray(np.ones((100, 128), np.uint8)).save(chain.folder / "other.png")
    Image.fromarray(np.zeros((96, 128), np.uint8)).save(chain.folder / "black.png")
    chain.sheet("slide_id,path,mask\nother,a.svs,other.png\nblack,a.svs,black.png\n")
    rows = chain.call("segment")
    assert rows["other"]["status"] == "unreadable"
    assert rows["other"]["reason"].endswith(
        "other.png: is 128 x 100 px (width / height 1.280), the slide is 2048 x 1536 px (1.333); "
        "it has to show the whole slide, nothing cut off or stretched"
    )
    assert (rows["black"]["status"], rows["black"]["reason"]) == (
        "no_tissue",
        "its mask black.png is empty: every pixel of it is black, 0 or transparent",
    )


def test_a_map_of_probabilities_is_noted(chain: Chain):
    write_slide(chain.folder / "a.svs", tissue_picture(2048, 1536))
    tifffile.imwrite(chain.folder / "p.tif", np.random.default_rng(0).random((96, 128)))
    chain.sheet("slide_id,path,mask\na,a.svs,p.tif\n")
    assert chain.call("segment")["a"]["note"] == (
        "its mask p.tif holds many numbers, of which all but 0 count as tissue; of probabilities, "
        "save what is above your threshold"
    )
