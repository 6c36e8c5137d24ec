"""Outlines to and from GeoJSON, and masks that somebody else made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from shapely.geometry import mapping, shape

from hipt.errors import HiptError
from hipt.exchange.annotations import read_contours, read_outside_mask, write_contours
from hipt.geometry.tissue import contours

SIZE = (40, 50)  # of the mask
SCALE = 16.0
WHOLE = shapely.box(0, 0, 50, 40)  # the slide, in pixels of the mask


def feature(area: shapely.Geometry, name: str | None = None) -> dict[str, Any]:
    """A feature like QuPath's, its area given in pixels of the mask."""
    level0 = shapely.transform(area, lambda points: points * SCALE)
    properties: dict[str, Any] = {"objectType": "annotation"}
    if name is not None:
        properties["classification"] = {"name": name, "color": [1, 2, 3]}
    return {"type": "Feature", "id": "x", "geometry": mapping(level0), "properties": properties}


def read(folder: Path, data: Any) -> np.ndarray:
    path = folder / "a.geojson"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return read_outside_mask(path, SIZE, SCALE).mask


def pixels(area: shapely.Geometry) -> np.ndarray:
    """The pixels whose centre lies in an area, by shapely."""
    rows, columns = np.indices(SIZE)
    return shapely.contains_xy(area, columns + 0.5, rows + 0.5)


def collection(*features: Any) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": list(features)}


masks = st.integers(0, 2**31).map(
    lambda seed: np.random.default_rng(seed).random(SIZE) < np.random.default_rng(seed + 1).random()
)


@settings(max_examples=30)
@given(masks)
def test_outlines_come_back_in_openslides_pixels(tmp_path_factory, mask):
    path, shapes = tmp_path_factory.mktemp("g") / "outline.geojson", contours(mask)
    write_contours(path, shapes, SCALE, (1000, 222, 40, 50))
    level0 = shapely.transform(shapes, lambda points: points * SCALE)
    back = read_contours(path, (1000, 222, 40, 50))
    assert shapely.symmetric_difference(back, level0).area < 1e-6
    assert back.geom_type == "MultiPolygon"


@pytest.mark.parametrize(
    "text", ["", "[3]", "{}", '{"features": [{"geometry": {"type": "Point"}}]}']
)
def test_outlines_that_are_damaged(tmp_path: Path, text: str):
    path = tmp_path / "a.geojson"
    with pytest.raises(HiptError, match=r"a\.geojson: no such file"):
        read_contours(path)
    path.write_text(text)
    with pytest.raises(HiptError, match=r"a\.geojson: (is not GeoJSON|feature 1 has no geometry)"):
        read_contours(path)


@settings(max_examples=30)
@given(masks, st.sampled_from([1.0, 16.0, 31.97]))
def test_outlines_are_read_back_with_their_area_and_as_the_same_mask(tmp_path_factory, mask, scale):
    path = tmp_path_factory.mktemp("g") / "outline.geojson"
    write_contours(path, contours(mask), scale)
    features = json.loads(path.read_text(encoding="utf-8"))["features"]
    areas = [shape(one["geometry"]) for one in features]
    assert all(area.is_valid and area.geom_type == "Polygon" for area in areas)
    assert sum(area.area for area in areas) == pytest.approx(mask.sum() * scale**2)
    np.testing.assert_array_equal(read_outside_mask(path, SIZE, scale).mask, mask)


def test_outlines_are_written_as_qupath_reads_them(tmp_path: Path):
    path = tmp_path / "new" / "outline.geojson"
    write_contours(path, contours(np.ones((2, 3), bool)), 10.0)
    data = json.loads(path.read_text())
    assert data["type"] == "FeatureCollection"
    (one,) = data["features"]
    assert one["type"] == "Feature"
    assert one["properties"]["objectType"] == "annotation"
    assert one["properties"]["classification"] == {"name": "Tissue", "color": [0, 140, 60]}
    assert shape(one["geometry"]).bounds == (0, 0, 30, 20)  # level-0 pixels
    write_contours(path, contours(np.zeros((2, 3), bool)), 10.0)
    assert json.loads(path.read_text())["features"] == []


@settings(max_examples=60)
@given(st.lists(st.tuples(st.floats(-20, 70), st.floats(-20, 70)), min_size=3, max_size=9))
def test_a_polygon_is_the_pixels_whose_centre_lies_in_it(tmp_path_factory, corners):
    area = shapely.convex_hull(shapely.MultiPoint(corners))
    if area.area < 1:
        return
    mask = read(tmp_path_factory.mktemp("p"), collection(feature(area)))
    sure = pixels(area.buffer(-1e-6)) | ~pixels(area.buffer(1e-6))  # not on the very edge
    np.testing.assert_array_equal(mask[sure], pixels(area)[sure])


OUTER, INNER = shapely.box(5, 5, 35, 30), shapely.box(10, 10, 20, 20)
TWO = shapely.MultiPolygon([shapely.box(2, 2, 9, 9), shapely.box(30, 20, 45, 38)])
MIXED = shapely.GeometryCollection([TWO, INNER, shapely.LineString([(0, 0), (50, 40)])])
BOW_TIE = shapely.Polygon([(0, 0), (40, 40), (40, 0), (0, 40)])
DEEP = shapely.force_3d(OUTER, 7.0)


@pytest.mark.parametrize("area", [OUTER - INNER, TWO, MIXED, DEEP, WHOLE.buffer(20)])
def test_every_kind_of_area_is_put_in(tmp_path: Path, area: shapely.Geometry):
    expected = pixels(shapely.union_all([p for p in shapely.get_parts(area) if p.area]))
    np.testing.assert_array_equal(read(tmp_path, collection(feature(area))), expected)


def test_an_outline_that_crosses_itself_is_both_its_sides(tmp_path: Path):
    mask = read(tmp_path, collection(feature(BOW_TIE)))
    assert mask.sum() == pytest.approx(shapely.make_valid(BOW_TIE).area, rel=0.05)
    assert mask[20, 2]
    assert mask[20, 37]
    assert not mask[5, 20]


@pytest.mark.parametrize("name", ["Ignore*", "exclude", "Artefact: fold", "ARTIFACT", "Background"])
def test_excluding_classes_are_cut_out_in_any_order(tmp_path: Path, name: str):
    features = [feature(INNER, name), feature(OUTER, "Tumor"), feature(TWO), feature(OUTER)]
    expected = pixels((OUTER | TWO) - INNER)
    np.testing.assert_array_equal(read(tmp_path, collection(*features)), expected)
    np.testing.assert_array_equal(read(tmp_path, collection(*features[::-1])), expected)


def test_collections_as_excluding_and_including_areas(tmp_path: Path):
    data = collection(feature(WHOLE), feature(MIXED), feature(MIXED, "Ignore*"))
    np.testing.assert_array_equal(read(tmp_path, data), pixels(WHOLE - TWO - INNER))
    assert not read(tmp_path, collection(feature(WHOLE, "Ignore*"))).any()


@pytest.mark.parametrize("properties", [None, {}, {"classification": None}, [], {"name": "Ignore"}])
def test_a_feature_without_a_class_is_put_in(tmp_path: Path, properties: Any):
    assert read(tmp_path, collection(feature(OUTER) | {"properties": properties})).sum() == 30 * 25


def test_any_outermost_form_and_a_byte_order_mark(tmp_path: Path):
    one = feature(OUTER)
    for data in (collection(one), [one], one, one["geometry"], "\ufeff" + json.dumps(one)):
        np.testing.assert_array_equal(read(tmp_path, data), pixels(OUTER))


@pytest.mark.parametrize("factor", [0.5, 1, 3, 4])
def test_a_picture_is_the_mask_at_any_size(tmp_path: Path, factor: float):
    expected = np.kron(np.random.default_rng(0).random((10, 25)) < 0.5, np.ones((4, 2))) > 0
    expected = np.repeat(expected[::2], 2, axis=0)
    height, width = (round(side * factor) for side in SIZE)
    image = Image.fromarray(expected.astype(np.uint8) * 255).resize((width, height), 0)
    image.save(tmp_path / "m.png")
    mask = read_outside_mask(tmp_path / "m.png", SIZE, SCALE).mask
    assert mask.shape == SIZE
    np.testing.assert_array_equal(mask, expected)


POINT = {"type": "Point", "coordinates": [1, 2]}
NOT_A_NUMBER = '{"type": "Polygon", "coordinates": [[[0, 0], [NaN, 5], [9, 9], [0, 0]]]}'
BROKEN: dict[str, tuple[Any, str]] = {
    "empty": ("", "is not GeoJSON"),
    "cut": ('{"type": "Feat', "is not GeoJSON"),
    "deep": ("[" * 100_000, "is not GeoJSON"),
    "number": ("3", "holds no features"),
    "no features": (collection(), "holds no features; export annotations as GeoJSON from QuPath"),
    "null": ({"features": None}, "holds no features"),
    "null feature": (collection(None), "feature 1 has no geometry"),
    "other JSON": ({"a": 1}, "feature 1 has no geometry"),
    "second": (collection(feature(OUTER), {"geometry": None}), "feature 2 has no geometry"),
    "unknown kind": ({"type": "Blob", "coordinates": []}, "feature 1 has no geometry"),
    "text": ({"type": "Polygon", "coordinates": [[["a", 0]]]}, "feature 1 has no geometry"),
    "nan": (NOT_A_NUMBER, "feature 1 has no geometry"),
    "point": (collection({"geometry": POINT}), r"feature 1 \(Point\) has no area; draw areas"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_outline_is_one_sentence_that_names_the_file(tmp_path: Path, name: str):
    data, sentence = BROKEN[name]
    with pytest.raises(HiptError, match=rf"^{tmp_path}/a\.geojson: {sentence}") as error:
        read(tmp_path, data)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["m.png", "m.geojson"])
def test_a_mask_that_is_missing_or_binary_rubbish(tmp_path: Path, name: str):
    with pytest.raises(HiptError, match=rf"{name}: no such (picture|file)$"):
        read_outside_mask(tmp_path / name, SIZE, SCALE)
    (tmp_path / name).write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(HiptError, match=rf"{name}: is (damaged or no picture|not GeoJSON) "):
        read_outside_mask(tmp_path / name, SIZE, SCALE)


@pytest.mark.parametrize("name", ["a.xml", "a.ndpa", "a.geojson.gz", "a.npy"])
def test_annotations_of_other_programs_are_refused_with_a_remedy(tmp_path: Path, name: str):
    (tmp_path / name).write_text("<Annotations/>")
    with pytest.raises(HiptError) as caught:
        read_outside_mask(tmp_path / name, (4, 4), 1.0)
    assert str(caught.value) == (
        f"{tmp_path / name}: is neither GeoJSON (.geojson, .json) nor a picture; unpack it if it "
        "is compressed, open annotations of other programs in QuPath and export them as GeoJSON"
    )


def test_a_picture_that_marks_everything_is_noted(tmp_path: Path):
    picture = np.full((40, 40, 3), 255, np.uint8)
    picture[10:20, 10:20] = (180, 20, 90)  # tissue in colour on white: an overview, no mask
    Image.fromarray(picture).save(tmp_path / "m.png")
    result = read_outside_mask(tmp_path / "m.png", (20, 20), 2.0)
    assert result.note == (
        "its mask m.png marks all of what was scanned; what is no tissue has to be black, 0 or "
        "transparent"
    )
    picture[0, :] = 0
    Image.fromarray(picture).save(tmp_path / "m.png")
    assert read_outside_mask(tmp_path / "m.png", (40, 40), 1.0).note == ""
