"""Heatmaps on their lattice, pictures of slides, and what notebooks show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely

import hipt
from hipt.notebook.opened import OpenedResults
from hipt.pictures.drawing import CONTOUR_COLOUR
from hipt.store.images import read_rgb
from hipt.store.tables import read_table
from tests.notebook.conftest import HOSTILE, SIGNED


def test_layers(opened: OpenedResults):
    assert opened.layers("s0") == ["contours", "regions", "attention", SIGNED, "head 0", "head 1"]
    assert opened.layers("glass") == ["contours"]
    assert opened.layers("gone") == []


@pytest.mark.parametrize("layer", ["attention", SIGNED, "head 1"])
def test_a_heatmap_has_every_value_in_its_place(opened: OpenedResults, folder: Path, layer: str):
    table = read_table(folder / "attend" / "s0.parquet")
    heat = opened.heatmap("s0", layer)
    if layer.startswith("head"):
        wanted = [heads[1] for heads in table["heads"].to_pylist()]
    else:
        wanted = table[layer].to_pylist()
    assert heat.side_px == table["read_px"][0].as_py()
    for x, y, value in zip(table["x"].to_pylist(), table["y"].to_pylist(), wanted, strict=True):
        assert heat.values[(y - heat.y) // heat.side_px, (x - heat.x) // heat.side_px] == value
    assert np.isfinite(heat.values).sum() == len(wanted)
    assert heat.ends == (("first", "second") if layer == SIGNED else None)


def test_every_layer_is_drawn(opened: OpenedResults):
    shown = {layer: opened.show("s0", layer, px=400) for layer in opened.layers("s0")}
    drawn = {layer: figure._repr_png_() for layer, figure in shown.items()}
    assert all(png.startswith(b"\x89PNG") for png in drawn.values())
    assert len(set(drawn.values())) == len(drawn)
    assert opened.show("s0", px=400)._repr_png_() == drawn["attention"]
    with_outline = np.asarray(shown["attention"].findobj(lambda a: hasattr(a, "_rgb"))[0]._rgb)
    assert (np.abs(with_outline.astype(int) - CONTOUR_COLOUR).max(2) < 8).sum() > 100
    texts = {layer: [t.get_text() for t in f.texts] for layer, f in shown.items()}
    assert "s0: attention of stage 2, head 1" in texts["head 1"]
    assert {"first", "second"} <= set(texts[SIGNED])
    assert "100 %" in texts["attention"]
    assert "100 %" not in texts["contours"]
    assert any(text.endswith("µm") for text in texts["contours"])


def test_a_figure_is_as_large_as_asked_for(opened: OpenedResults, tmp_path: Path):
    figure = opened.show("s1", "contours", px=600)
    figure.savefig(tmp_path / "s1.png")
    assert 600 < read_rgb(tmp_path / "s1.png").shape[1] < 700


def test_tissue(opened: OpenedResults):
    slide = opened.slide("s0")
    width, height = slide.row["width_px"], slide.row["height_px"]
    scale = width * height / slide.mask.size
    assert slide.contours.area == pytest.approx(slide.mask.sum() * scale, rel=0.01)
    assert shapely.box(-1, -1, width + 1, height + 1).contains(slide.contours)
    assert slide.overview.shape[1] / slide.overview.shape[0] == pytest.approx(1.5, rel=0.03)


def test_results_show_counts_and_where_to_look(opened: OpenedResults):
    page = opened._repr_html_()
    for cell in ("status ok", "no_tissue", "subtype", "death", "not made yet"):
        assert cell in page
    assert "embed_patches/s0.arrow" in opened.slide("s0")._repr_html_()
    assert "status ok: 2" in repr(opened)


def test_texts_of_files_are_texts(opened: OpenedResults):
    """A file's name stands in the reason of a slide, and in the page as letters."""
    slide = opened.slide("gone")
    assert HOSTILE in slide.row["reason"]
    for page in (opened._repr_html_(), slide._repr_html_()):
        assert "<img src=x" not in page
    assert "&lt;img src=x" in opened._repr_html_()
    assert "data:image/jpeg;base64," in opened.slide("s0")._repr_html_()


def test_maps_that_are_damaged(opened: OpenedResults, folder: Path):
    (folder / "attend" / "s0.parquet").write_bytes(b"PAR1")
    with pytest.raises(hipt.HiptError, match=r"s0\.parquet: not readable as Parquet"):
        opened.show("s0")
