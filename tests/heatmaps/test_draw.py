"""A slide's maps side by side, and its table there and back."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tifffile

from hipt.errors import HiptError
from hipt.heatmaps.draw import LEAST_PX, draw, side_by_side
from hipt.heatmaps.table import BELOW, SlideMaps, read_maps, write_maps
from hipt.layout import Results
from hipt.pictures.drawing import enlarged
from hipt.pictures.figure import svg_text
from hipt.store.images import read_rgb, write_jpeg
from hipt.store.provenance import Provenance

NAMES = {"greek": "διαφάνεια 1", "chinese": "肺腺癌 & 鳞癌", "arabic": "شريحة", "ascii": "a.b $1$"}
MADE = Provenance("attend", 2, "f", {}, {}, {}, {})


def slide(slide_id: str = "a") -> SlideMaps:
    """Six patches in two rows, of 100 px, and maps of two tasks."""
    rng = np.random.default_rng(0)
    corners = np.array([(100 * (k % 3), 100 * (k // 3)) for k in range(6)])
    manifest = pa.table(
        {
            "slide_id": [slide_id] * 6,
            "region": pa.array([0] * 6, pa.int32()),
            "patch": pa.array(range(6), pa.int16()),
            "x": corners[:, 0],
            "y": corners[:, 1],
            "read_px": [100] * 6,
            "tissue": pa.array([1.0] * 6, pa.float32()),
            "computed": pa.array([True] * 6),
        }
    )
    names = ("attention", "t.abmil.region", "t.abmil.contribution", "t.hipt.contribution")
    maps = {name: rng.normal(size=6).astype(np.float32) for name in names}
    ends = dict.fromkeys(names[2:], ("for 正常", "for 肿瘤"))
    return SlideMaps(slide_id, manifest, rng.random((6, 2)).astype(np.float32), maps, ends)


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path)


def overview(results: Results, slide_id: str) -> dict[str, object]:
    picture = np.random.default_rng(1).integers(100, 250, (80, 120, 3), np.uint8)
    write_jpeg(results.overview("segment", slide_id), picture)
    return {"mpp": 0.5, "width_px": 300, "bounds": [0, 0, 300, 200]}


@pytest.mark.parametrize("slide_id", NAMES.values(), ids=NAMES)
def test_a_table_is_read_as_it_was_written(results: Results, slide_id: str):
    shard, made = results.shard("attend", slide_id), slide(slide_id)
    write_maps(shard, made, MADE)
    found = read_maps(shard)
    assert found.slide_id == slide_id
    assert found.ends == made.ends
    assert list(found.maps) == list(made.maps)
    np.testing.assert_array_equal(found.attention, made.attention)
    np.testing.assert_array_equal(found.corners, made.corners)
    assert found.side_px == 100
    assert list(found.heads) == ["head 0", "head 1"]


def test_a_table_with_half_a_meaning_is_damaged(results: Results):
    made = slide()
    write_maps(results.shard("attend", "a"), made, MADE)
    table = pa.parquet.read_table(results.shard("attend", "a"))
    at = table.schema.get_field_index("t.hipt.contribution")
    field = table.schema.field(at).with_metadata({BELOW: b"x"})
    pa.parquet.write_table(table.cast(table.schema.set(at, field)), results.shard("attend", "a"))
    with pytest.raises(HiptError, match=r"a\.parquet: is damaged .*delete it"):
        read_maps(results.shard("attend", "a"))


@pytest.mark.parametrize("slide_id", NAMES.values(), ids=NAMES)
def test_maps_whose_colours_mean_the_same_are_side_by_side(results: Results, slide_id: str):
    row = overview(results, slide_id)
    figures = dict(side_by_side(slide(slide_id), row, results))
    assert list(figures) == ["attention", "t.contribution"]
    shown = {name: [item.get_text() for item in figure.texts] for name, figure in figures.items()}
    labels = ["H&E", "attention", "t.abmil.region"]
    ends = ["percentile within the slide", "0 %", "100 %", "100 µm"]
    assert shown["attention"] == [f"{slide_id}: attention", *labels, *ends]
    root = ET.fromstring(svg_text(figures["t.contribution"], "a"))
    texts = {
        "".join(item.itertext()).strip() for item in root.iter("{http://www.w3.org/2000/svg}text")
    }
    assert {f"{slide_id}: t.contribution", "for 正常", "for 肿瘤"} <= texts


@pytest.mark.parametrize("slide_id", NAMES.values(), ids=NAMES)
def test_pictures_of_a_slide_of_any_name_are_the_same_each_time(results: Results, slide_id: str):
    row = overview(results, slide_id)
    draw(slide(slide_id), row, results)
    folder = results.maps(slide_id)
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(first) == {"heads.png", "qupath.geojson"} | {
        f"{name}.{kind}" for name in slide().maps for kind in ("png", "tif")
    }
    draw(slide(slide_id), row, results)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first
    assert min(read_rgb(folder / "heads.png").shape[:2]) > 100


def test_without_stage_2_components_are_drawn_and_glass_keeps_its_colours(results: Results):
    made, row = slide(), overview(results, "a")
    tissue = pa.array([1.0, 0, 1, 1, 1, 1], pa.float32())
    manifest = made.manifest.set_column(6, "tissue", tissue)
    maps = {"component1": made.maps["attention"], "t.abmil.region": made.maps["t.abmil.region"]}
    made = SlideMaps("a", manifest, np.empty((6, 0), np.float32), maps, {})
    write_maps(results.shard("attend", "a"), made, MADE)
    found = read_maps(results.shard("attend", "a"))
    assert (found.attention.shape, list(found.maps)) == ((6, 0), list(maps))
    draw(found, row, results)
    names = {path.name for path in results.maps("a").iterdir()}
    assert names == {f"{name}.{kind}" for name in maps for kind in ("png", "tif")} | {
        "qupath.geojson"
    }
    assert [name for name, _ in side_by_side(found, row, results)] == ["components", "attention"]
    pixels = tifffile.imread(results.maps("a") / "component1.tif")
    shown = enlarged(read_rgb(results.overview("segment", "a")), LEAST_PX)
    height, width = shown.shape[:2]
    inside = (slice(20, height // 2 - 20), slice(width // 3 + 20, 2 * width // 3 - 20))
    difference = np.abs(pixels.astype(int) - shown)  # the pyramid is JPEG
    assert difference[inside].mean() < 12
    beside = (inside[0], slice(20, width // 3 - 20))
    assert difference[beside].mean() > 30
