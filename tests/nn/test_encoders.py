"""Encoders take uint8 patches; timm's models behave as timm itself would."""

from __future__ import annotations

from dataclasses import replace

import pytest
import timm
import torch
from timm.data import create_transform, resolve_model_data_config
from torchvision.transforms.functional import to_pil_image

from hipt.config.config import PatchEncoderConfig, RegionEncoderConfig, ViTShape
from hipt.embedding.encoder_input import encoder_input
from hipt.errors import HiptError
from hipt.nn.encoders import (
    PatchEncoder,
    build_patch_encoder,
    build_region_encoder,
    embedded,
    inference,
)
from hipt.nn.vit import initialise

CPU = torch.device("cpu")
TINY = PatchEncoderConfig(shape=ViTShape(depth=2, dim=32, heads=2), random=1)


def built(cfg: PatchEncoderConfig) -> PatchEncoder:
    return build_patch_encoder(cfg, encoder_input(cfg))


def patches(count: int, px: int) -> torch.Tensor:
    smooth = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    large = torch.nn.functional.interpolate(smooth, (px, px), mode="bicubic").clamp(0, 1)
    return (large * 255).round().to(torch.uint8).movedim(1, -1)


def test_hipt_normalises_by_one_half():
    encoder = built(TINY).eval()
    pixels = patches(2, 64)
    with torch.no_grad():
        expected = encoder.model((pixels.movedim(-1, 1) / 255 - 0.5) / 0.5)
        assert torch.equal(encoder(pixels), expected)
    assert (encoder.dim, encoder.given.px) == (32, None)


def test_another_normalisation_may_come_with_the_weights():
    encoder = built(TINY).eval()
    imagenet = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    other = PatchEncoder(encoder.model, encoder.dim, replace(encoder.given, **imagenet))
    assert not torch.equal(other(patches(1, 64)), encoder(patches(1, 64)))


@pytest.mark.parametrize(
    ("name", "dim", "px"),
    [("resnet10t", 512, 176), ("vit_tiny_patch16_224", 192, 224), ("convnext_atto", 320, 224)],
)
def test_timm_models_get_timm_own_input(name: str, dim: int, px: int):
    encoder = built(PatchEncoderConfig(encoder=name, random=0)).eval()
    assert (encoder.dim, encoder.given.px) == (dim, px)
    initialise(encoder.model, 0)
    pixels = patches(2, 256)
    data = resolve_model_data_config(encoder.model) | {"crop_pct": 1.0, "interpolation": "bicubic"}
    transform = create_transform(**data, is_training=False)
    timm_input = torch.stack([transform(to_pil_image(p.movedim(-1, 0))) for p in pixels])
    with torch.no_grad():
        ours, theirs = encoder(pixels), encoder.model(timm_input)
    assert ours.shape == (2, dim)
    assert torch.nn.functional.cosine_similarity(ours, theirs).min() > 0.999


def test_a_name_of_timm_alone_gives_what_it_always_gave():
    """Bicubic to timm's side, nothing cut, the network's own answer: bit for bit."""
    encoder = built(PatchEncoderConfig(encoder="vit_tiny_patch16_224", random=0)).eval()
    initialise(encoder.model, 0)
    pixels = patches(2, 256)
    x = pixels.movedim(-1, 1).float() / 255
    x = torch.nn.functional.interpolate(x, (224, 224), mode="bicubic", antialias=True).clamp(0, 1)
    with torch.no_grad():
        expected = encoder.model((x - encoder.mean) / encoder.std)
        assert torch.equal(encoder(pixels), expected)


def test_keys_of_a_card_work_with_any_name_of_timm():
    cfg = PatchEncoderConfig(
        encoder="vit_tiny_patch16_224",
        encoder_args={"img_size": 96, "reg_tokens": 2},
        **{"resize_px": 128, "interpolation": "bilinear", "pooling": "cls+mean", "random": 0},
    )
    encoder = built(cfg).eval()
    initialise(encoder.model, 0)
    pixels = patches(2, 256)
    x = pixels.movedim(-1, 1).float() / 255
    x = torch.nn.functional.interpolate(x, (128, 128), mode="bilinear", antialias=True)
    with torch.no_grad():
        tokens = encoder.model.forward_features((x[..., 16:-16, 16:-16] - 0.5) / 0.5)
        expected = torch.cat([tokens[:, 0], tokens[:, 3:].mean(1)], -1)
        torch.testing.assert_close(encoder(pixels), expected, rtol=0, atol=1e-6)
    assert encoder.dim == 384


def test_encoder_args_reach_timm():
    args = {"img_size": 96, "init_values": 1e-5}
    encoder = built(PatchEncoderConfig(encoder="vit_tiny_patch16_224", encoder_args=args, random=0))
    assert "blocks.0.ls1.gamma" in encoder.model.state_dict()


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(HiptError, match=r"a model 'vit_tny_patch16_224'; did you mean vit_tiny"):
        built(PatchEncoderConfig(encoder="vit_tny_patch16_224", random=0))
    with pytest.raises(HiptError, match="timm refuses resnet10t"):
        built(PatchEncoderConfig(encoder="resnet10t", encoder_args={"nonsense": 1}, random=0))


def test_any_width_fits_under_stage_2():
    model = build_region_encoder(RegionEncoderConfig(random=1), in_dim=1024)
    assert model(torch.zeros(2, 1024, 4, 4)).shape == (2, 192)


def test_bf16_is_close_to_fp32_and_comes_out_as_fp32():
    encoder = built(TINY).eval()
    initialise(encoder.model, 3)
    pixels = patches(4, 64)
    with inference("fp32", CPU):
        exact = encoder(pixels)
    with inference("bf16", CPU):
        rounded = encoder(pixels)
    assert rounded.dtype == torch.float32
    assert not torch.equal(exact, rounded)
    assert torch.nn.functional.cosine_similarity(exact, rounded).min() > 0.999


def test_a_vector_does_not_depend_on_its_minibatch_beyond_rounding():
    encoder = built(TINY).eval()
    pixels = patches(8, 64)
    with inference("fp32", CPU):
        alone = torch.cat([encoder(part) for part in pixels.split(1)])
        together = encoder(pixels)
    torch.testing.assert_close(alone, together, rtol=1e-5, atol=1e-6)
    assert timm.__version__


@pytest.mark.parametrize("px", [64, 256])
def test_threads_change_no_number(px: int):
    """16 numbers from 64-pixel patches: several threads in one product give other last bits."""
    encoder = built(TINY.model_copy(update={"shape": ViTShape(depth=1, dim=16, heads=2)}))
    initialise(encoder.model, 1)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        pixels = patches(40, px)
        one, two, many = (embedded(encoder.eval(), pixels, 16, "fp32", n) for n in (1, 2, 5))
    finally:
        torch.set_num_threads(before)
    assert one.shape == (40, 16)
    assert torch.equal(one, two)
    assert torch.equal(one, many)
    with inference("fp32", CPU):
        assert torch.allclose(one, encoder(pixels), atol=1e-5)
