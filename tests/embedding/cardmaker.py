"""Published encoders as their authors' cards build and feed them: what presets must agree with.

Written from the cards, and not from `presets.yaml`: a value that is wrong in one of them is seen.
Networks have random weights and one or two blocks, since most weights are gated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import timm
import torch
import torchvision
from timm.layers import SwiGLUPacked
from torch import Tensor, nn
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize

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
BILINEAR, BICUBIC = InterpolationMode.BILINEAR, InterpolationMode.BICUBIC
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
OPTIMUS = ((0.707223, 0.578729, 0.703617), (0.211883, 0.230117, 0.177517))
HIBOU = ((0.7068, 0.5755, 0.722), (0.195, 0.2316, 0.1816))
LUNIT = ((0.70322989, 0.53606487, 0.66096631), (0.21716536, 0.26081574, 0.20723464))


@dataclass(frozen=True)
class Card:
    """One encoder: its network, its transform, its vector, and its file."""

    network: Callable[[], Any]
    """Builds the network, shortened."""
    short: dict[str, Any]
    """How it was shortened, as arguments of timm."""
    blocks: int
    """Of the whole network."""
    colours: tuple[tuple[float, ...], tuple[float, ...]] = IMAGENET
    """Mean and std."""
    mode: InterpolationMode = BICUBIC
    resize_px: int = PX
    crop_px: int = PX
    save: Save = bare
    vector: Literal["cls", "cls+mean", "own"] = "cls"
    """Of the network's tokens; `own`: it gives one."""
    prefix: int = 1
    """Tokens before those of patches: CLS, and registers."""
    preset: str = ""
    """The encoder's name, where it is not this card's."""

    @torch.inference_mode()
    def vectors(self, network: nn.Module, pixels: Tensor) -> Tensor:
        """uint8 (B, px, px, 3) of no extreme colours -> (B, D)."""
        resize = Resize(self.resize_px, self.mode, antialias=True)
        transform = Compose([resize, CenterCrop(self.crop_px), Normalize(*self.colours)])
        answer = network(transform(pixels.movedim(-1, 1) / 255))
        return self.pooled(getattr(answer, "last_hidden_state", answer))

    def pooled(self, tokens: Tensor) -> Tensor:
        """(B, T, D) -> (B, D) or (B, 2 D); registers count for nothing."""
        if self.vector == "own":
            return tokens
        cls = tokens if tokens.ndim == 2 else tokens[:, 0]
        if self.vector == "cls":
            return cls
        return torch.cat([cls, tokens[:, self.prefix :].mean(1)], dim=1)


def of_timm(name: str, blocks: int, depth: int = 2, **arguments: Any) -> dict[str, Any]:
    """A network of timm, `num_classes=0`, by the card's arguments."""
    made = partial(timm.create_model, f"vit_{name}", num_classes=0, depth=depth, **arguments)
    return {"network": made, "short": {"depth": depth}, "blocks": blocks}


def of_transformers(
    kind: Literal["vit", "dinov2", "registers"],
    blocks: int,
    dim: int,
    patch: int,
    depth: int = 2,
    **more: Any,
) -> dict[str, Any]:
    """A network of Hugging Face's transformers, by the numbers of its config.json."""
    sizes = {"hidden_size": dim, "num_attention_heads": dim // 64, "num_hidden_layers": depth}
    sizes |= {"image_size": PX, "patch_size": patch, "layer_norm_eps": 1e-6} | more
    return {
        "network": lambda: transformers_network(kind, **sizes),
        "short": {"depth": depth},
        "blocks": blocks,
        "save": hugging_face,
    }


def transformers_network(kind: str, *, pooler: bool = False, **sizes: Any) -> nn.Module:
    """The import of transformers takes seconds: for who asks."""
    from transformers.models import dinov2, dinov2_with_registers, vit

    if kind == "vit":
        return vit.ViTModel(vit.ViTConfig(**sizes), add_pooling_layer=pooler)
    if kind == "dinov2":
        return dinov2.Dinov2Model(dinov2.Dinov2Config(**sizes))
    config = dinov2_with_registers.Dinov2WithRegistersConfig(**sizes)
    return dinov2_with_registers.Dinov2WithRegistersModel(config)


def of_dinov2(network: Callable[[], nn.Module], blocks: int, depth: int = 2) -> dict[str, Any]:
    """A network of DINOv2's own code."""
    return {"network": network, "short": {"depth": depth}, "blocks": blocks}


def resnet() -> nn.Module:
    network = torchvision.models.ResNet(torchvision.models.resnet.Bottleneck, [1, 1, 1, 1], 9)
    network.fc = nn.Identity()  # the vector is what its classifier takes
    return network


class Keep(nn.Module):
    """KEEP's image part: a network of timm, two layers, and length 1."""

    def __init__(self):
        super().__init__()
        self.visual = timm.create_model(
            "vit_large_patch16_224", num_classes=0, depth=2, img_size=PX, init_values=1e-5
        )
        self.visual_head = nn.Sequential(nn.Linear(1024, 768), nn.GELU(), nn.Linear(768, 768))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.normalize(self.visual_head(self.visual(x)), dim=-1)


SCALE = {"init_values": 1e-5, "img_size": PX}
SWIGLU = {"mlp_layer": SwiGLUPacked, "act_layer": nn.SiLU}
ANY_SIDE = {"dynamic_img_size": True}
TOKENS = {"global_pool": ""}
UNI2 = {"patch_size": 14, "num_heads": 24, "embed_dim": 1536, "mlp_ratio": 2.66667 * 2}
UNI2 |= {"reg_tokens": 8, "no_embed_class": True}
GIGAPATH = {"patch_size": 16, "embed_dim": 1536, "num_heads": 24, "mlp_ratio": 5.33334}
VIRCHOW = {**SCALE, **SWIGLU, **TOKENS, **ANY_SIDE, "mlp_ratio": 5.3375}
CROP = {"resize_px": 256}
LUNIT_VIT = {"resize_px": 248, "save": safe}
RESNET: dict[str, Any] = {"network": resnet, "short": {"layers": [1, 1, 1, 1]}, "blocks": 16}
RESNET |= {"vector": "own", "mode": BILINEAR}
H_OPTIMUS = of_timm("giant_patch14_reg4_dinov2", 40, 1, **SCALE) | {"colours": OPTIMUS}
KAIKO = {"save": safe, "colours": HALF, "mode": BILINEAR}
LARGE = of_timm("large_patch16_224", 24, **SCALE, **ANY_SIDE)
REGISTERS = {"use_swiglu_ffn": True, "num_register_tokens": 4}
MIDNIGHT = of_transformers("dinov2", 40, 1536, 14, 1, use_swiglu_ffn=True)
MIDNIGHT |= {"colours": HALF, "mode": BILINEAR}
DINOV3: dict[str, Any] = {"vector": "own", "save": safe, "resize_px": 256, "crop_px": 256}
VITG = {"registers": 4, "swiglu": True}

CARDS = {
    "uni": Card(**LARGE, mode=BILINEAR),
    "uni2-h": Card(
        **of_timm("giant_patch14_224", 24, 1, **SCALE, **UNI2, **SWIGLU, **ANY_SIDE), mode=BILINEAR
    ),
    "virchow": Card(**of_timm("huge_patch14_224", 32, 1, **VIRCHOW), save=safe, vector="cls+mean"),
    "virchow2": Card(
        **of_timm("huge_patch14_224", 32, 1, **VIRCHOW, reg_tokens=4),
        save=safe,
        vector="cls+mean",
        prefix=5,
    ),
    "gigapath": Card(**of_timm("giant_patch14_dinov2", 40, 1, **SCALE, **GIGAPATH), **CROP),
    "gigapath-flash": Card(
        **of_timm("small_patch16_224", 12, **SCALE, **SWIGLU, mlp_ratio=2048 / 384), **CROP
    ),
    "h-optimus-0": Card(**H_OPTIMUS),
    "h-optimus-1": Card(**H_OPTIMUS, save=safe),
    "h0-mini": Card(
        **of_timm("base_patch14_reg4_dinov2", 12, **SCALE, **SWIGLU, **TOKENS, mlp_ratio=5.33334),
        save=safe,
        colours=OPTIMUS,
        prefix=5,
    ),
    "kaiko-s16": Card(**of_timm("small_patch16_224", 12), **KAIKO),
    "kaiko-s8": Card(**of_timm("small_patch8_224", 12, 1), **KAIKO),
    "kaiko-b16": Card(**of_timm("base_patch16_224", 12), **KAIKO),
    "kaiko-b8": Card(**of_timm("base_patch8_224", 12, 1), **KAIKO),
    "kaiko-l14": Card(
        **of_timm("large_patch14_reg4_dinov2", 24, init_values=1e-5, **ANY_SIDE), **KAIKO
    ),
    "lunit-s16": Card(**of_timm("small_patch16_224", 12), **LUNIT_VIT, colours=LUNIT),
    "lunit-s16-hub": Card(**of_timm("small_patch16_224", 12), **LUNIT_VIT, colours=HALF),
    "lunit-s8": Card(**of_timm("small_patch8_224", 12, 1), **LUNIT_VIT, colours=LUNIT),
    "lunit-s8-hub": Card(**of_timm("small_patch8_224", 12, 1), **LUNIT_VIT),
    "lunit-bt": Card(**RESNET, colours=LUNIT),
    "lunit-mocov2": Card(**RESNET, colours=LUNIT),
    "lunit-swav": Card(**RESNET, colours=LUNIT),
    "retccl": Card(**RESNET, resize_px=256, crop_px=256),
    "mstar": Card(**LARGE, mode=BILINEAR),
    "pathorchestra": Card(**LARGE, mode=BILINEAR),
    "gpfm": Card(**of_timm("large_patch14_dinov2", 24, **SCALE)),
    "gpfm of GitHub": Card(
        **of_dinov2(lambda: in_chunks(Dinov2(1024, 16)), 24), save=teacher, preset="gpfm"
    ),
    "sp22m": Card(**of_timm("small_patch16_224", 12), save=under("encoder.")),
    "stainnet-base": Card(**of_timm("base_patch16_224", 12, **ANY_SIDE), colours=HALF),
    "stainnet-base in OpenCLIP": Card(
        **of_timm("base_patch16_224", 12), colours=HALF, save=openclip, preset="stainnet-base"
    ),
    "stainnet-small": Card(**of_timm("small_patch16_224", 12, **ANY_SIDE), colours=HALF, save=safe),
    "crown": Card(
        **of_dinov2(lambda: in_chunks(Dinov2(1024, 16, patch=16, swiglu=True)), 24), mode=BILINEAR
    ),
    "keep": Card(network=Keep, short={"depth": 2}, blocks=24, save=keep, vector="own"),
    "phikon": Card(**of_transformers("vit", 12, 768, 16), mode=BILINEAR),
    "phikon-v2": Card(**of_transformers("dinov2", 24, 1024, 16)),
    "midnight": Card(**MIDNIGHT, vector="cls+mean"),
    "midnight-cls": Card(**MIDNIGHT),
    "hibou-b": Card(
        **of_transformers("registers", 12, 768, 14, **REGISTERS), colours=HIBOU, prefix=5
    ),
    "hibou-l": Card(
        **of_transformers("registers", 24, 1024, 14, **REGISTERS), colours=HIBOU, prefix=5
    ),
    "openmidnight": Card(
        **of_dinov2(lambda: Dinov2(1536, 24, depth=1, **VITG), 40, 1), mode=BILINEAR, prefix=5
    ),
    "openpath": Card(
        **of_dinov2(lambda: in_chunks(Dinov2(1536, 24, depth=1, **VITG)), 40, 1),
        mode=BILINEAR,
        save=teacher,
        prefix=5,
    ),
    "efficientnet-lite0": Card(
        network=EfficientNetLite0, short={}, blocks=16, colours=HALF, vector="own"
    ),
    "dinov2-b14": Card(**of_timm("base_patch14_dinov2", 12, **ANY_SIDE), save=safe),
    "dinov3-s16": Card(**of_timm("small_patch16_dinov3", 12), **DINOV3),
    "dinov3-b16": Card(**of_timm("base_patch16_dinov3", 12), **DINOV3),
    "dinov3-l16": Card(**of_timm("large_patch16_dinov3", 24, 1), **DINOV3),
    "dinov3-h16plus": Card(**of_timm("huge_plus_patch16_dinov3", 32, 1), **DINOV3),
}
"""By the name of the preset, or what else is special about a file of it."""


def published_network(card: Card) -> nn.Module:
    """With its random weights."""
    network: nn.Module = card.network()
    return scattered(network)
