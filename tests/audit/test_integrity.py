"""Files of every kind are read back; damage is said in a few words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from hipt.audit.integrity import trouble
from hipt.embedding.weights_files import write_weights
from hipt.exchange.files import write_h5, write_pt
from hipt.heatmaps.pyramids import write_pyramid
from hipt.store.images import write_jpeg, write_png
from hipt.store.schemas import METRICS
from hipt.store.tables import write_rows

RNG = np.random.default_rng(3)
PICTURE = RNG.integers(0, 255, (300, 400, 3), dtype=np.uint8)

Writer = Callable[[Path], object]
WRITERS: dict[str, Writer] = {
    "attend/a/heads.png": lambda path: write_png(path, PICTURE),
    "segment/a.jpg": lambda path: write_jpeg(path, PICTURE),
    "attend/a/map.tif": lambda path: write_pyramid(path, PICTURE, 0.5),
    "export/hipt/a.pt": lambda path: write_pt(path, np.ones((3, 4), np.float32)),
    "export/trident/a.h5": lambda path: write_h5(path, {"features": np.ones((900, 8))}, {}),
    "models/vit256.safetensors": lambda path: write_weights(path, {"w": torch.zeros(50)}, {}),
    "models/vit256.metrics.parquet": lambda path: write_rows(path, [], METRICS),
    "segment/a.geojson": lambda path: path.write_text('{"type": "FeatureCollection"}'),
    "batches.csv": lambda path: path.write_text("slide_id,batch,row_digest\na,b0000,12\n"),
    "tasks/t/members.csv": lambda path: path.write_text("case_id,fold\na,1\n"),
    "notes.txt": lambda path: path.write_text("anything"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_whole_files_are_in_order(tmp_path: Path, name: str):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    WRITERS[name](path)
    assert trouble(tmp_path, name) == ""


@pytest.mark.parametrize("name", sorted(set(WRITERS) - {"notes.txt", "tasks/t/members.csv"}))
def test_cut_files_are_named(tmp_path: Path, name: str):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    WRITERS[name](path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert trouble(tmp_path, name)


def test_a_file_that_nobody_may_read(tmp_path: Path):
    (tmp_path / "notes.txt").mkdir()
    assert trouble(tmp_path, "notes.txt").startswith("cannot be read (")


def test_a_text_that_is_none(tmp_path: Path):
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "members.csv").write_bytes(b"\xff\xfe")
    assert trouble(tmp_path, "tasks/members.csv").startswith("cannot be read ('utf-8'")


def test_a_fold_without_its_facts(tmp_path: Path):
    name = "tasks/t/abmil/1/fold_0.safetensors"
    write_weights(tmp_path / name, {"logits": torch.zeros(2, 2)}, {})
    assert "is no fold of a fit" in trouble(tmp_path, name)
