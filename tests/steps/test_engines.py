"""Both embedding steps by one engine and by the other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hipt.config.config import Config
from hipt.config.step_settings import ReportSettings, settings
from hipt.embedding.engines.record import read_records
from hipt.steps import report
from hipt.store.shard import read_provenance
from hipt.store.tables import PatchEmbeddings, read_table
from tests.slidemaker import tissue_picture, write_slide
from tests.steps.conftest import Chain
from tests.watched import asked_for, watched

STAGES = ("embed_patches", "embed_regions")


@pytest.fixture
def tiled(chain: Chain) -> Chain:
    """Two slides, up to their manifests."""
    write_slide(chain.folder / "a.svs", tissue_picture(1024, 768))
    write_slide(chain.folder / "b.svs", tissue_picture(1024, 768, seed=2))
    chain.sheet("slide_id,path\na,a.svs\nb,b.svs\n")
    chain.upto("tile")
    return chain


def embedded(chain: Chain, engine: str, *more: str) -> dict[str, np.ndarray]:
    """The vectors of both stages, with an engine."""
    for step in STAGES:
        chain.call(step, "--engine", engine, *more)
    return vectors(chain)


def vectors(chain: Chain) -> dict[str, np.ndarray]:
    patches = PatchEmbeddings(chain.results.shard("embed_patches", "a"))
    grids = np.concatenate([patches.grid(i) for i in range(len(patches))])
    table = read_table(chain.results.shard("embed_regions", "a"))
    regions = np.array(table["embedding"].to_pylist())
    return {"embed_patches": grids.astype(np.float64), "embed_regions": regions}


def software(chain: Chain, step: str, slide: str = "a") -> dict[str, Any]:
    return dict(read_provenance(chain.results.shard(step, slide)).software)


def test_both_engines_make_the_same_vectors(tiled: Chain):
    by_torch = embedded(tiled, "torch")
    marks = {step: tiled.results.shard(step, "a").stat().st_mtime_ns for step in STAGES}
    assert {software(tiled, step)["engine"] for step in STAGES} == {"torch"}
    assert not tiled.results.engines.exists(), "nothing was tried"
    embedded(tiled, "openvino")
    for step in STAGES:
        kept = tiled.results.shard(step, "a").stat().st_mtime_ns
        assert kept == marks[step], f"{step}: made again by another engine"
        for slide in "ab":
            tiled.results.shard(step, slide).unlink()
    by_openvino = embedded(tiled, "openvino")
    for step in STAGES:
        assert software(tiled, step)["engine"] == "openvino"
        off = np.abs(by_openvino[step] - by_torch[step]).max()
        assert off < 2e-3 * by_torch[step].std(), step  # patch vectors are kept in float16


def test_what_was_tried_is_remembered_and_said(tiled: Chain, caplog: pytest.LogCaptureFixture):
    with caplog.at_level("INFO"):
        embedded(tiled, "auto")
    records = read_records(tiled.results.engines)
    assert [record.step for record in records] == list(STAGES)
    for record in records:
        assert (record.engine, record.precision) == ("openvino", "fp32")
        assert record.chosen.agreement.most_off < 1e-4
        assert record.made_with.keys() == {"cpu", "hipt", "torch", "openvino"}
    lines = [r.message for r in caplog.records if r.message.startswith("engine: computes")]
    assert len(lines) == 2
    assert "computing on CPU in fp32 by openvino" in caplog.text
    caplog.clear()
    for slide in "ab":
        tiled.results.shard("embed_patches", slide).unlink()
    with caplog.at_level("INFO"):
        tiled.call("embed_patches", "--engine", "auto")
    assert "as tried before on" in caplog.text


def test_the_page_shows_what_was_tried(tiled: Chain):
    embedded(tiled, "auto")
    tiled.table()
    out = tiled.results.root / "report.html"
    report.run(
        tiled.results.slides, out, ReportSettings(config=Config.model_validate(tiled.values))
    )
    text = re.sub(r"\s*<[^>]+>\s*", " ", out.read_text().partition("<h3>Engines</h3>")[2])
    for step in STAGES:
        numbers = r"\d+ +[\d.e+]+ +\d\.\de-\d+ +1\.0000 +100\.0 %"
        assert re.search(rf"{step} +openvino +fp32 +{numbers} +computes", text), text[:800]
        assert re.search(rf"{step} +torch +fp32 .+? not taken", text)
    assert "engine openvino" in out.read_text(), "beside the weights"


def test_threads_change_no_byte(tiled: Chain):
    once = {}
    for threads in ("1", "2", "3"):
        for step in STAGES:
            for slide in "ab":
                tiled.results.shard(step, slide).unlink(missing_ok=True)
            tiled.call(step, "--engine", "openvino", "--threads", threads)
        files = {step: tiled.results.shard(step, "b").read_bytes() for step in STAGES}
        assert files == (once := once or files)


def test_a_batch_whose_first_slide_is_broken(tiled: Chain):
    """Engines are tried on the next one."""
    (tiled.folder / "a.svs").write_bytes(b"no longer a slide")
    rows = tiled.call("embed_patches", "--engine", "auto")
    assert [rows[slide]["status"] for slide in "ab"] == ["unreadable", "ok"]
    assert software(tiled, "embed_patches", "b")["engine"] == "openvino"


@pytest.mark.parametrize("engine", ["auto", "torch"])
def test_a_job_opens_no_socket(tiled: Chain, tmp_path: Path, engine: str):
    """Python tells of every connection and look-up, whoever asks for it; all are refused."""
    cfg = settings("embed_patches", Config.model_validate(tiled.values)).model_dump_json()
    index = [str(tiled.results.index(step, "b0000")) for step in ("tile", "embed_patches")]
    arguments = ["--tile", index[0], "--out", index[1], "--cfg", cfg, "--engine", engine]
    done = watched(["-m", "hipt", "embed_patches", *arguments], tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"by {'torch' if engine == 'torch' else 'openvino'}" in done.stderr
    assert [row["status"] for row in read_table(Path(index[1])).to_pylist()] == ["ok", "ok"]
    assert asked_for(tmp_path) == set()
