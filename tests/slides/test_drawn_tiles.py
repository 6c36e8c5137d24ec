"""Tiles drawn on slides as questions for the benchmarks: cut where drawn, and never trained on."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from benchmarks import tiles
from hipt.slides.slide import open_slide

GLASS_AND_TISSUE = {
    "glass": [[0, 0, 512, 256]],
    "tissue": [[900, 700, 256, 512], [1300, 700, 256, 256]],
}


def test_tiles_are_the_pixels_of_their_rectangles(tiny_slide: Path):
    pixels, labels, groups = tiles.cut(tiny_slide, GLASS_AND_TISSUE)
    assert labels.tolist() == [0, 0, 1, 1, 1]
    assert groups.tolist() == [0, 0, 1, 1, 2]
    corners = [(0, 0), (256, 0), (900, 700), (900, 956), (1300, 700)]
    with open_slide(tiny_slide) as slide:
        wanted = [slide.read(0, x, y, 256, 256) for x, y in corners]
    np.testing.assert_allclose(pixels.astype(int), np.stack(wanted), atol=1)


@pytest.mark.parametrize(
    ("rectangle", "reason"),
    [
        ([1900, 0, 256, 256], "leaves the slide"),
        ([1000, 500, 256, 256], "too near"),  # on another class
        ([1300, 960, 256, 256], "too near"),  # 2 um from one of its class
    ],
)
def test_a_misdrawn_rectangle_is_refused(tiny_slide: Path, rectangle: list[int], reason: str):
    kind = "glass" if rectangle[0] == 1000 else "tissue"
    drawn = GLASS_AND_TISSUE | {kind: [*GLASS_AND_TISSUE[kind], rectangle]}
    with pytest.raises(ValueError, match=reason):
        tiles.cut(tiny_slide, drawn)


def test_alike_tiles_differ_in_no_mean_and_no_deviation():
    random = np.random.default_rng(0)
    shades = random.uniform(60, 230, (6, 1, 1, 3))
    noise = random.normal(0, 1, (6, 64, 64, 3)) * random.uniform(5, 40, (6, 1, 1, 1))
    pixels = np.clip(shades + noise, 0, 255).astype(np.uint8)
    alike = tiles.colours_alike(pixels).astype(float)
    assert pixels.mean((1, 2)).std(0).min() > 10
    assert alike.mean((1, 2)).std(0).max() < 0.1
    assert alike.std((1, 2)).std(0).max() < 0.1
    for before, after in zip(pixels, alike, strict=True):  # what is bright stays bright
        assert np.corrcoef(before[..., 1].ravel(), after[..., 1].ravel())[0, 1] > 0.98


def test_a_question_that_colour_answers_is_asked_with_colours_alike_only(
    tiny_slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked = {"slide": tiny_slide.name, "repository": "github.com/x/y", "classes": GLASS_AND_TISSUE}
    drawn = [{"name": "a", "colour_answers": True} | asked]
    drawn.append({"name": "b", "colour_answers": False} | asked)
    monkeypatch.setattr(tiles, "DRAWN", tmp_path / "drawn.json")
    tiles.DRAWN.write_text(json.dumps({"questions": drawn}))
    questions, sources = tiles.drawn_questions(tiny_slide.parent, alike=False)
    assert [question.name for question in questions] == ["b drawn"]
    assert sources == ["github.com/x/y tiny.svs"]
    questions, _ = tiles.drawn_questions(tiny_slide.parent, alike=True)
    assert [question.name for question in questions] == ["a alike", "b alike"]
    assert questions[0].labels.tolist() == [0, 0, 1, 1, 1]
    with pytest.raises(ValueError, match="holds no tiny"):
        tiles.drawn_questions(tmp_path, alike=True)


def test_every_drawn_class_has_tiles_and_groups_enough(shared_dir: Path):
    total = 0
    for question in json.loads(tiles.DRAWN.read_text())["questions"]:
        (path,) = (shared_dir / "slides").rglob(question["slide"])
        _, labels, groups = tiles.cut(path, question["classes"])
        total += len(labels)
        for kind in np.unique(labels):
            assert (labels == kind).sum() >= 25, question["name"]
            assert len(np.unique(groups[labels == kind])) >= 6, question["name"]
    assert total >= 600


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(Path(tiles.__file__).parent)
    return importlib.import_module("bench_real_tissue")


@pytest.mark.parametrize(
    ("trained_on", "seen"),
    [
        (["b.svs", "c.tif"], None),
        (["b.svs", "d.tif"], "d.tif"),  # a tile comes from it
        (["a.svs", "b.svs"], "a.svs"),  # from another slide of its repository
    ],
)
def test_no_slide_of_a_question_was_trained_on(
    tmp_path: Path, bench: ModuleType, trained_on: list[str], seen: str | None
):
    slides, folder = tmp_path / "slides" / "whole", tmp_path / "run"
    slides.mkdir(parents=True)
    folder.mkdir()
    lines = ["filename,source_repo", "a.svs,github.com/x/one", "b.svs,github.com/x/two"]
    (slides.parent / "slides.csv").write_text("\n".join(lines) + "\n")
    rows = ["slide_id,path", *(f"{name[0]},{slides / name}" for name in trained_on)]
    (folder / "slides.csv").write_text("\n".join(rows) + "\n")
    sources = ["github.com/x/one HE.dzi", "github.com/x/three d.tif"]
    if seen is None:
        bench.refuse_seen(folder, slides.parent, sources)
        return
    with pytest.raises(SystemExit, match=f"trained on {seen}, "):
        bench.refuse_seen(folder, slides.parent, sources)
