"""Which files are results, and what they belong to."""

from __future__ import annotations

from pathlib import Path

import pytest

from hipt.audit.files import compared_files, place_of, rank, result_files, shard_of
from hipt.registry import STEPS

PLACES = {
    "batches.csv": ("batches", "", ""),
    "slides.parquet": ("slides", "", ""),
    "segment/a.b.png": ("segment", "slide", "a.b"),
    "tile/index/b0001.parquet": ("tile", "batch", "b0001"),
    "embed_patches/a.arrow": ("embed_patches", "slide", "a"),
    "embed_regions/a.parquet": ("embed_regions", "slide", "a"),
    "probe.parquet": ("probe", "", ""),
    "agreement.parquet": ("agreement", "", ""),
    "attend/a/grade.abmil.region.png": ("attend", "slide", "a"),
    "models/vit256.corpus.csv": ("pretrain_patches", "model", "vit256"),
    "models/vit4096.safetensors": ("pretrain_regions", "model", "vit4096"),
    "tasks/t/folds.parquet": ("split", "task", "t"),
    **{
        f"tasks/t/{name}.parquet": ("evaluate", "task", "t")
        for name in ("scores", "differences", "roc", "calibration", "survival", "errors")
    },
    "tasks/t/published.parquet": ("evaluate", "task", "t"),
    "knn/t.published.parquet": ("knn", "task", "t"),
    "tasks/t/examples.jpg": ("examples", "task", "t"),
    "figures/examples-t.svg": ("report", "", ""),
    "figures/a-roc.pdf": ("report", "", ""),
    "figures/attend/a/attention.svg": ("report", "", ""),
    "tasks/t/abmil/0.5/fold_1.safetensors": ("fit", "task", "t/abmil/0.5"),
    "knn/t.scores.parquet": ("knn", "task", "t"),
    "export/clam.parquet": ("export", "format", "clam"),
    "export/clam/.hipt/a.json": ("export", "format", "clam"),
    "notes.txt": ("other", "", ""),
    "mine/notes.txt": ("other", "", ""),
}


@pytest.mark.parametrize("name", PLACES)
def test_places(name: str):
    assert tuple(place_of(name)) == PLACES[name]


def test_shards():
    assert shard_of("segment/a.b.jpg") == "segment/a.b.png"
    assert shard_of("attend/a/heads.png") == "attend/a.parquet"
    assert shard_of("tile/index/b0000.parquet") is None


def test_every_step_has_its_place():
    made = [name for name, step in STEPS.items() if step.version]
    assert {step for step, _, _ in PLACES.values()} == {"batches", *made, "other"}
    assert sorted(["other", *reversed(made), "batches"], key=rank) == ["batches", *made, "other"]


def test_what_varies_and_what_is_unfinished_is_no_result(tmp_path: Path):
    kept = {"segment/a.png", "export/clam/.hipt/a.json", "models/vit256.safetensors", "batches.csv"}
    left = {"report.html", "digests.json", "logs/x/a.log", "benchmarks/a.tsv"}
    left |= {"models/.vit256/checkpoint.pt", "models/old/2026/vit256.safetensors"}
    left |= {"segment/.a.0a1b2c3d.part.png"}
    for name in kept | left:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert result_files(tmp_path) == sorted(kept)
    assert compared_files(tmp_path) == sorted(kept - {"batches.csv"})
