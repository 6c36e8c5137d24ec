"""Published encoders: the official network, saved as published, gives the same vectors here.

The weights of most are gated, so each network is built as its model card builds it, with random
weights and one or two blocks, and written in the published form of file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest
import timm
import torch
import torchvision
from timm.layers import SwiGLUPacked
from torch import Tensor, nn

from hipt.config.config import PatchEncoderConfig
from hipt.embedding.weights_files import load_patch_encoder, read_weights
from hipt.errors import HiptError
from hipt.nn.encoders import PatchEncoder
from hipt.steps import weights
from tests.embedding.networkmaker import (
    Dinov2,
    EfficientNetLite0,
    Save,
    bare,
    hugging_face,
    in_chunks,
    keep,
    openclip,
    safe,
    scattered,
    teacher,
    under,
)

PX = 224
SWIGLU = {"mlp_layer": "SwiGLUPacked", "act_layer": "torch.nn.SiLU"}


@pytest.fixture(scope="session")
def transformers() -> SimpleNamespace:
    """The networks of Hugging Face's transformers; their import takes many seconds."""
    from transformers.models.dinov2 import Dinov2Config, Dinov2Model
    from transformers.models.dinov2_with_registers import (
        Dinov2WithRegistersConfig,
        Dinov2WithRegistersModel,
    )
    from transformers.models.vit import ViTConfig, ViTModel

    return SimpleNamespace(
        vit=lambda **sizes: ViTModel(ViTConfig(**sizes), add_pooling_layer=False),
        pooled_vit=lambda **sizes: ViTModel(ViTConfig(**sizes)),
        dinov2=lambda **sizes: Dinov2Model(Dinov2Config(**sizes)),
        registers=lambda **sizes: Dinov2WithRegistersModel(Dinov2WithRegistersConfig(**sizes)),
    )


@dataclass(frozen=True)
class Published:
    """One encoder: its network as the card builds it, its file, and what stands in the config."""

    encoder: str
    """timm's name here."""
    arguments: dict[str, Any] = field(default_factory=dict)
    """encoder_args here; of networks of timm the card's own, layers by name."""
    official: str | Callable[[], nn.Module] = "timm"
    """Builds the official network; `timm`: from the arguments; else a name of the fixture above."""
    sizes: dict[str, Any] = field(default_factory=dict)
    """What the official network of transformers is built with."""
    save: Save = bare
    pooling: Literal["cls", "cls+mean", "vector"] = "cls"
    """Of the official network's tokens; `vector`: it gives one."""
    prefix: int = 1
    """Tokens before those of patches: CLS, and registers."""


def vit(size: str, **arguments: Any) -> dict[str, Any]:
    return {"encoder": f"vit_{size}", "arguments": {"depth": 2, **arguments}}


def giant(size: str, **arguments: Any) -> dict[str, Any]:
    return {"encoder": f"vit_{size}", "arguments": {"depth": 1, "img_size": PX, **arguments}}


def hf(dim: int, patch: int, blocks: int = 2, **more: Any) -> dict[str, Any]:
    heads = {"hidden_size": dim, "num_attention_heads": dim // 64, "num_hidden_layers": blocks}
    return heads | {"image_size": PX, "patch_size": patch} | more


SCALE = {"init_values": 1e-5}
H_OPTIMUS = giant("giant_patch14_reg4_dinov2", **SCALE)
UNI2 = {"patch_size": 14, "num_heads": 24, "embed_dim": 1536, "mlp_ratio": 2.66667 * 2}
UNI2 |= {"reg_tokens": 8, "no_embed_class": True, "dynamic_img_size": True}
GIGAPATH = {"patch_size": 16, "embed_dim": 1536, "num_heads": 24, "mlp_ratio": 5.33334}
VIRCHOW = {"mlp_ratio": 5.3375, "dynamic_img_size": True}
KAIKO_L = vit("large_patch14_reg4_dinov2", **SCALE, dynamic_img_size=True)
TOKENS = {"global_pool": ""}
CROWN = {"mlp_ratio": 2 * 2736 / 1024, "init_values": 1.0}
HIBOU = {"official": "registers", "save": hugging_face, "prefix": 5}
MIDNIGHT = hf(1536, 14, blocks=1, use_swiglu_ffn=True)
RESNET = {"encoder": "resnet50", "arguments": {"layers": [1, 1, 1, 1]}, "pooling": "vector"}


def resnet() -> nn.Module:
    network = torchvision.models.ResNet(torchvision.models.resnet.Bottleneck, [1, 1, 1, 1], 9)
    network.fc = nn.Identity()  # the vector is what its classifier takes
    return network


PUBLISHED = {
    "uni": Published(**vit("large_patch16_224", **SCALE, img_size=PX, dynamic_img_size=True)),
    "uni2-h": Published(**giant("giant_patch14_224", **SCALE, **UNI2, **SWIGLU), prefix=9),
    "virchow": Published(
        **giant("huge_patch14_224", **SCALE, **VIRCHOW, **SWIGLU, **TOKENS),
        save=safe,
        pooling="cls+mean",
    ),
    "virchow2": Published(
        **giant("huge_patch14_224", **SCALE, **VIRCHOW, **SWIGLU, **TOKENS, reg_tokens=4),
        save=safe,
        pooling="cls+mean",
        prefix=5,
    ),
    "gigapath": Published(**giant("giant_patch14_dinov2", **SCALE, **GIGAPATH)),
    "h-optimus-0": Published(**H_OPTIMUS),
    "h-optimus-1": Published(**H_OPTIMUS, save=safe),
    "h0-mini": Published(
        **giant("base_patch14_reg4_dinov2", **SCALE, **SWIGLU, **TOKENS, mlp_ratio=5.33334),
        save=safe,
        prefix=5,
    ),
    "kaiko-s16": Published(**vit("small_patch16_224"), save=safe),
    "kaiko-s8": Published(**vit("small_patch8_224"), save=safe),
    "kaiko-b16": Published(**vit("base_patch16_224"), save=safe),
    "kaiko-b8": Published(**vit("base_patch8_224"), save=safe),
    "kaiko-l14": Published(**KAIKO_L, save=safe, prefix=5),
    "lunit-s16": Published(**vit("small_patch16_224"), save=safe),
    "lunit-s8": Published(**vit("small_patch8_224")),
    "mstar": Published(**vit("large_patch16_224", **SCALE)),
    "pathorchestra": Published(**vit("large_patch16_224", **SCALE)),
    "gpfm": Published(**vit("large_patch14_dinov2", **SCALE, img_size=PX)),
    "prost40m": Published(**vit("small_patch14_dinov2", img_size=PX), save=safe),
    "sp22m": Published(**vit("small_patch16_224"), save=under("encoder.")),
    "stainnet": Published(**vit("base_patch16_224")),
    "dinov2-b14": Published(**vit("base_patch14_dinov2", img_size=PX), save=safe),
    "dinov3-s16": Published(**vit("small_patch16_dinov3"), save=safe, pooling="vector"),
    "lunit-resnet50": Published(**RESNET, official=resnet),
    "retccl": Published(**RESNET, official=resnet),
    # Its layer norms add 1e-12 to the variance where timm's add 1e-6: the same to 2e-6 in vectors,
    # where variances are of the order of 1.
    "phikon": Published(
        **vit("base_patch16_224"), official="vit", sizes=hf(768, 16), save=hugging_face
    ),
    "phikon-v2": Published(
        **vit("large_patch16_224", init_values=1),
        official="dinov2",
        sizes=hf(1024, 16),
        save=hugging_face,
    ),
    "midnight": Published(
        **giant("giant_patch14_dinov2"),
        official="dinov2",
        sizes=MIDNIGHT,
        save=hugging_face,
        pooling="cls+mean",
    ),
    "hibou-b": Published(
        **vit("base_patch14_reg4_dinov2", img_size=PX), sizes=hf(768, 14), **HIBOU
    ),
    "hibou-l": Published(
        **vit("large_patch14_reg4_dinov2", img_size=PX), sizes=hf(1024, 14), **HIBOU
    ),
    "openmidnight": Published(
        **giant("giant_patch14_reg4_dinov2"),
        official=lambda: Dinov2(1536, 24, depth=1, registers=4, swiglu=True),
        prefix=5,
    ),
    "openpath": Published(
        **vit("giant_patch14_reg4_dinov2", img_size=PX, embed_dim=384, num_heads=6),
        official=lambda: in_chunks(Dinov2(384, 6, registers=4, swiglu=True)),
        save=teacher,
        prefix=5,
    ),
    "gpfm-github": Published(
        **vit("large_patch14_dinov2", img_size=PX),
        official=lambda: in_chunks(Dinov2(1024, 16)),
        save=teacher,
    ),
    "crown": Published(
        **vit("large_patch16_224", **CROWN, **SWIGLU),
        official=lambda: in_chunks(Dinov2(1024, 16, patch=16, swiglu=True)),
        save=teacher,
    ),
    "keep, its vision": Published(**vit("large_patch16_224", **SCALE), save=keep),
    "a trunk of OpenCLIP": Published(**vit("base_patch16_224"), save=openclip),
    "efficientnet-lite0": Published(
        "tf_efficientnet_lite0", official=EfficientNetLite0, pooling="vector"
    ),
}
"""By the name of the preset."""


def official_network(row: Published, transformers: Any) -> nn.Module:
    """With its random weights."""
    if callable(row.official):
        return scattered(row.official())
    if row.official != "timm":
        return scattered(getattr(transformers, row.official)(**row.sizes))
    layers = {"mlp_layer": SwiGLUPacked, "act_layer": nn.SiLU}
    own = {k: layers.get(k, value) for k, value in row.arguments.items()}
    return scattered(timm.create_model(row.encoder, num_classes=0, **own))


def loaded(row: Published, path: Path, **changes: Any) -> PatchEncoder:
    arguments = {k: x for k, x in row.arguments.items() if k != "global_pool"}
    cfg = {"encoder": row.encoder, "encoder_args": arguments, "input_px": PX, "weights": str(path)}
    return load_patch_encoder(PatchEncoderConfig.model_validate(cfg | changes))


def pictures() -> Tensor:
    """uint8 (2, px, px, 3)."""
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (2, PX, PX, 3), dtype=torch.uint8, generator=generator)


def pooled(tokens: Tensor, row: Published) -> Tensor:
    """(B, T, D) -> (B, D) or (B, 2 D); registers count for nothing."""
    if row.pooling == "vector":
        return tokens
    cls = tokens if tokens.ndim == 2 else tokens[:, 0]
    if row.pooling == "cls":
        return cls
    return torch.cat([cls, tokens[:, row.prefix :].mean(1)], dim=1)


@torch.inference_mode()
def official_vectors(network: nn.Module, row: Published, x: Tensor) -> Tensor:
    tokens = network(x)
    return pooled(getattr(tokens, "last_hidden_state", tokens), row)


@torch.inference_mode()
def our_vectors(encoder: PatchEncoder, row: Published, x: Tensor) -> Tensor:
    """What the encoder gives; of mean and CLS, for now, from the tokens of its network."""
    if row.pooling != "cls+mean":
        return encoder(pictures())
    return pooled(encoder.model.forward_features(x), row)


def normalised(encoder: PatchEncoder) -> Tensor:
    return (pictures().movedim(-1, 1) / 255 - encoder.mean) / encoder.std


@pytest.mark.parametrize("preset", PUBLISHED)
def test_vectors_are_those_of_the_official_network(
    preset: str, tmp_path: Path, request: pytest.FixtureRequest
):
    row = PUBLISHED[preset]
    of_transformers = isinstance(row.official, str) and row.official != "timm"
    needed = request.getfixturevalue("transformers") if of_transformers else None
    network = official_network(row, needed)
    encoder = loaded(row, row.save(network, tmp_path))
    x = normalised(encoder)
    right, ours = official_vectors(network, row, x), our_vectors(encoder, row, x)
    assert right.shape == (2, encoder.dim * (2 if row.pooling == "cls+mean" else 1))
    assert (right[0] - right[1]).abs().max() > 0.01  # another picture, another vector
    torch.testing.assert_close(ours, right, rtol=0, atol=1e-5)


SMALL = {"embed_dim": 24, "num_heads": 3, "depth": 2, "img_size": PX}


def small(encoder: str, **arguments: Any) -> Published:
    return Published(encoder, SMALL | arguments)


def hf_small(**more: Any) -> dict[str, Any]:
    return hf(24, 14, num_attention_heads=3, **more)


def test_the_halves_of_a_gated_layer_are_told_apart(tmp_path: Path):
    """The order of both is shown by numbers: the other one gives another vector."""
    row = small("vit_giant_patch14_reg4_dinov2")
    network = scattered(Dinov2(24, 3, registers=4, swiglu=True))
    right = official_vectors(network, row, normalised(loaded(row, bare(network, tmp_path))))
    for block in network.blocks:
        for tensor in (block.mlp.w12.weight, block.mlp.w12.bias):
            tensor.data = tensor.data.roll(len(tensor) // 2, 0)
    swapped = loaded(row, bare(network, tmp_path))
    assert (our_vectors(swapped, row, normalised(swapped)) - right).abs().max() > 0.1


def test_names_that_transformers_has_in_memory(tmp_path: Path, transformers: Any):
    """What `torch.save(model.state_dict())` writes with version 5, of an own fine-tuning."""
    gated = transformers.dinov2(**hf_small(use_swiglu_ffn=True))
    plain = transformers.vit(**hf_small(intermediate_size=96))
    for network, encoder in ((gated, "giant_patch14_dinov2"), (plain, "small_patch16_224")):
        row = small(f"vit_{encoder}", patch_size=14)
        scattered(network)
        assert any(".attention.q_proj." in name for name in network.state_dict())
        encoder = loaded(row, under("model.")(network, tmp_path))
        right = official_vectors(network, row, normalised(encoder))
        torch.testing.assert_close(encoder(pictures()), right, rtol=0, atol=1e-5)


def test_what_was_renamed_and_left_aside_is_said(
    tmp_path: Path, transformers: Any, caplog: pytest.LogCaptureFixture
):
    row = small("vit_small_patch16_224", patch_size=14)
    network = scattered(transformers.pooled_vit(**hf_small(intermediate_size=96)))
    path = hugging_face(network, tmp_path)
    with caplog.at_level("INFO"):
        encoder = loaded(row, path)
    text = (
        "what lies at the top (30 tensors), the names of Hugging Face's transformers read as "
        "timm's; left aside: pooler (2 tensors)"
    )
    assert f"embed.patches.weights: {path}: took {text}" in caplog.text
    assert f"taken       {text}" in weights.show(path)
    weights.convert(path, tmp_path / "timm.safetensors", None)
    converted = loaded(row, tmp_path / "timm.safetensors").model.state_dict()
    own = encoder.model.state_dict()
    assert all(torch.equal(converted[name], own[name]) for name in own)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_with_in_fp32(
    dtype: torch.dtype, tmp_path: Path, transformers: Any
):
    network = scattered(transformers.registers(**hf_small())).to(dtype)
    row = small("vit_base_patch14_reg4_dinov2")
    encoder = loaded(row, hugging_face(network, tmp_path))
    assert {x.dtype for x in read_weights(tmp_path / "model.safetensors").state.values()} == {
        torch.float32
    }
    right = official_vectors(network.float(), row, normalised(encoder))
    torch.testing.assert_close(encoder(pictures()), right, rtol=0, atol=1e-5)


def test_another_network_of_transformers_is_refused(tmp_path: Path, transformers: Any):
    path = hugging_face(transformers.dinov2(**hf_small()), tmp_path)
    refusals = {
        "names of Hugging Face's transformers read as timm's; set encoder and encoder_args": small(
            "vit_base_patch14_dinov2", depth=3
        ),
        r"4 left over \(blocks\.0\.ls1": small("vit_base_patch16_224", patch_size=14),
        r"timm's; for its positions set encoder_args: \{img_size: 224\}": small(
            "vit_base_patch14_dinov2", img_size=112
        ),
    }
    for sentence, row in refusals.items():
        with pytest.raises(HiptError, match=sentence):
            loaded(row, path, input_px=row.arguments["img_size"])


def test_registers_are_never_dropped(tmp_path: Path):
    network = Dinov2(24, 3, registers=4)
    with pytest.raises(HiptError, match=r"1 left over \(register_tokens\)"):
        loaded(small("vit_base_patch14_dinov2"), bare(network, tmp_path))


def test_weights_of_tensorflow_are_refused_where_the_network_pads_otherwise(tmp_path: Path):
    path = bare(scattered(EfficientNetLite0()), tmp_path)
    with pytest.raises(HiptError) as error:
        loaded(Published("efficientnet_lite0"), path)
    assert str(error.value) == (
        f"embed.patches.weights: {path}: networks under the names of EfficientNet-PyTorch pad and "
        "normalise as TensorFlow's (batch norms add 0.001 to the variance), and this one does not "
        "(it adds 1e-05); set encoder to timm's name with tf_"
    )
