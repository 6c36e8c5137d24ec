"""Files under other code's names, on small networks: what is read, said, left aside and refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from hipt.config.config import PatchEncoderConfig
from hipt.embedding.weights_files import load_patch_encoder, read_weights
from hipt.errors import HiptError
from hipt.nn.encoders import PatchEncoder
from hipt.steps import weights
from tests.embedding.cardmaker import PX, transformers_network
from tests.embedding.networkmaker import (
    Dinov2,
    EfficientNetLite0,
    bare,
    hugging_face,
    scattered,
    under,
)

SMALL = {"embed_dim": 24, "num_heads": 3, "depth": 2, "img_size": PX}


def small_transformers(kind: str, **more: Any) -> Any:
    sizes = {"hidden_size": 24, "num_attention_heads": 3, "num_hidden_layers": 2}
    sizes |= {"image_size": PX, "patch_size": 14, "layer_norm_eps": 1e-6}
    return transformers_network(kind, **(sizes | more))


def loaded(encoder: str, path: Path, px: int = PX, **arguments: Any) -> PatchEncoder:
    cfg = {"encoder": encoder, "encoder_args": arguments, "input_px": px, "weights": str(path)}
    return load_patch_encoder(PatchEncoderConfig.model_validate(cfg))


def small(encoder: str, path: Path, **arguments: Any) -> PatchEncoder:
    return loaded(encoder, path, **(SMALL | arguments))


def pictures() -> Tensor:
    """uint8 (2, px, px, 3)."""
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (2, PX, PX, 3), dtype=torch.uint8, generator=generator)


@torch.inference_mode()
def official(network: nn.Module, encoder: PatchEncoder) -> Tensor:
    """The CLS token, (2, D), of what the encoder's network is given."""
    tokens = network(encoder.normalised(pictures()))
    return getattr(tokens, "last_hidden_state", tokens)[:, 0]


@torch.inference_mode()
def ours(encoder: PatchEncoder) -> Tensor:
    return encoder(pictures())


def test_the_halves_of_a_gated_layer_are_told_apart(tmp_path: Path):
    """The order of both is shown by numbers: the other one gives another vector."""
    name = "vit_giant_patch14_reg4_dinov2"
    network = scattered(Dinov2(24, 3, registers=4, swiglu=True))
    right = official(network, small(name, bare(network, tmp_path)))
    for block in network.blocks:
        for tensor in (block.mlp.w12.weight, block.mlp.w12.bias):
            tensor.data = tensor.data.roll(len(tensor) // 2, 0)
    swapped = small(name, bare(network, tmp_path))
    assert (ours(swapped) - right).abs().max() > 0.1


def test_names_that_transformers_has_in_memory(tmp_path: Path):
    """What `torch.save(model.state_dict())` writes with version 5, of an own fine-tuning."""
    gated = small_transformers("dinov2", use_swiglu_ffn=True)
    plain = small_transformers("vit", intermediate_size=96)
    for network, name in ((gated, "giant_patch14_dinov2"), (plain, "small_patch16_224")):
        scattered(network)
        assert any(".attention.q_proj." in name for name in network.state_dict())
        encoder = small(f"vit_{name}", under("model.")(network, tmp_path), patch_size=14)
        torch.testing.assert_close(ours(encoder), official(network, encoder), rtol=0, atol=1e-5)


def test_what_was_renamed_and_left_aside_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    network = scattered(small_transformers("vit", intermediate_size=96, pooler=True))
    path = hugging_face(network, tmp_path)
    name = "vit_small_patch16_224"
    with caplog.at_level("INFO"):
        encoder = small(name, path, patch_size=14)
    text = (
        "what lies at the top (30 tensors), the names of Hugging Face's transformers read as "
        "timm's; left aside: pooler (2 tensors)"
    )
    assert f"embed.patches.weights: {path}: took {text}" in caplog.text
    assert f"taken       {text}" in weights.show(path)
    weights.convert(path, tmp_path / "timm.safetensors", None)
    converted = small(name, tmp_path / "timm.safetensors", patch_size=14).model.state_dict()
    own = encoder.model.state_dict()
    assert all(torch.equal(converted[name], own[name]) for name in own)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_with_in_fp32(dtype: torch.dtype, tmp_path: Path):
    network = scattered(small_transformers("registers")).to(dtype)
    encoder = small("vit_base_patch14_reg4_dinov2", hugging_face(network, tmp_path))
    assert {x.dtype for x in read_weights(tmp_path / "model.safetensors").state.values()} == {
        torch.float32
    }
    right = official(network.float(), encoder)
    torch.testing.assert_close(ours(encoder), right, rtol=0, atol=1e-5)


REFUSALS: dict[str, tuple[str, dict[str, Any]]] = {
    "names of Hugging Face's transformers read as timm's; set encoder and encoder_args": (
        "vit_base_patch14_dinov2",
        {"depth": 3},
    ),
    r"4 left over \(blocks\.0\.ls1": ("vit_base_patch16_224", {"patch_size": 14}),
    r"timm's; for its positions set encoder_args: \{img_size: 224\}": (
        "vit_base_patch14_dinov2",
        {"img_size": 112, "px": 112},
    ),
}


@pytest.mark.parametrize("sentence", REFUSALS)
def test_another_network_of_transformers_is_refused(sentence: str, tmp_path: Path):
    encoder, arguments = REFUSALS[sentence]
    path = hugging_face(small_transformers("dinov2"), tmp_path)
    with pytest.raises(HiptError, match=sentence):
        small(encoder, path, **arguments)


def test_registers_are_never_dropped(tmp_path: Path):
    network = Dinov2(24, 3, registers=4)
    with pytest.raises(HiptError, match=r"1 left over \(register_tokens\)"):
        small("vit_base_patch14_dinov2", bare(network, tmp_path))


def test_a_projection_is_never_left_out(tmp_path: Path):
    """KEEP's vectors are what its two last layers give."""
    network = timm.create_model("vit_base_patch16_224", num_classes=0, **SMALL)
    path = under("visual.")(network, tmp_path)
    assert small("vit_base_patch16_224", path).dim == 24
    with pytest.raises(HiptError, match=r"tensors 4 missing \(visual_head\.0\.weight, "):
        small("vit_base_patch16_224", path, projection_dim=8)


def test_weights_of_tensorflow_are_refused_where_the_network_pads_otherwise(tmp_path: Path):
    path = bare(scattered(EfficientNetLite0()), tmp_path)
    with pytest.raises(HiptError) as error:
        loaded("efficientnet_lite0", path)
    assert str(error.value) == (
        f"embed.patches.weights: {path}: networks under the names of EfficientNet-PyTorch pad and "
        "normalise as TensorFlow's (batch norms add 0.001 to the variance), and this one does not "
        "(it adds 1e-05); set encoder to timm's name with tf_"
    )
