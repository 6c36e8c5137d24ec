"""`hipt bench`: rates, what binds, and hours."""

from __future__ import annotations

import json
import math
import re
import time
from pathlib import Path

import pytest

from hipt.errors import HiptError
from hipt.slides.tiled_tiff import TiledTiff, TileLevel
from hipt.steps import bench
from tests.slidemaker import tissue_picture, write_slide

SHAPE = {"depth": 1, "dim": 16, "heads": 2}


def arguments(folder: Path, reader: str = "auto", **patches: object) -> list[str]:
    values = {
        "slides": {"sheet": str(folder / "slides.csv"), "reader": reader},
        "results": str(folder / "not" / "there"),
        "tile": {"region_px": 256, "patch_px": 64},
        "embed": {
            "patches": patches or {"shape": SHAPE, "weights": str(folder / "absent.pth")},
            "regions": {"shape": SHAPE, "random": 2},
        },
    }
    few = ["--threads", "2", "--slides", "2", "--regions", "3", "--seconds", "0.1"]
    return ["--cfg", json.dumps(values), *few]


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    write_slide(tmp_path / "a.svs", tissue_picture(1024, 768))
    write_slide(tmp_path / "b.svs", tissue_picture(2048, 1536), mpp=0.25)
    write_slide(tmp_path / "c.svs", tissue_picture(1024, 768), mpp=None)
    (tmp_path / "slides.csv").write_text("slide_id,path\na,a.svs\nb,b.svs\nc,c.svs\n")
    return tmp_path


def said(head: str, out: str) -> str:
    """A line of the answer."""
    (line,) = re.findall(rf"^{head} +(.*)$", out, re.M)
    return str(line)


def rate(line: str) -> float:
    return float(line.split()[0].replace(",", ""))


def test_rates_and_what_follows_from_them(cohort: Path, capsys: pytest.CaptureFixture[str]):
    bench.main(arguments(cohort))  # the weights are absent, and not needed
    out = capsys.readouterr().out
    assert "3 slides, 2 can be embedded" in out
    assert "at most 3 regions each of 2 slides, 2 threads" in out
    rows = re.findall(
        r"^ +([ab]) +(0\.\d+) +direct +([\d,.]+) +([\d,.]+) +([\d.]+) +([\d,.]+)$", out, re.M
    )
    assert [row[:2] for row in rows] == [("a", "0.5"), ("b", "0.25")]
    decoders, readers = ([float(row[i].replace(",", "")) for row in rows] for i in (2, 3))
    for decoder, reader, row in zip(decoders, readers, rows, strict=True):
        assert float(row[4]) == pytest.approx(reader / decoder, rel=0.02, abs=0.006)
    decoder, reader = (len(one) / sum(1 / r for r in one) for one in (decoders, readers))
    assert rate(said("reader", out)) == pytest.approx(reader, rel=0.02)
    model, pipeline = rate(said("model", out)), rate(said("pipeline", out))
    others = re.findall(r"^ +([\d,.]+) patches/s in (\w+ by \w+)$", out, re.M)
    assert min(model, pipeline, *(rate(other) for other, _ in others)) > 0
    (first,) = re.findall(r", (\w+ by \w+);", said("model", out))
    ways = {f"{p} by {e}" for p in ("fp32", "bf16") for e in ("torch", "openvino")}
    assert {first, *(how for _, how in others)} == ways
    share = float(re.search(r"([\d.]+) of the slower of decoder and model", out)[1])
    assert share == pytest.approx(pipeline / min(model, decoder), rel=0.02, abs=0.006)
    binds = "the model sets it" if reader >= model else "reading sets it"
    assert said("pace", out).startswith(binds)
    assert "the disk" not in out
    # both are an ellipse of 410 x 307 um in a box of 4 x 3 regions
    assert "of 384 patches of 2 slides, background: embed" in said("time", out)
    assert not (cohort / "not").exists()


def test_tissue_and_slides_engine_by_engine(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_slide(tmp_path / "a.svs", tissue_picture(2048, 1536))
    write_slide(tmp_path / "b.svs", tissue_picture(4096, 3072), mpp=0.25)
    (tmp_path / "slides.csv").write_text("slide_id,path\na,a.svs\nb,b.svs\n")
    bench.main(arguments(tmp_path))
    out = capsys.readouterr().out
    row = r"^ +(\w+ by \w+) +(embed|sample) +([\d,.]+) +([\d,.]+) +([\d,.]+)$"
    found = {
        (how, way): [float(x.replace(",", "")) for x in numbers]
        for how, way, *numbers in re.findall(row, out, re.M)
    }
    (first,) = re.findall(r", (\w+ by \w+);", said("model", out))
    assert {how for how, _ in found} == {
        first,
        *re.findall(r"patches/s in (\w+ by \w+)$", out, re.M),
    }
    assert len(found) == 8
    assert found[first, "embed"][0] == pytest.approx(rate(said("pipeline", out)), rel=0.01)
    (computed,) = re.findall(r"about ([\d,]+) of [\d,]+ patches", said("time", out))
    (saved,) = re.findall(r"`embed.patches.background: sample` leaves out (\d+)%", out)
    assert 0 < int(saved) < 100
    tissue_mm2 = 2 * math.pi / 4 * 0.8192 * 0.6144  # two ellipses
    for (how, way), (patches_per_s, mm2_per_h, slides) in found.items():
        part = 1 if way == "embed" else 1 - int(saved) / 100
        hours = float(computed.replace(",", "")) * part / patches_per_s / 3600
        assert patches_per_s == found[how, "embed"][0]
        assert slides == pytest.approx(12 * 2 / hours, rel=0.03)
        assert mm2_per_h == pytest.approx(tissue_mm2 / hours, rel=0.1)  # as tissue is found


def test_a_decoder_that_cannot_be_had_alone(cohort: Path, capsys: pytest.CaptureFixture[str]):
    bench.main(arguments(cohort, reader="openslide"))
    out = capsys.readouterr().out
    assert len(re.findall(r"^ +[ab] +0\.\d+ +openslide +- +[\d,.]+ +- +[\d,.]+$", out, re.M)) == 2
    assert "of the slower of reader and model" in said("pipeline", out)


def test_a_slow_disk_is_told_from_a_slow_start(
    cohort: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """Each tile waits when it is read for the first time, as from a disk far away."""
    data, seen = TiledTiff.data, set()

    def slow(self: TiledTiff, level: TileLevel, index: int) -> bytes:
        place = int(level.offsets[index]), int(level.counts[index])
        if place not in seen:
            seen.add(place)
            time.sleep(0.1)
        return data(self, level, index)

    monkeypatch.setattr(TiledTiff, "data", slow)
    bench.main(arguments(cohort))
    out = capsys.readouterr().out
    disk = re.search(r"but the disk gives ([\d,.]+) patches/s, less than all else takes", out)
    assert 0 < float(disk[1].replace(",", "")) < rate(said("pipeline", out))


def test_a_cohort_without_tissue(tmp_path: Path):
    glass = tissue_picture(1024, 768)
    glass[:] = 243
    write_slide(tmp_path / "a.svs", glass)
    (tmp_path / "slides.csv").write_text("slide_id,path\na,a.svs\n")
    with pytest.raises(HiptError, match="none of the 1 slides that were tried can be embedded"):
        bench.main(arguments(tmp_path))


def test_imported_patches_have_no_model(cohort: Path):
    with pytest.raises(HiptError, match="patches are imported"):
        bench.main(arguments(cohort, features=str(cohort / "{slide_id}.h5")))


def test_no_threads(cohort: Path):
    with pytest.raises(HiptError, match="--threads: must be 1 or more, got 0"):
        bench.main([*arguments(cohort), "--threads", "0"])
