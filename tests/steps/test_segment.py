"""The segment step on real files."""

from __future__ import annotations

import json

import numpy as np
import pytest
import shapely

from hipt.errors import HiptError
from hipt.store.images import read_mask, read_rgb
from tests.slidemaker import GLASS, tissue_picture, write_slide
from tests.steps.conftest import Chain


def test_files_of_a_slide_agree_with_each_other_and_with_what_was_painted(chain: Chain):
    write_slide(chain.folder / "a.svs", tissue_picture(2048, 1536))
    chain.sheet("slide_id,path\na,a.svs\n")
    row = chain.call("segment")["a"]
    a_mm, b_mm = 0.4 * 2048 * 0.5e-3, 0.4 * 1536 * 0.5e-3  # half axes of the painted ellipse
    margin_mm = 0.048
    assert row["status"] == "ok"
    assert np.pi * a_mm * b_mm < row["tissue_mm2"] < np.pi * (a_mm + margin_mm) * (b_mm + margin_mm)
    mask = read_mask(chain.results.shard("segment", "a"))
    assert mask.sum() * row["mask_mpp"] ** 2 / 1e6 == pytest.approx(row["tissue_mm2"])
    features = json.loads(chain.results.contours("a").read_text())["features"]
    area_px = sum(shapely.geometry.shape(f["geometry"]).area for f in features)
    assert area_px * 0.5**2 / 1e6 == pytest.approx(row["tissue_mm2"], rel=1e-3)
    assert read_rgb(chain.results.overview("segment", "a")).ndim == 3


def test_every_trouble_is_a_row(chain: Chain):
    glass = np.full((768, 1024, 3), GLASS, np.uint8)
    write_slide(chain.folder / "empty.svs", glass)
    write_slide(chain.folder / "unknown.svs", tissue_picture(1024, 768), mpp=None)
    (chain.folder / "zero.svs").touch()
    (chain.folder / "text.svs").write_text("no slide")
    names = ["empty", "unknown", "zero", "text", "gone", "out"]
    lines = [f"{name},{name}.svs,{'yes' if name == 'out' else ''}" for name in names]
    chain.sheet("\n".join(["slide_id,path,exclude", *lines]))
    rows = chain.call("segment")
    assert {name: row["status"] for name, row in rows.items()} == {
        "empty": "no_tissue",
        "unknown": "no_mpp",
        "zero": "unreadable",
        "text": "unreadable",
        "gone": "missing",
        "out": "excluded",
    }
    assert all(row["reason"] for row in rows.values())


def test_a_mask_replaces_what_would_be_found(chain: Chain):
    write_slide(chain.folder / "a.svs", tissue_picture(2048, 1536))
    box = shapely.geometry.mapping(shapely.box(0, 0, 800, 400))
    feature = {"type": "Feature", "properties": {}, "geometry": box}
    (chain.folder / "m.geojson").write_text(
        json.dumps({"type": "FeatureCollection", "features": [feature]})
    )
    chain.sheet("slide_id,path,mask\na,a.svs,m.geojson\n")
    row = chain.call("segment")["a"]
    assert row["mask_source"] == "file"
    assert row["tissue_mm2"] == pytest.approx(800 * 400 * 0.25 / 1e6, rel=0.02)


def test_a_broken_mask_ends_the_slide_and_names_the_file(chain: Chain):
    write_slide(chain.folder / "a.svs", tissue_picture(1024, 768))
    (chain.folder / "m.geojson").write_text("{")
    chain.sheet("slide_id,path,mask\na,a.svs,m.geojson\n")
    row = chain.call("segment")["a"]
    assert row["status"] == "unreadable"
    assert "m.geojson" in row["reason"]


def test_an_mpp_that_contradicts_the_header_is_used_and_said(chain: Chain):
    write_slide(chain.folder / "a.svs", tissue_picture(1024, 768))
    chain.sheet("slide_id,path,mpp\na,a.svs,0.25\n")
    row = chain.call("segment")["a"]
    assert (row["mpp"], row["mpp_source"]) == (0.25, "sheet")
    assert "contradicts" in row["note"]


def test_a_blue_stain_is_tissue_and_a_blue_pen_is_counted_and_noted(chain: Chain):
    picture = tissue_picture(2048, 1536)
    blue = picture.copy()
    blue[np.ptp(picture, axis=2) > 20] = (90, 140, 200)
    picture[300:460] = (40, 60, 170)
    write_slide(chain.folder / "stain.svs", blue)
    write_slide(chain.folder / "pen.svs", picture)
    chain.sheet("slide_id,path\nstain,stain.svs\npen,pen.svs\n")
    rows = chain.call("segment")
    assert (rows["stain"]["status"], rows["stain"]["ink_fraction"]) == ("ok", 0.0)
    assert rows["stain"]["note"] == ""
    ink = rows["pen"]["ink_fraction"]
    assert 0.1 < ink < 0.4
    assert rows["pen"]["note"] == (
        f"{ink:.0%} of what is stained was taken as pen marks and left out; if it is stain, "
        "name a mask in the sheet or set segment.ink_od to 9"
    )
    assert chain.call("segment")["pen"]["note"] == rows["pen"]["note"]  # kept as it is


def test_a_slide_of_writing_alone_has_no_tissue_and_says_why(chain: Chain):
    glass = np.full((1536, 2048, 3), GLASS, np.uint8)
    glass[300:460] = (40, 60, 170)
    write_slide(chain.folder / "a.svs", glass)
    chain.sheet("slide_id,path\na,a.svs\n")
    row = chain.call("segment")["a"]
    assert (row["status"], row["ink_fraction"]) == ("no_tissue", 1.0)
    assert row["note"].startswith("100% of what is stained was taken as pen marks")


def test_stop_ends_the_job_at_the_first_broken_slide(chain: Chain):
    chain.sheet("slide_id,path\ngone,gone.svs\n")
    chain.values["slides"]["on_slide_error"] = "stop"
    with pytest.raises(HiptError, match=r"slide gone: missing: .*on_slide_error"):
        chain.call("segment")


def test_most_slides_failing_fails_the_job(chain: Chain):
    chain.sheet("\n".join(["slide_id,path", *(f"s{n},s{n}.svs" for n in range(9))]))
    with pytest.raises(HiptError, match=r"9 of 9 slides of batch b0000 failed .* common cause"):
        chain.call("segment")
