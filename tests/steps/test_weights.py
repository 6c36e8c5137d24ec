"""`hipt weights`: show and convert, there and back."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch

from hipt.config.config import PatchEncoderConfig, ViTShape
from hipt.embedding.weights_files import (
    load_patch_encoder,
    read_weights,
    write_weights,
)
from hipt.embedding.weights_metadata import file_normalisation
from hipt.errors import HiptError
from hipt.nn.vit import initialise, vit256, vit4096
from hipt.steps import weights
from tests.embedding.networkmaker import Dinov2, in_chunks

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


def test_convert_writes_the_normalisation_that_the_card_gives(file: Path, tmp_path: Path):
    target = tmp_path / "uni.safetensors"
    mean, std = ["0.485", "0.456", "0.406"], ["0.229", "0.224", "0.225"]
    weights.main(["convert", str(file), str(target), "--mean", *mean, "--std", *std])
    assert file_normalisation(target) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert read_weights(target).metadata["recipe"] == "made here"
    encoder = load_patch_encoder(PatchEncoderConfig(shape=SHAPE, weights=str(target)))
    assert encoder.std.flatten().tolist() == pytest.approx([0.229, 0.224, 0.225])
    kept = tmp_path / "kept.safetensors"
    weights.main(["convert", str(target), str(kept)])
    assert file_normalisation(kept) == file_normalisation(target)


NO_NORMALISATION = {
    "mean and std belong together": ("x.safetensors", ["--mean", "0.5", "0.5", "0.5"]),
    "less than or equal to 1, got": (
        "x.safetensors",
        ["--mean", "123", "116", "103", "--std", "1", "1", "1"],
    ),
    "carries no mean and std; name it": (
        "x.pth",
        ["--mean", "0.5", "0.5", "0.5", "--std", "0.5", "0.5", "0.5"],
    ),
}


@pytest.mark.parametrize("sentence", NO_NORMALISATION)
def test_a_normalisation_that_cannot_be_written(sentence: str, file: Path, tmp_path: Path):
    name, options = NO_NORMALISATION[sentence]
    with pytest.raises(HiptError, match=sentence):
        weights.main(["convert", str(file), str(tmp_path / name), *options])
    assert not (tmp_path / name).exists()


def test_half_precision_is_written_in_fp32(file: Path, tmp_path: Path):
    state = read_weights(file).state
    for dtype in (torch.float16, torch.bfloat16):
        torch.save({name: x.to(dtype) for name, x in state.items()}, tmp_path / "half.pth")
        weights.main(["convert", str(tmp_path / "half.pth"), str(tmp_path / "x.safetensors")])
        for name, x in read_weights(tmp_path / "x.safetensors").state.items():
            assert torch.equal(x, state[name].to(dtype).float())


def test_other_names_are_shown_and_written_as_timm_names_them(tmp_path: Path):
    """DINOv2's with registers: the class token takes its position, as timm keeps it."""
    network = in_chunks(Dinov2(24, 3, registers=4, swiglu=True))
    state = {f"backbone.{name}": x for name, x in network.state_dict().items()}
    torch.save({"teacher": state | {"dino_head.0.weight": torch.ones(2)}}, tmp_path / "t.pth")
    assert (
        "taken       teacher.backbone (35 tensors), its blocks out of their chunks, the names of "
        "DINOv2 read as timm's; left aside: teacher.dino_head (1 tensor), mask_token (1 tensor)"
    ) in weights.show(tmp_path / "t.pth")
    weights.main(["convert", str(tmp_path / "t.pth"), str(tmp_path / "t.safetensors")])
    size = {"embed_dim": 24, "num_heads": 3, "depth": 2, "img_size": 224}
    model = timm.create_model("vit_giant_patch14_reg4_dinov2", num_classes=0, **size)
    model.load_state_dict(read_weights(tmp_path / "t.safetensors").state, strict=True)


def test_convert_to_something_else(file: Path, tmp_path: Path):
    with pytest.raises(HiptError, match=r"name it \.safetensors"):
        weights.main(["convert", str(file), str(tmp_path / "x.bin")])
