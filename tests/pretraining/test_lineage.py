"""What weights have seen: their own corpus, and that of the weights that they began with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from hipt.embedding.weights_files import write_weights
from hipt.errors import HiptError
from hipt.pretraining.corpus_list import Member, write_corpus_list
from hipt.pretraining.lineage import seen_by


def weights(path: Path, init: str | None, *slides: str) -> Path:
    """A model as `pretrain` leaves it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_weights(path, {"x": torch.zeros(1)}, {"recipe": json.dumps({"init": init})})
    if slides:
        write_corpus_list(path.with_suffix(".corpus.csv"), [Member(s, "f", 1, 1) for s in slides])
    return path


def names(*paths: Path) -> tuple[set[str], tuple[str, ...]]:
    seen = seen_by([str(path) for path in paths])
    return {member.slide_id for member in seen.members}, seen.unknown


def test_the_corpus_of_the_first_weights_and_of_theirs(tmp_path: Path):
    oldest = weights(tmp_path / "a" / "oldest.safetensors", None, "s1", "s2")
    older = weights(tmp_path / "b" / "older.safetensors", str(oldest), "s2", "s3")
    model = weights(tmp_path / "c" / "vit256.safetensors", str(older), "s4")
    assert names(model) == ({"s1", "s2", "s3", "s4"}, ())


def test_first_weights_beside_the_model(tmp_path: Path):
    weights(tmp_path / "first.safetensors", None, "s1")
    model = weights(tmp_path / "vit256.safetensors", "first.safetensors", "s2")
    assert names(model) == ({"s1", "s2"}, ())


def test_weights_that_name_each_other(tmp_path: Path):
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    weights(one, str(two), "s1")
    weights(two, str(one), "s2")
    assert names(one, two) == ({"s1", "s2"}, ())


def test_what_nobody_knows_is_named(tmp_path: Path):
    released = tmp_path / "released.pth"
    released.touch()
    model = weights(tmp_path / "vit256.safetensors", str(released), "s1")
    gone = weights(tmp_path / "vit4096.safetensors", str(tmp_path / "gone.safetensors"), "s2")
    assert names(model, gone) == ({"s1", "s2"}, (str(released), str(tmp_path / "gone.safetensors")))


def test_a_damaged_list_is_no_clean_audit(tmp_path: Path):
    model = weights(tmp_path / "vit256.safetensors", None, "s1")
    model.with_suffix(".corpus.csv").write_text("no list")
    with pytest.raises(HiptError, match="is not a corpus list"):
        seen_by([str(model)])
