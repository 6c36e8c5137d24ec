"""Weights of timm's networks, with their classifier and without, give timm's own vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from hipt.config.config import PatchEncoderConfig
from hipt.embedding.encoder_input import encoder_input
from hipt.embedding.weights_files import load_patch_encoder
from hipt.errors import HiptError
from hipt.nn.encoders import PatchEncoder

NETWORKS: dict[str, dict[str, Any]] = {
    "test_vit": {},  # classifier: head
    "test_vit3": {},  # registers, pooled by attention
    "test_resnet": {},  # fc
    "test_convnext": {},  # head.fc, with head.norm before it
    "test_convnext2": {},
    "test_efficientnet": {},  # classifier
    "test_mambaout": {},  # head.fc2, with head.fc1 before it
    "test_nfnet": {},
    "test_byobnet": {},
    "deit_tiny_distilled_patch16_224": {"depth": 1},  # head, head_dist
    "levit_128s": {},  # head.linear, head_dist.linear, and their norms
    "efficientvit_m0": {},  # head.linear, and its norm
    "swin_tiny_patch4_window7_224": {"depths": [1, 1, 1, 1]},  # head.fc
    "mobilenetv3_small_050": {},  # vectors wider than its features
    "eva02_tiny_patch14_224": {"depth": 1},
    "regnetx_002": {},
    "densenet121": {"block_config": [1, 1, 1, 1]},
    "vit_small_patch14_reg4_dinov2": {"depth": 1, "img_size": 56},
}


ONE = torch.ones(3)


def shaken(network: nn.Module) -> nn.Module:
    """Every tensor moved a little, so that none is at its start."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in [*network.parameters(), *network.buffers()]:
            if tensor.is_floating_point():
                tensor.add_(torch.rand(tensor.shape, generator=generator) * 0.05)
    return network.eval()


def built(name: str, **arguments: Any) -> nn.Module:
    made: nn.Module = timm.create_model(name, **(NETWORKS.get(name, {}) | arguments))
    return made


def written(path: Path, state: dict[str, Tensor]) -> Path:
    save_file({name: tensor.clone().contiguous() for name, tensor in state.items()}, path)
    return path


def loaded(name: str, path: Path) -> PatchEncoder:
    args = NETWORKS.get(name, {})
    cfg = {"encoder": name, "encoder_args": args, "weights": str(path)}
    return load_patch_encoder(PatchEncoderConfig.model_validate(cfg))


@pytest.mark.parametrize("name", NETWORKS)
def test_vectors_are_timm_own(name: str, tmp_path: Path):
    full = shaken(built(name, num_classes=5)).state_dict()
    right = built(name, num_classes=0).eval()
    right.load_state_dict({key: full[key] for key in right.state_dict()})
    assert full.keys() > right.state_dict().keys()  # a classifier is in the file
    for state in (full, right.state_dict()):
        encoder = loaded(name, written(tmp_path / "w.safetensors", state))
        side = encoder.given.px or 0
        pixels = torch.arange(side * side * 3).reshape(1, side, side, 3).remainder(251).byte()
        with torch.inference_mode():
            normalised = (pixels.movedim(-1, 1) / 255 - encoder.mean) / encoder.std
            ours, theirs = encoder(pixels), right(normalised)
        assert ours.shape == (1, encoder.dim)
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


def test_a_classifier_of_other_classes_is_no_trouble(tmp_path: Path):
    path = written(tmp_path / "w.safetensors", built("test_resnet", num_classes=7).state_dict())
    assert loaded("test_resnet", path).dim == 96


def test_own_training_of_a_timm_network(tmp_path: Path):
    """As DINOv2 and MoCo v3 save it: wrapped, with heads of the training."""
    state = shaken(built("test_vit", num_classes=0)).state_dict()
    teacher = {f"backbone.{key}": tensor for key, tensor in state.items()}
    teacher |= {"backbone.mask_token": torch.zeros(1, 64), "dino_head.mlp.0.weight": ONE}
    torch.save({"teacher": teacher}, tmp_path / "dinov2.pth")
    inside = "module.base_encoder."
    moco = {inside + key: tensor for key, tensor in state.items()}
    moco |= {inside + "head.0.weight": ONE, "module.predictor.0.weight": ONE}
    torch.save({"state_dict": moco}, tmp_path / "moco.pth")
    for name in ("dinov2.pth", "moco.pth"):
        made = loaded("test_vit", tmp_path / name).model.state_dict()
        assert all(torch.equal(made[key], state[key]) for key in state)


def test_constants_that_networks_compute_themselves_are_not_left_over(tmp_path: Path):
    """Old files of Swin carry them."""
    name = "swin_tiny_patch4_window7_224"
    network = built(name)
    constants = {key: tensor for key, tensor in network.named_buffers() if key.endswith("index")}
    path = written(tmp_path / "w.safetensors", network.state_dict() | constants)
    assert loaded(name, path).dim == 768
    wrong = {key: tensor + 1 for key, tensor in constants.items()}
    path = written(tmp_path / "w.safetensors", network.state_dict() | wrong)
    with pytest.raises(HiptError, match=r"4 left over \(.*relative_position_index"):
        loaded(name, path)


def test_another_network_is_refused_with_advice_for_timm(tmp_path: Path):
    path = written(tmp_path / "w.safetensors", built("test_vit", num_classes=0).state_dict())
    advice = "set encoder and encoder_args as the weights' model card does"
    with pytest.raises(HiptError, match=f"missing.*{advice}"):
        loaded("test_resnet", path)


def test_positions_of_another_grid_are_refused_with_the_side(tmp_path: Path):
    small = built("test_vit", num_classes=0, img_size=96).state_dict()
    path = written(tmp_path / "w.safetensors", small)
    with pytest.raises(HiptError) as error:
        loaded("test_vit", path)
    assert str(error.value).endswith(
        "tensors 1 misshapen (pos_embed 1x37x64 where 1x101x64 is wanted); for its positions set "
        "encoder_args: {img_size: 96}"
    )


def test_tensors_that_would_change_vectors_are_never_dropped(tmp_path: Path):
    """More than training's heads beside a network is another network."""
    state = built("test_vit", num_classes=0).state_dict()
    path = written(tmp_path / "w.safetensors", state | {"fc_norm.weight": torch.ones(64)})
    with pytest.raises(HiptError, match=r"1 left over \(fc_norm\.weight\)"):
        loaded("test_vit", path)


SENTENCES = {
    "embed.patches.encoder: test_vit: it gives 101 x 64 numbers for a patch, where one vector is "
    "wanted; set pooling: cls, mean or cls+mean, or in encoder_args global_pool: token or avg": {
        "global_pool": ""
    },
    "embed.patches.encoder_args.mlp_layer: knows no layer 'Other'; of torch.nn and timm.layers, "
    "take Mlp, GluMlp, GatedMlp, SwiGLU, SwiGLUPacked, GlobalResponseNormMlp, ConvMlp": {
        "mlp_layer": "Other"
    },
    "embed.patches.encoder_args.act_layer: takes the name of a layer, got 3": {"act_layer": 3},
    "embed.patches.encoder_args.dtype: see embed.precision; leave it out": {"dtype": "float16"},
    "embed.patches.encoder_args.img_size: patches are squares; give one side in whole pixels, got "
    "[224]": {"img_size": [224]},
    "embed.patches: timm refuses test_vit: VisionTransformer.__init__() got an unexpected keyword "
    "argument 'nonsense'; see encoder_args": {"nonsense": 1},
}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_arguments_end_in_one_sentence(sentence: str):
    args = SENTENCES[sentence]
    cfg = PatchEncoderConfig.model_validate({"encoder": "test_vit", "encoder_args": args})
    with pytest.raises(HiptError) as error:
        load_patch_encoder(cfg)
    assert str(error.value) == sentence


def test_layers_by_name_build_the_card_network():
    args = {"mlp_layer": "timm.layers.SwiGLUPacked", "act_layer": "torch.nn.SiLU", "num_classes": 9}
    cfg = PatchEncoderConfig(encoder="test_vit", encoder_args=args, random=0)
    encoder = load_patch_encoder(cfg)
    assert type(encoder.model.get_submodule("blocks.0.mlp")).__name__ == "GluMlp"
    assert isinstance(encoder.model.get_submodule("blocks.0.mlp.act"), nn.SiLU)


NONE = "embed.patches.encoder: neither `hipt encoders` nor timm has a model"
NAMES = {
    "test_vit.r160": "embed.patches.encoder: timm's test_vit has no tag 'r160'; it has r160_in1k",
    "TEST_VIT": f"{NONE} 'TEST_VIT'; did you mean test_vit or ",
    "HIPT ": f"{NONE} 'HIPT '; did you mean hipt?",
    "uni2h": f"{NONE} 'uni2h'; did you mean uni2-h or ",
    "uni_v2": f"{NONE} 'uni_v2'; did you mean uni2-h or ",  # TRIDENT's name
    "Phikonv2": f"{NONE} 'Phikonv2'; did you mean phikon-v2 or ",  # slide2vec's
    "hf-hub:lab/network": (
        "embed.patches.encoder: hf-hub:lab/network: its config.json is not in Hugging Face's cache "
        "on this machine, and nothing is fetched; download the model there first, or name its "
        "folder: local-dir:FOLDER"
    ),
}


@pytest.mark.parametrize("name", NAMES)
def test_names_that_are_none(name: str, monkeypatch: pytest.MonkeyPatch):
    """No name opens a connection."""

    def called(*args: Any, **_: Any) -> None:
        raise AssertionError(f"a connection was asked for: {args}")

    monkeypatch.setattr("socket.getaddrinfo", called)
    monkeypatch.setattr("socket.socket.connect", called)
    with pytest.raises(HiptError) as error:
        load_patch_encoder(PatchEncoderConfig(encoder=name, random=0))
    assert str(error.value).startswith(NAMES[name])


def test_what_networks_warn_of_while_they_are_built_is_not_the_users(recwarn: Any):
    """CoaT copies weights into modules, which says a hundred lines on tensors without memory."""
    given = encoder_input(PatchEncoderConfig(encoder="coat_lite_tiny", random=0))
    assert given.px == 224
    assert not [w for w in recwarn if "meta parameter" in str(w.message)]


def test_names_of_transformers_are_refused_in_true_words(tmp_path: Path):
    state = {
        "vit.embeddings.cls_token": torch.zeros(1, 1, 64),
        "vit.embeddings.patch_embeddings.projection.weight": torch.zeros(64, 3, 16, 16),
        "vit.encoder.layer.0.attention.attention.query.weight": torch.zeros(64, 64),
    }
    with pytest.raises(HiptError, match="names are those of Hugging Face's transformers, and not"):
        loaded("test_vit", written(tmp_path / "w.safetensors", state))
