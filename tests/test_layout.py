"""The layout of the results folder, as docs/outputs.md and the rules name it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hipt.layout import Results
from hipt.registry import SHARDED

RESULTS = Results(Path("out"))


@pytest.mark.parametrize(
    ("found", "named"),
    [
        (RESULTS.batches, "out/batches.csv"),
        (RESULTS.slides, "out/slides.parquet"),
        (RESULTS.probe, "out/probe.parquet"),
        (RESULTS.report, "out/report.html"),
        (RESULTS.index("tile", "b0003"), "out/tile/index/b0003.parquet"),
        (RESULTS.seconds("tile", "b0003"), "out/benchmarks/tile/b0003.slides.csv"),
        (RESULTS.shard("segment", "a.b"), "out/segment/a.b.png"),
        (RESULTS.shard("tile", "a.b"), "out/tile/a.b.parquet"),
        (RESULTS.shard("embed_patches", "0012"), "out/embed_patches/0012.arrow"),
        (RESULTS.shard("embed_regions", "0012"), "out/embed_regions/0012.parquet"),
        (RESULTS.overview("tile", "a.b"), "out/tile/a.b.jpg"),
        (RESULTS.contours("a.b"), "out/segment/a.b.geojson"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_layout(found: Path, named: str):
    assert found == Path(named)


@pytest.mark.parametrize("step", SHARDED)
def test_an_index_knows_its_folder(step: str):
    assert Results.of_index(RESULTS.index(step, "b0000")) == RESULTS
