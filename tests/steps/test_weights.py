"""`hipt weights`: show and convert, there and back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hipt.config.config import ViTShape
from hipt.embedding.weights_files import read_weights, write_weights
from hipt.errors import HiptError
from hipt.nn.vit import initialise, vit256, vit4096
from hipt.steps import weights

SHAPE = ViTShape(depth=2, dim=24, heads=3)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    model = vit256(SHAPE)
    initialise(model, 1)
    path = tmp_path / "vit256.safetensors"
    write_weights(path, model.state_dict(), {"recipe": "made here"})
    return path


def test_show(file: Path, capsys: pytest.CaptureFixture[str]):
    weights.main(["show", str(file)])
    text = capsys.readouterr().out
    assert "ViT of pixels: 2 blocks, 24 wide" in text
    assert "made here" in text
    assert f"{sum(p.numel() for p in vit256(SHAPE).parameters()):,}" in text


def test_show_names_stage_2(tmp_path: Path):
    write_weights(tmp_path / "b.safetensors", vit4096(SHAPE, 384).state_dict(), {})
    assert "grids of 384 features" in weights.show(tmp_path / "b.safetensors")


def test_convert_there_and_back(file: Path, tmp_path: Path):
    dino, back = tmp_path / "dino.pth", tmp_path / "back.safetensors"
    weights.main(["convert", str(file), str(dino)])
    assert torch.load(dino, weights_only=True).keys() == {"teacher"}
    weights.main(["convert", str(dino), str(back)])
    before, after = read_weights(file).state, read_weights(back).state
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_show_and_convert_name_the_network_of_several(tmp_path: Path):
    states = []
    for seed in (1, 2):
        model = vit256(SHAPE)
        initialise(model, seed)
        states.append({f"backbone.{name}": x for name, x in model.state_dict().items()})
    source, target = tmp_path / "dino.pth", tmp_path / "student.safetensors"
    torch.save({"teacher": states[0], "student": states[1]}, source)
    assert (
        "taken       teacher.backbone (30 tensors); left aside: student.backbone (30 tensors)"
        in weights.show(source)
    )
    weights.main(["convert", str(source), str(target), "--which", "student"])
    taken = read_weights(target).state
    assert torch.equal(taken["pos_embed"], states[1]["backbone.pos_embed"])


def test_show_lists_networks_that_may_be_meant(tmp_path: Path):
    states = {}
    for seed, name in enumerate(("model", "net")):
        model = vit256(SHAPE)
        initialise(model, seed)
        states[name] = model.state_dict()
    torch.save(states, tmp_path / "two.pth")
    with pytest.raises(HiptError, match=r"may be meant \(model, net\); choose one by --which"):
        weights.show(tmp_path / "two.pth")
    assert "taken       net (30 tensors); left aside: model" in weights.show(
        tmp_path / "two.pth", "net"
    )


def test_convert_to_something_else(file: Path, tmp_path: Path):
    with pytest.raises(HiptError, match=r"name it \.safetensors"):
        weights.main(["convert", str(file), str(tmp_path / "x.bin")])
