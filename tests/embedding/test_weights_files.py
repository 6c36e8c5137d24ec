"""Weights files: the released form, ours, and what is said of all others."""

from __future__ import annotations

import argparse
import pickle
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from hipt.config.config import PatchEncoderConfig, RegionEncoderConfig, ViTShape
from hipt.embedding.weights_files import (
    load_patch_encoder,
    load_region_encoder,
    read_weights,
    write_weights,
)
from hipt.errors import HiptError
from hipt.nn.vit import initialise, vit256

SHAPE = ViTShape(depth=2, dim=24, heads=3)


def backbone(seed: int) -> dict[str, torch.Tensor]:
    model = vit256(SHAPE)
    initialise(model, seed)
    return model.state_dict()


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DINO training checkpoint in the form of the released ones."""
    head = {
        f"head.mlp.{i}.{kind}": torch.zeros(4) for i in (0, 2, 4) for kind in ("weight", "bias")
    }
    head |= {
        "head.last_layer.weight_g": torch.ones(8, 1),
        "head.last_layer.weight_v": torch.ones(8),
    }
    path = tmp_path_factory.mktemp("weights") / "vit256_small_dino.pth"
    student = {f"module.backbone.{name}": value for name, value in backbone(1).items()}
    teacher = {f"backbone.{name}": value for name, value in backbone(2).items()}
    torch.save(
        {
            "student": student | {f"module.{k}": v for k, v in head.items()},
            "teacher": teacher | head,
            "optimizer": {"state": {0: {"step": 3, "exp_avg": torch.zeros(2)}}, "param_groups": []},
            "epoch": 100,
            "args": argparse.Namespace(arch="vit_small", patch_size=16, lr=5e-4),
            "dino_loss": {"center": torch.zeros(1, 8)},
            "fp16_scaler": {"scale": 65536.0, "growth_factor": 2.0},
        },
        path,
    )
    return path


@pytest.mark.parametrize(("which", "seed"), [("teacher", 2), ("student", 1)])
def test_released_checkpoints_are_read(released: Path, which: str, seed: int):
    state = read_weights(released, which).state
    expected = backbone(seed)
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], expected[name]) for name in expected)


def test_loaded_encoder_computes_with_the_teacher(released: Path):
    encoder = load_patch_encoder(PatchEncoderConfig(shape=SHAPE, weights=str(released)))
    assert torch.equal(encoder.model.state_dict()["norm.weight"], backbone(2)["norm.weight"])
    assert torch.equal(encoder.model.state_dict()["pos_embed"], backbone(2)["pos_embed"])
    assert not encoder.training


def test_ours_there_and_back_and_equal_bytes(tmp_path: Path):
    state = backbone(3)
    metadata = {"mean": "[0.1, 0.2, 0.3]", "std": "[0.4, 0.5, 0.6]", "recipe": "{}"}
    for name in ("a", "b"):
        write_weights(tmp_path / f"{name}.safetensors", state, metadata)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    weights = read_weights(tmp_path / "a.safetensors")
    assert weights.metadata == metadata
    assert all(torch.equal(weights.state[name], state[name]) for name in state)
    encoder = load_patch_encoder(
        PatchEncoderConfig(shape=SHAPE, weights=str(tmp_path / "a.safetensors"))
    )
    assert encoder.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])


def test_another_architecture_is_refused_with_the_list(released: Path):
    cfg = PatchEncoderConfig(shape=ViTShape(depth=3, dim=24, heads=3), weights=str(released))
    with pytest.raises(HiptError) as error:
        load_patch_encoder(cfg)
    sentence = str(error.value)
    assert "embed.patches.weights" in sentence
    assert "12 missing (blocks.2.norm1.weight, " in sentence
    assert "the file holds 2 blocks, 24 wide, for pixels" in sentence


def test_stage_1_weights_for_stage_2_are_refused(released: Path):
    with pytest.raises(HiptError, match=r"left over \(patch_embed.proj.weight.*for pixels"):
        load_region_encoder(RegionEncoderConfig(shape=SHAPE, weights=str(released)), in_dim=384)


def test_wrong_width_names_both_shapes(released: Path):
    cfg = PatchEncoderConfig(shape=ViTShape(depth=2, dim=48, heads=3), weights=str(released))
    with pytest.raises(HiptError, match="cls_token 1x1x24 where 1x1x48 is wanted"):
        load_patch_encoder(cfg)


def own_trainings() -> dict[str, dict[str, object]]:
    """The network of seed 2 as programs save it; that of seed 1 beside it is another."""
    one, two = backbone(1), backbone(2)

    def under(prefix: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {prefix + name: value for name, value in state.items()}

    heads = {"dino_head.mlp.0.weight": torch.ones(3), "ibot_head.mlp.0.weight": torch.ones(3)}
    chunked = {re.sub(r"blocks\.(\d)", r"blocks.\1.\1", name): two[name] for name in two}
    return {
        "lightning.ckpt": {"state_dict": under("model.", two), "hyper_parameters": {"lr": 0.1}},
        "ddp.pth": {"model": under("module.", two)},
        "compiled.pth": under("_orig_mod.", two),
        "encoder.pth": under("encoder.", two),
        "half.pth": {name: value.half() for name, value in two.items()},
        "ema.pth": {"model": one, "model_ema": two},
        "dinov2.pth": {"teacher": under("backbone.", two) | heads | {"mask_token": heads}},
        "chunked.pth": {"teacher": under("backbone.", chunked) | heads},
        "fsdp.pth": {
            "model": under("teacher.backbone.", two)
            | under("student.backbone.", one)
            | under("teacher.", heads)
        },
        "solo.ckpt": {
            "state_dict": under("momentum_backbone.", two)
            | under("backbone.", one)
            | {"classifier.weight": torch.ones(3)}
        },
        "prefixed.safetensors": under("teacher.backbone.", two),
    }


@pytest.mark.parametrize("name", own_trainings())
def test_own_trainings_load_as_the_same_network(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    path, content = tmp_path / name, own_trainings()[name]
    if path.suffix == ".safetensors":
        save_file(content, path)
    else:
        torch.save(content, path)
    with caplog.at_level("INFO"):
        encoder = load_patch_encoder(PatchEncoderConfig(shape=SHAPE, weights=str(path)))
    right = backbone(2)
    for key, tensor in encoder.model.state_dict().items():
        wanted = right[key].half().float() if name == "half.pth" else right[key]
        assert torch.equal(tensor, wanted)
    assert f"embed.patches.weights: {path}: took " in caplog.text


def test_the_wrapping_that_was_taken_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path = tmp_path / "fsdp.pth"
    torch.save(own_trainings()["fsdp.pth"], path)
    cfg = PatchEncoderConfig(shape=SHAPE, weights=str(path))
    with caplog.at_level("INFO"):
        assert load_patch_encoder(cfg).weights_part == "model.teacher.backbone"
    assert (
        "took model.teacher.backbone (30 tensors); left aside: model.student.backbone "
        "(30 tensors), model.teacher.dino_head (1 tensor), model.teacher.ibot_head (1 tensor)"
    ) in caplog.text
    student = load_patch_encoder(cfg.model_copy(update={"which": "student"}))
    assert torch.equal(student.model.state_dict()["norm.weight"], backbone(1)["norm.weight"])
    assert torch.equal(student.model.state_dict()["pos_embed"], backbone(1)["pos_embed"])


def test_several_networks_of_a_file_are_asked_for(tmp_path: Path):
    path = tmp_path / "two.pth"
    torch.save({"model": backbone(1), "net": backbone(2)}, path)
    cfg = PatchEncoderConfig(shape=SHAPE, weights=str(path))
    with pytest.raises(HiptError) as error:
        load_patch_encoder(cfg)
    assert str(error.value) == (
        f"{path}: holds 2 networks that may be meant (model, net); choose one by "
        "embed.patches.which"
    )
    chosen = load_patch_encoder(cfg.model_copy(update={"which": "net"}))
    assert torch.equal(chosen.model.state_dict()["pos_embed"], backbone(2)["pos_embed"])


def test_a_whole_network_is_never_opened(tmp_path: Path):
    path = tmp_path / "pickled.pth"
    torch.save(vit256(SHAPE), path)
    with pytest.raises(HiptError) as error:
        read_weights(path)
    assert str(error.value) == (
        f"{path}: holds more than tensors and plain values (an object of hipt.nn.vit.ViT), and is "
        "not read, since such a file can run code; where it comes from, save its state dict alone"
    )


def test_a_file_without_tensors_says_so(tmp_path: Path):
    torch.save({"optimizer": {}, "epoch": 3}, tmp_path / "none.pth")
    with pytest.raises(HiptError, match=r"none\.pth: holds no tensors under names"):
        load_patch_encoder(PatchEncoderConfig(shape=SHAPE, weights=str(tmp_path / "none.pth")))


class Evil:
    """Runs code when unpickled."""

    def __reduce__(self):
        return Path.touch, (Path("/tmp/hipt-was-here"),)


def test_a_pickle_that_runs_code_is_refused_and_not_run(tmp_path: Path):
    for name, save in (
        ("torch.pth", torch.save),
        ("plain.pth", lambda o, p: p.write_bytes(pickle.dumps(o))),
    ):
        path = tmp_path / name
        save({"teacher": Evil()}, path)
        with pytest.raises(HiptError, match=name):
            read_weights(path)
    assert not Path("/tmp/hipt-was-here").exists()


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9, 0.999])
def test_cut_files_say_so(released: Path, tmp_path: Path, share: float):
    write_weights(tmp_path / "whole.safetensors", backbone(0), {})
    for source in (released, tmp_path / "whole.safetensors"):
        content = source.read_bytes()
        cut = tmp_path / f"cut{source.suffix}"
        cut.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(HiptError, match=r"cut\."):
            read_weights(cut)


def test_random_weights_come_from_the_seed():
    a, b, c = (
        load_patch_encoder(PatchEncoderConfig(shape=SHAPE, random=seed)).model.pos_embed
        for seed in (1, 1, 2)
    )
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_the_content_says_what_a_file_is_and_not_its_name(tmp_path: Path):
    state = backbone(3)
    save_file(state, tmp_path / "pytorch_model.bin")
    torch.save({"teacher": state}, tmp_path / "model.safetensors")
    for name in ("pytorch_model.bin", "model.safetensors"):
        read = read_weights(tmp_path / name).state
        assert all(torch.equal(read[key], state[key]) for key in state)


def test_bytes_of_anything_else_are_no_weights_file(tmp_path: Path):
    (tmp_path / "w.bin").write_bytes(bytes(range(256)))
    with pytest.raises(HiptError) as error:
        read_weights(tmp_path / "w.bin")
    assert str(error.value) == (
        f"{tmp_path / 'w.bin'}: is no weights file: neither safetensors nor what torch.save writes"
    )


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("name", ["w.safetensors", "w.bin"])
def test_other_precisions_load_as_fp32(kind: torch.dtype, name: str, tmp_path: Path):
    state = {key: value.to(kind) for key, value in backbone(2).items()}
    (save_file if name == "w.safetensors" else torch.save)(state, tmp_path / name)
    cfg = PatchEncoderConfig(shape=SHAPE, weights=str(tmp_path / name))
    for key, tensor in load_patch_encoder(cfg).model.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, state[key].float())


def test_networks_in_a_list_are_not_called_none(tmp_path: Path):
    torch.save({"networks": [backbone(1)], "epoch": 3}, tmp_path / "w.pth")
    with pytest.raises(
        HiptError, match=r"no tensors under names \(found: networks \(list\), epoch"
    ):
        read_weights(tmp_path / "w.pth")


def test_quantised_weights_are_refused(tmp_path: Path):
    """Without their scales they would load as other numbers."""
    state = {name: (100 * value).to(torch.int8) for name, value in backbone(1).items()}
    path = tmp_path / "int8.safetensors"
    save_file(state, path)
    with pytest.raises(HiptError, match=r"30 tensors are whole numbers \(cls_token int8, .* point"):
        load_patch_encoder(PatchEncoderConfig(shape=SHAPE, weights=str(path)))


def test_another_network_of_the_same_size_is_not_said_to_need_a_shape(tmp_path: Path):
    path = tmp_path / "w.safetensors"
    save_file(backbone(1) | {"register_tokens": torch.zeros(1, 4, 24)}, path)
    with pytest.raises(HiptError) as error:
        load_patch_encoder(PatchEncoderConfig(shape=SHAPE, weights=str(path)))
    assert str(error.value).endswith(
        "tensors 1 left over (register_tokens); the file holds 2 blocks, 24 wide, for pixels "
        "(ViT256-16), as the config says, but they are built in another way than HIPT's; weights "
        "of timm's networks need encoder: set to timm's name"
    )
