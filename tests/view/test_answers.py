"""What the addresses answer, against the tables on disk."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from urllib.parse import quote

import numpy as np
import openslide
import polars as pl
import pytest
from PIL import Image

from hipt.cohort.ledger import read_ledger, updated, write_ledger
from hipt.heatmaps.table import read_maps
from hipt.layout import Results
from hipt.pictures.heat import coloured
from hipt.store.images import read_rgb
from hipt.store.schemas import MANIFEST
from hipt.store.tables import read_table
from tests.slidemaker import tissue_picture, write_slide
from tests.view.conftest import GONE, ODD, Unfinished, Viewer


def picture(body: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(body)))


def test_the_cohort_is_the_slide_table(viewer: Viewer, made: Path):
    answer = viewer.get("/api/cohort").json
    table = pl.DataFrame(read_table(Results(made).slides))
    slides = answer["slides"]
    assert answer["results"] == "results"
    assert answer["tasks"] == ["death", "grade"]
    assert slides["slide"] == table["slide_id"].to_list()
    assert slides["case"] == table["case_id"].to_list()
    assert slides["regions"] == table["regions"].to_list()
    assert slides["tissue_mm2"] == pytest.approx(table["tissue_mm2"].to_list(), abs=1e-4)
    assert slides["has_map"] == [True] * len(table)
    assert len({len(column) for column in slides.values()}) == 1


@pytest.mark.parametrize("signed", [False, True])
def test_the_colour_bar_has_the_colours_of_maps(viewer: Viewer, signed: bool):
    bar = picture(viewer.get(f"/colours?signed={signed:d}").body)
    assert bar.shape == (1, 256, 3)
    values = np.array([[0, 0.25, 0.5, 1]])
    places = np.rint(255 * values[0]).astype(int)
    assert (bar[0, places] == coloured(values, diverging=signed)[0]).all()


def test_long_answers_are_packed_where_they_can_be_unpacked(viewer: Viewer):
    plain = viewer.get("/api/slide?slide=s0")
    packed = viewer.get("/api/slide?slide=s0", Accept_Encoding="gzip, br")
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert "Content-Encoding" not in viewer.get("/tile?slide=s0&level=10&x=0&y=0").headers


def test_a_slide_says_what_there_is_of_it(viewer: Viewer, made: Path):
    slide = viewer.get("/api/slide?slide=s3").json
    assert (slide["width"], slide["height"], slide["mpp"]) == (768, 512, 0.5)
    assert (slide["tile_px"], slide["overlap"], slide["max_level"]) == (254, 1, 10)
    assert slide["magnification"] == 20
    assert slide["readable"] is True
    assert set(slide["status_of_steps"].values()) == {True}
    maps = read_maps(Results(made).shard("attend", "s3"))
    kinds = [(layer["name"], layer["kind"]) for layer in slide["layers"]]
    assert kinds[:3] == [(name, name) for name in ("contours", "regions", "patches")]
    assert kinds[3:] == [(name, "map") for name in [*maps.heads, *maps.maps]]
    by_name = {layer["name"]: layer for layer in slide["layers"]}
    signed = by_name["grade.hipt.contribution"]
    assert (signed["signed"], signed["group"]) == (True, "grade")
    assert signed["low"] == -signed["high"] < 0
    assert signed["ends"] == ["for a", "for b"]
    assert by_name["head 1"]["group"] == "stage 2 heads"


def test_predictions_are_those_of_folds_that_tested_the_slide(viewer: Viewer, made: Path):
    rows = viewer.get("/api/slide?slide=s3").json["predictions"]
    results = Results(made)
    assert {(row["task"], row["model"]) for row in rows} == {
        ("grade", "linear"),
        ("grade", "hipt"),
        ("death", "linear"),
        ("death", "abmil"),
    }
    for row in rows:
        path = results.fit(row["task"], row["model"], row["fraction"], "predictions.parquet")
        unit = "s3" if row["task"] == "grade" else "c1"
        table = pl.DataFrame(read_table(path)).filter(unit=unit, fold=row["fold"])
        assert len(table) == 1
        said = table.row(0, named=True)
        if row["task"] == "grade":
            assert row["truth"] == "b"
            assert row["scores"] == {"a": said["p_0"], "b": said["p_1"]}
            assert row["predicted"] == ("b" if said["p_1"] > said["p_0"] else "a")
        else:
            assert row["scores"] == {"risk": said["risk"]}
            assert (row["months"], row["event"]) == (17, True)


def test_tiles_and_crops_are_the_slide(viewer: Viewer, made: Path):
    with openslide.OpenSlide(made.parent / "s3.svs") as handle:
        expected = np.asarray(handle.read_region((253, 0), 0, (256, 255)).convert("RGB"), int)
    answer = viewer.get("/tile?slide=s3&level=10&x=1&y=0")
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert "max-age" in answer.headers["Cache-Control"]
    assert np.abs(picture(answer.body) - expected).mean() < 5
    crop = picture(viewer.get("/crop?slide=s3&x=253&y=0&size=255&px=255").body)
    assert np.abs(crop - expected[:, :255]).mean() < 5
    assert picture(viewer.get("/crop?slide=s3&x=-20&y=-20&size=64&px=32").body)[0, 0].min() > 250


def test_maps_show_the_tables_numbers(viewer: Viewer, made: Path):
    maps = read_maps(Results(made).shard("attend", "s3"))
    for name, values in {
        "attention": maps.maps["attention"],
        "head 1": maps.heads["head 1"],
    }.items():
        told = viewer.get(f"/api/map?slide=s3&layer={quote(name)}").json
        assert (told["low"], told["high"], told["step"]) == (0, 100, 64)
        cells = np.array(told["measured"]).reshape(told["rows"], told["columns"])
        ranks = np.array(told["values"]).reshape(cells.shape)
        for (x, y), value in zip(maps.corners, values, strict=True):
            row, column = (y - told["y"]) // 64, (x - told["x"]) // 64
            assert cells[row, column] == pytest.approx(value, rel=1e-4)
        assert ranks.max() == 100
        assert ranks.flat[cells.argmax()] == 100
    name = "grade.hipt.contribution"
    told = viewer.get(f"/api/map?slide=s3&layer={name}").json
    assert told["values"] == told["measured"]
    answer = viewer.get(f"/map?slide=s3&layer={name}")
    rgba = picture(answer.body).astype(int)
    assert rgba.shape == (told["rows"], told["columns"], 4)
    assert (rgba[..., 3] == 255).all()
    signs, blue = np.array(told["values"]).reshape(rgba.shape[:2]), rgba[..., 2] - rgba[..., 0]
    clear = np.abs(signs) > 0.3 * told["high"]
    assert clear.any()
    assert ((signs < 0) == (blue > 0))[clear].all()  # blue below, orange above


def test_places_are_the_manifests(viewer: Viewer, made: Path):
    manifest = pl.DataFrame(read_table(Results(made).shard("tile", "s3"), MANIFEST))
    regions = viewer.get("/api/regions?slide=s3").json
    first = manifest.filter(patch=0)
    assert regions["size"] == 256
    assert regions["region"] == first["region"].to_list()
    assert (regions["x"], regions["y"]) == (first["x"].to_list(), first["y"].to_list())
    patches = viewer.get("/api/patches?slide=s3&region=2").json
    own = manifest.filter(region=2)
    assert (patches["size"], patches["patch"]) == (64, own["patch"].to_list())
    assert (patches["x"], patches["y"]) == (own["x"].to_list(), own["y"].to_list())
    assert patches["embedded"] == [True] * 16
    assert viewer.get("/api/patches?slide=s3&region=6").status == 404


def test_the_overview_is_the_one_of_segment(viewer: Viewer, made: Path):
    path = Results(made).overview("segment", "s3")
    assert viewer.get("/thumbnail?slide=s3").body == path.read_bytes()
    bare = picture(viewer.get("/thumbnail?slide=s3&outline=0").body)
    assert bare.shape == (512, 768, 3)
    assert read_rgb(path).shape[1] < 768


def test_what_a_run_has_not_made_is_said(unfinished: Unfinished):
    ask, odd = unfinished.viewer.get, quote(ODD)
    slides = ask("/api/cohort").json["slides"]
    assert slides["slide"] == ["real", ODD, GONE, "never"]
    assert slides["status"] == ["waiting"] * 3 + ["missing"]
    assert slides["reason"][0] == "embed_patches is not done yet"
    assert slides["reason"][3] == "never.svs: no such file"
    assert slides["regions"][0] > 0
    slide = ask("/api/slide?slide=real").json
    assert [layer["name"] for layer in slide["layers"]] == ["contours", "regions", "patches"]
    assert slide["predictions"] == []
    assert slide["status_of_steps"]["tile"] is True
    assert slide["status_of_steps"]["embed_patches"] is False
    assert ask(f"/api/slide?slide={odd}").json["slide"] == ODD
    assert ask(f"/tile?slide={odd}&level=10&x=0&y=0").status == 200
    polygons = ask("/api/contours?slide=real").json["polygons"]
    assert len(polygons[0]["outer"]) > 3
    assert ask("/api/patches?slide=real&region=0").json["embedded"] == [False] * 16
    for path, text in {
        "/api/map?slide=real&layer=attention": "has no heatmaps",
        "/api/neighbours?slide=real&region=0": "has no region vectors (yet)",
        "/api/neighbours?slide=real&region=0&patch=1": "has no patch vectors (yet)",
        "/thumbnail?slide=never": "has no overview (yet)",
        "/api/regions?slide=never": "has no regions (yet)",
        "/api/contours?slide=never": "has no outlines of tissue (yet)",
    }.items():
        answer = ask(path)
        assert answer.status == 404
        assert text in answer.json["error"]


def test_a_slide_whose_file_is_gone_keeps_what_was_made_of_it(unfinished: Unfinished):
    ask = unfinished.viewer.get
    slide = ask(f"/api/slide?slide={GONE}").json
    assert slide["readable"] is False
    assert slide["reason"] == "the file of slide 'gone' is not there"
    assert (slide["width"], slide["min_level"]) == (768, None)
    assert ask(f"/thumbnail?slide={GONE}").status == 200
    for path in (f"/tile?slide={GONE}&level=9&x=0&y=0", f"/crop?slide={GONE}&x=0&y=0&size=9"):
        answer = ask(path)
        assert answer.status == 404
        assert answer.json == {"error": "the file of slide 'gone' is not there"}


def test_a_file_that_goes_or_changes_while_it_is_open(unfinished: Unfinished):
    path, ask = unfinished.folder / f"{GONE}.svs", unfinished.viewer.get
    write_slide(path, tissue_picture(768, 512))
    first = ask(f"/tile?slide={GONE}&level=10&x=0&y=0")
    assert first.status == 200
    write_slide(path, np.full((600, 900, 3), 120, np.uint8))
    second = ask(f"/tile?slide={GONE}&level=10&x=0&y=0")
    assert second.body != first.body
    path.write_bytes(b"no slide")
    answer = ask(f"/tile?slide={GONE}&level=10&x=0&y=0")
    assert (answer.status, "cannot be read" in answer.json["error"]) == (404, True)
    assert str(unfinished.folder) not in answer.json["error"]
    path.unlink()
    assert "is not there" in ask(f"/tile?slide={GONE}&level=10&x=0&y=0").json["error"]


def test_a_run_that_goes_on_is_seen_to_go_on(
    unfinished: Unfinished, monkeypatch: pytest.MonkeyPatch
):
    """A slide that came into the sheet since is there, without a new start."""
    monkeypatch.setattr("hipt.view.results.FRESH_S", 0)
    results = Results(unfinished.folder / "results")
    before = results.batches.read_bytes()
    write_ledger(results.batches, updated(read_ledger(results.batches), {"new": "0"}, 16))
    slides = unfinished.viewer.get("/api/cohort").json["slides"]
    assert slides["slide"][-1] == "new"
    assert slides["reason"][-1] == "segment is not done yet"
    results.batches.write_bytes(before)
    assert "new" not in unfinished.viewer.get("/api/cohort").json["slides"]["slide"]


def test_a_damaged_file_is_a_sentence_without_its_place(
    unfinished: Unfinished, caplog: pytest.LogCaptureFixture
):
    path = Results(unfinished.folder / "results").shard("tile", "real")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    answer = unfinished.viewer.get("/api/regions?slide=real")
    path.write_bytes(whole)
    assert answer.status == 404
    assert answer.json["error"].startswith("a file of the results cannot be read")
    assert str(path) in caplog.text
    assert unfinished.viewer.get("/api/regions?slide=real").status == 200
