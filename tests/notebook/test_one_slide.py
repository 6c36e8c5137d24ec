"""One slide without a workflow: what the steps write, byte for byte, and sentences."""

from __future__ import annotations

import copy
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import hipt
from hipt.errors import SlideError
from hipt.layout import Results
from hipt.registry import EVERY_SLIDE
from hipt.store.tables import read_table
from tests.once import made_once
from tests.slidemaker import GLASS, tissue_picture, write_slide
from tests.steps.conftest import SHAPE, Chain


def make(folder: Path) -> None:
    """A slide, embedded by the steps as their rules call them."""
    chain = Chain(folder)
    write_slide(folder / "a, b.svs", tissue_picture(768, 512))
    chain.sheet('slide_id,path\n"a, b","a, b.svs"\n')
    chain.upto("embed_regions")


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "notebook-slide", make)


@pytest.fixture
def values(place: Path) -> dict:
    """The settings of the steps, without the sheet."""
    return {name: value for name, value in Chain(place).values.items() if name != "slides"}


def test_all_files_are_those_of_the_workflow(place: Path, values: dict):
    slide = hipt.embed(place / "a, b.svs", threads=1, **values)
    here, there = slide._results, Results(place / "results")
    for step in EVERY_SLIDE:
        path, other = here.shard(step, "a, b"), there.shard(step, "a, b")
        assert path.read_bytes() == other.read_bytes(), step
    for step in ("segment", "tile"):
        path, other = here.overview(step, "a, b"), there.overview(step, "a, b")
        assert path.read_bytes() == other.read_bytes(), step
    assert here.contours("a, b").read_bytes() == there.contours("a, b").read_bytes()
    assert slide.patch_vectors().shape == (len(slide.patches), 16)
    assert slide.region_vectors().shape == (len(slide.regions), 16)
    assert slide.status == "ok"
    assert slide.row["path"] == str(place / "a, b.svs")


def test_a_config_file_says_the_same(place: Path, values: dict, tmp_path: Path):
    """What a run does not need of it is not read: the sheet that it names is nowhere."""
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(values | {"slides": {"sheet": "no.csv"}, "results": "no"}))
    slide = hipt.embed(place / "a, b.svs", config=config)
    table = read_table(Results(place / "results").shard("embed_regions", "a, b"))
    assert slide.regions.to_arrow().to_pylist() == table.to_pylist()
    finer = hipt.tile(place / "a, b.svs", config=config, tile={"region_px": 128})
    assert finer.row["regions"] > slide.row["regions"]
    assert finer.patches["read_px"].unique().to_list() == [64]


def test_a_stage_can_be_left_out(place: Path, values: dict):
    slide = hipt.embed(place / "a, b.svs", stage="patches", **values)
    assert slide.status == "ok"
    assert len(slide.patch_vectors()) == slide.row["patches"]
    with pytest.raises(hipt.HiptError, match="not there"):
        slide.region_vectors()
    one_stage = {**values, "embed": {"patches": {"shape": SHAPE, "random": 1}}}
    assert hipt.embed(place / "a, b.svs", **one_stage).row["region_precision"] is None
    with pytest.raises(hipt.HiptError, match=r"embed\.regions"):
        hipt.embed(place / "a, b.svs", stage="regions", **one_stage)
    with pytest.raises(hipt.HiptError, match="must be 'patches' or 'regions', got 'both'"):
        hipt.embed(place / "a, b.svs", stage="both")  # type: ignore[arg-type]


def test_segment_gives_tissue(tiny_slide: Path):
    slide = hipt.segment(tiny_slide)
    assert (slide.slide_id, slide.status, slide.layers) == ("tiny", "ok", ["contours"])
    area_mm2 = slide.mask.mean() * 2048 * 1536 * 0.25e-6
    assert slide.row["tissue_mm2"] == pytest.approx(area_mm2, rel=0.02)
    coarse = hipt.segment(tiny_slide, segment={"mask_mpp": 16}, slide_id="other")
    assert coarse.slide_id == "other"
    assert coarse.mask.shape[0] == pytest.approx(slide.mask.shape[0] / 2, abs=1)
    assert hipt.segment(tiny_slide, slide_mpp=0.25).row["mpp_source"] == "sheet"


def test_a_mask_of_ones_own(tiny_slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import cv2

    mask = np.zeros((96, 128), np.uint8)
    mask[24:48, 32:64] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    monkeypatch.chdir(tmp_path)
    assert hipt.segment(tiny_slide, mask="mask.png").mask.mean() == pytest.approx(1 / 16, rel=0.05)


def test_glass(tmp_path: Path):
    path = write_slide(tmp_path / "glass.svs", np.full((512, 768, 3), GLASS, np.uint8))
    slide = hipt.segment(path)
    assert slide.status == "no_tissue"
    assert not slide.mask.any()
    with pytest.raises(SlideError, match=r"glass\.svs: ") as caught:
        hipt.tile(path)
    assert caught.value.status == "no_tissue"


def test_trouble_is_a_sentence_about_the_slide(tmp_path: Path):
    with pytest.raises(SlideError, match=r"^\S*none\.svs: no such file$") as caught:
        hipt.segment(tmp_path / "none.svs")
    assert caught.value.status == "missing"
    (tmp_path / "bad.svs").write_text("no slide")
    with pytest.raises(SlideError, match=r"bad\.svs") as caught:
        hipt.embed(tmp_path / "bad.svs", encoder="hipt", weights=tmp_path / "w.pth")
    assert caught.value.status == "unreadable"
    path = write_slide(tmp_path / "plain.tif", tissue_picture(512, 512), None, kind="generic")
    with pytest.raises(SlideError) as caught:
        hipt.tile(path)
    assert caught.value.status == "no_mpp"
    assert hipt.tile(path, slides={"default_mpp": 0.5}).row["mpp_source"] == "default"


def test_settings_are_checked(tiny_slide: Path, tmp_path: Path):
    with pytest.raises(hipt.HiptError, match="unknown key 'segmnt'; did you mean 'segment'"):
        hipt.segment(tiny_slide, segmnt={})
    with pytest.raises(hipt.HiptError, match=r"hipt\.segment: unknown key 'segment\.mask_mp'"):
        hipt.segment(tiny_slide, segment={"mask_mp": 4})
    with pytest.raises(hipt.HiptError, match="not mpp; the slide's own resolution is slide_mpp"):
        hipt.segment(tiny_slide, mpp=0.25)
    with pytest.raises(hipt.HiptError, match=r"no\.pth: no such"):
        hipt.embed(tiny_slide, weights=tmp_path / "no.pth")
    with pytest.raises(hipt.HiptError, match="no such config file"):
        hipt.embed(tiny_slide, config=tmp_path / "no.yaml")
    with pytest.raises(hipt.HiptError, match="column 'mpp': must be a number above 0"):
        hipt.segment(tiny_slide, slide_mpp=-1)
    with pytest.raises(hipt.HiptError, match="column 'mpp': must be a number above 0"):
        hipt.segment(tiny_slide, slide_mpp=0)
    for wrong, key in (("uni2-h", "embed"), ({"patches": "uni2-h"}, r"embed\.patches")):
        with pytest.raises(hipt.HiptError, match=rf"{key}: must be a mapping"):
            hipt.embed(tiny_slide, embed=wrong)
    with pytest.raises(hipt.HiptError, match=r"threads: must be 1 or more, .*, got -1"):
        hipt.embed(tiny_slide, threads=-1)
    with pytest.raises(hipt.HiptError, match="encoder beside embed= says another thing"):
        hipt.embed(tiny_slide, encoder="uni", embed={"patches": {"encoder": "uni2-h"}})


def test_a_tilde_is_ones_own_folder(
    tiny_slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.tif").symlink_to(tiny_slide)
    (tmp_path / "a.yaml").write_text("segment: {mask_mpp: 4}\n")
    assert hipt.segment("~/a.tif", config="~/a.yaml").mask.any()
    with pytest.raises(hipt.HiptError, match=rf"{tmp_path}/no\.pth: no such"):
        hipt.embed("~/a.tif", weights="~/no.pth")


def test_nothing_is_left_behind(
    place: Path, values: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        slide = hipt.embed(place / "a, b.svs", stage="patches", **values)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    held = slide.patch_vectors()
    assert slide._results.root.parent == tmp_path
    del slide
    with pytest.raises(SlideError):
        hipt.segment(tmp_path / "none.svs")
    assert not list(tmp_path.glob("hipt-*/segment"))
    assert held.isfinite().all()


def test_a_copy_holds_the_files_too(tiny_slide: Path):
    slide = copy.copy(hipt.segment(tiny_slide))
    assert slide.mask.any()


PROBE = """
import sys
import hipt
heavy = {"numpy", "torch", "polars", "pyarrow", "pydantic", "matplotlib", "cv2"} & set(sys.modules)
assert not heavy, heavy
assert {"open", "segment", "tile", "embed", "HiptError"} <= set(dir(hipt))
hipt.segment(sys.argv[1])
from hipt import *
assert open is __builtins__.open
"""


def test_import_is_light_and_progress_is_shown(tiny_slide: Path):
    command = [sys.executable, "-c", PROBE, str(tiny_slide)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "1/1 tiny: ok, " in done.stderr


def test_logging_that_is_set_up_is_left_alone(
    tiny_slide: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
):
    log = logging.getLogger("hipt")
    hipt.segment(tiny_slide)  # logging shows warnings alone: hipt shows progress
    assert "1/1 tiny: ok" in capsys.readouterr().err
    assert (log.level, log.propagate, log.handlers) == (logging.NOTSET, True, [])
    with caplog.at_level("WARNING", "hipt"):
        hipt.segment(tiny_slide)
    assert not caplog.records
    with caplog.at_level("INFO"):
        hipt.segment(tiny_slide)
    assert len(caplog.records) == 1
    assert not capsys.readouterr().err


def test_no_other_name():
    with pytest.raises(AttributeError, match="module 'hipt' has no attribute 'opn'"):
        hipt.opn  # noqa: B018
