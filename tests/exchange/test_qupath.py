"""Tiles and outlines for QuPath: valid GeoJSON, in QuPath's pixels."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import mapping, shape

from hipt.exchange.annotations import write_contours
from hipt.exchange.qupath import write_tiles

POSITION = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 3}
RING = {"type": "array", "items": POSITION, "minItems": 4}
POLYGON = {
    "type": "object",
    "required": ["type", "coordinates"],
    "properties": {
        "type": {"const": "Polygon"},
        "coordinates": {"type": "array", "items": RING, "minItems": 1},
    },
}
FEATURE = {
    "type": "object",
    "required": ["type", "geometry", "properties"],
    "properties": {
        "type": {"const": "Feature"},
        "id": {"type": ["string", "number"]},
        "geometry": POLYGON,
        "properties": {
            "type": "object",
            "required": ["objectType"],
            "properties": {
                "objectType": {"enum": ["annotation", "detection", "tile"]},
                "measurements": {"type": "object", "additionalProperties": {"type": "number"}},
            },
        },
    },
    "not": {"anyOf": [{"required": ["coordinates"]}, {"required": ["features"]}]},
}
COLLECTION = {
    "type": "object",
    "required": ["type", "features"],
    "properties": {
        "type": {"const": "FeatureCollection"},
        "features": {"type": "array", "items": FEATURE},
    },
    "not": {"anyOf": [{"required": [name]} for name in ("coordinates", "geometry", "properties")]},
}
"""RFC 7946 as far as areas go, and of QuPath's own what hipt writes."""


def refused(constant: str) -> Any:
    raise AssertionError(f"{constant} is no JSON")


def features(path: Path) -> list[Any]:
    """The features of a file that is strictly JSON and GeoJSON."""
    data = json.loads(path.read_bytes().decode(), parse_constant=refused)
    jsonschema.Draft202012Validator(COLLECTION).validate(data)
    for one in data["features"]:
        for ring in one["geometry"]["coordinates"]:
            assert ring[0] == ring[-1]  # JSON schema cannot say it
    return data["features"]


def lattice(count: int, side_px: int) -> np.ndarray:
    """(count, 2) corners, row by row in 160 columns."""
    return np.stack([np.arange(count) % 160, np.arange(count) // 160], 1) * side_px


tiles = st.lists(st.tuples(*(st.integers(-(10**6), 10**6),) * 2), max_size=20)


@settings(max_examples=40)
@given(tiles, st.integers(1, 9000), st.tuples(*(st.integers(0, 10**5),) * 2))
def test_tiles_are_squares_at_their_corners_less_the_origin(tmp_path_factory, at, side_px, origin):
    path = tmp_path_factory.mktemp("q") / "new" / "t.geojson"
    corners = np.array(at, np.int64).reshape(-1, 2)
    write_tiles(path, corners, side_px, {}, origin)
    result = features(path)
    assert len(result) == len(at)
    for one, (x, y) in zip(result, at, strict=True):
        area = shape(one["geometry"])
        left, top = x - origin[0], y - origin[1]
        assert area.bounds == (left, top, left + side_px, top + side_px)
        assert area.area == side_px**2
        assert area.is_valid
        assert area.exterior.is_ccw  # RFC 7946, 3.1.6
        assert len(one["geometry"]["coordinates"][0]) == 5
        assert one["properties"] == {"objectType": "tile", "measurements": {}}


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_measurements_are_numbers_and_what_is_not_finite_is_left_out(tmp_path: Path, kind):
    names = ['quote " and \\', "ä 日本", "a\nb", "attention, percentile", ""]
    rng = np.random.default_rng(0)
    values = {name: rng.random(50).astype(kind) for name in names}
    for number, column in enumerate(values.values()):
        column[number::7] = (np.nan, np.inf, -np.inf)[number % 3]
    write_tiles(tmp_path / "t.geojson", lattice(50, 256), 256, values)
    for i, one in enumerate(features(tmp_path / "t.geojson")):
        expected = {name: float(v[i]) for name, v in values.items() if np.isfinite(v[i])}
        assert one["properties"]["measurements"] == expected


def test_a_measurement_of_another_length_is_refused_and_nothing_written(tmp_path: Path):
    for values in (np.zeros(3), np.zeros(5), np.zeros((4, 1))):
        with pytest.raises(ValueError, match=r"'a' has shape .* for 4 tiles"):
            write_tiles(tmp_path / "t.geojson", lattice(4, 9), 9, {"a": values})
    assert not list(tmp_path.iterdir())


def test_100_regions_of_tiles_take_a_moment(tmp_path: Path):
    values = {name: np.random.default_rng(0).random(25_600) for name in ("attention", "region")}
    start = time.process_time()
    write_tiles(tmp_path / "t.geojson", lattice(25_600, 256), 256, values)
    assert time.process_time() - start < 2
    result = json.loads((tmp_path / "t.geojson").read_text())["features"]
    assert len(result) == 25_600
    assert (tmp_path / "t.geojson").stat().st_size < 15e6


def test_outlines_move_by_the_bounds_and_stay_as_they_were_without(tmp_path: Path):
    ring = shapely.box(1, 2, 30, 40) - shapely.box(5, 6, 10, 20)
    both = shapely.MultiPolygon([ring, shapely.box(50, 3, 60.5, 7.25)])
    level0 = [shapely.transform(part, lambda xy: xy * 15.97) for part in both.geoms]
    write_contours(tmp_path / "a.geojson", both, 15.97)
    assert [one["geometry"] for one in features(tmp_path / "a.geojson")] == [
        json.loads(json.dumps(mapping(part))) for part in level0
    ]
    write_contours(tmp_path / "b.geojson", both, 15.97, (1000, 222))
    for one, part in zip(features(tmp_path / "b.geojson"), level0, strict=True):
        moved = shapely.transform(part, lambda xy: xy - (1000, 222))
        assert shape(one["geometry"]).equals_exact(moved, 1e-9)
    write_tiles(tmp_path / "t.geojson", np.array([[1600, 800]]), 256, {}, (1000, 222))
    assert shape(features(tmp_path / "t.geojson")[0]["geometry"]).bounds[:2] == (600, 578)
