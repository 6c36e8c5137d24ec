"""Damaged files from outside: each ends in a sentence or a status, soon, and in little memory.

HIPT_FUZZ=5000 reads so many of each kind; CI reads a few hundred.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from hipt.errors import HiptError, SlideError
from hipt.io.checkpoints import read_weights
from hipt.io.feature_files import FeatureFiles
from hipt.io.foreign_features import read_features
from hipt.io.settings import read_config
from tests.fuzz.run import MEMORY
from tests.fuzz.targets import TARGETS

COUNT = int(os.environ.get("HIPT_FUZZ", "200"))


@pytest.fixture(scope="module")
def ends() -> dict[str, dict[str, Any]]:
    """How the damaged files of each reader ended."""
    command = [sys.executable, "-m", "tests.fuzz.run", "--json", "--count", str(COUNT)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {one["target"]: one for one in found}


@pytest.mark.parametrize("name", TARGETS)
def test_damaged(ends: dict[str, dict[str, Any]], name: str):
    found = ends[name]
    assert found["findings"] == {}
    assert found["written"] == []
    assert found["more_mib"] < MEMORY >> 20
    assert found["sentence"] + found["status"] > COUNT // 4  # the damage is worth the name


class Attack:
    """What runs when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("how", ["torch", "pickle", "namespace"])
def test_no_checkpoint_runs_code(tmp_path: Path, how: str):
    path, trace = tmp_path / "w.pth", tmp_path / "ran"
    attack = Attack(trace)
    if how == "pickle":
        path.write_bytes(pickle.dumps({"teacher": attack}))
    elif how == "torch":
        torch.save({"teacher": {"w": torch.ones(1)}, "args": attack}, path)
    else:  # the one class that DINO's own checkpoints hold
        torch.save({"teacher": {}, "args": argparse.Namespace(x=attack)}, path)
    with pytest.raises(HiptError, match=r"w\.pth: (holds more than tensors|is damaged)"):
        read_weights(path)
    assert not trace.exists()


def test_no_features_run_code(tmp_path: Path):
    path, trace = tmp_path / "a.h5", tmp_path / "ran"
    with h5py.File(path, "w") as file:
        file["coords"] = np.zeros((1, 2), np.int64)
        held = np.frombuffer(pickle.dumps(Attack(trace)), np.uint8)
        file.create_dataset("features", data=held[None].astype(np.float32))
        file.attrs["model"] = np.void(pickle.dumps(Attack(trace)))
    assert read_features(FeatureFiles(tmp_path), "a").shape == (1, len(held))
    assert not trace.exists()


def test_features_that_claim_more_than_they_hold(tmp_path: Path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["coords"] = np.zeros((4, 2), np.int64)
        file.create_dataset("features", (4, 1 << 40), np.float32, chunks=(1, 1024))
    with pytest.raises(SlideError, match=r"a\.h5: claims 17,592,186,044,416 bytes of features"):
        read_features(FeatureFiles(tmp_path), "a")


@pytest.mark.parametrize(
    "text",
    [
        "slides: " + "[" * 5000,
        "mpp: 2024-99-99",
        "mpp: !!python/object/apply:os.mkdir [ran]",
        "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]",
        "? [1, 2]\n: x",
        "slides: {sheet: " + "x" * 100_000 + "\x00}",
    ],
    ids=["deep", "date", "code", "laughs", "list as key", "long and NUL"],
)
def test_configs_that_are_no_configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(HiptError, match=r"config\.yaml: "):
        read_config(path)
    assert list(tmp_path.iterdir()) == [path]
