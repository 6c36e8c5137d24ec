"""The ViT against a second derivation of it from the formulas, in plain tensors."""

from __future__ import annotations

import math

import pytest
import torch

from hipt.config.config import PATCH_SHAPES, REGION_SHAPES, ViTShape
from hipt.nn.vit import initialise, resampled_positions, vit256, vit4096

SMALL = ViTShape(depth=3, dim=24, heads=3)


def layer_norm(x, weight, bias):
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)
    return (x - mean) / torch.sqrt(variance + 1e-6) * weight + bias


def gelu(x):
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def cubic(t: float) -> float:
    """Keys' kernel with a = -0.75, as torch's bicubic uses."""
    a, t = -0.75, abs(t)
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a if t < 2 else 0.0


def resampling_matrix(n: int, side: int = 14) -> torch.Tensor:
    """(n, side) weights: sample i lies at (i + 0.5) / ((n + 0.1) / side) - 0.5."""
    matrix = torch.zeros(n, side, dtype=torch.float64)
    for i in range(n):
        place = (i + 0.5) / ((n + 0.1) / side) - 0.5
        low = math.floor(place)
        for k in range(low - 1, low + 3):
            matrix[i, min(max(k, 0), side - 1)] += cubic(place - k)
    return matrix


def derived(state: dict, x: torch.Tensor, shape: ViTShape) -> torch.Tensor:
    """The normed CLS token, step by step."""
    if "patch_embed.proj.weight" in state:
        b, _, height, width = x.shape
        h, w = height // 16, width // 16
        cells = x.reshape(b, 3, h, 16, w, 16).permute(0, 2, 4, 1, 3, 5).reshape(b, h * w, 768)
        weight = state["patch_embed.proj.weight"].reshape(shape.dim, 768)
        tokens = cells @ weight.T + state["patch_embed.proj.bias"]
    else:
        b, channels, h, w = x.shape
        features = x.reshape(b, channels, h * w).transpose(1, 2)
        tokens = gelu(features @ state["phi.0.weight"].T + state["phi.0.bias"])
    positions = state["pos_embed"][0]
    if h == w == 14:
        grid = positions[1:]
    else:
        square = positions[1:].reshape(14, 14, shape.dim)
        rows, columns = (resampling_matrix(n).to(x.dtype) for n in (h, w))
        grid = torch.einsum("ik,jl,kld->ijd", rows, columns, square).reshape(h * w, shape.dim)
    cls = state["cls_token"].expand(b, 1, shape.dim)
    z = torch.cat([cls, tokens], 1) + torch.cat([positions[:1], grid])[None]
    for i in range(shape.depth):
        p = {k.removeprefix(f"blocks.{i}."): v for k, v in state.items() if f"blocks.{i}." in k}
        y = layer_norm(z, p["norm1.weight"], p["norm1.bias"])
        q, k, v = (y @ p["attn.qkv.weight"].T + p["attn.qkv.bias"]).split(shape.dim, -1)
        heads = []
        width = shape.dim // shape.heads
        for head in range(shape.heads):
            part = slice(head * width, (head + 1) * width)
            scores = q[..., part] @ k[..., part].transpose(1, 2) / math.sqrt(width)
            heads.append(torch.softmax(scores, -1) @ v[..., part])
        z = z + torch.cat(heads, -1) @ p["attn.proj.weight"].T + p["attn.proj.bias"]
        y = layer_norm(z, p["norm2.weight"], p["norm2.bias"])
        y = gelu(y @ p["mlp.fc1.weight"].T + p["mlp.fc1.bias"])
        z = z + y @ p["mlp.fc2.weight"].T + p["mlp.fc2.bias"]
    return layer_norm(z, state["norm.weight"], state["norm.bias"])[:, 0]


def shaken(model: torch.nn.Module, std: float = 0.1) -> torch.nn.Module:
    """Every parameter random, so that none can hide behind a 0 or a 1."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * std)
    return model.eval()


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("size", [(224, 224), (256, 256), (96, 96), (64, 128)])
@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_pixels_equal_the_second_derivation(size, dtype, limit):
    model = shaken(vit256(SMALL)).to(dtype)
    x = noise(2, 3, *size).to(dtype)
    with torch.no_grad():
        difference = model(x) - derived(model.state_dict(), x, SMALL)
    assert difference.abs().max() <= limit


@pytest.mark.parametrize("size", [(14, 14), (16, 16), (6, 6), (4, 9)])
@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_grids_equal_the_second_derivation(size, dtype, limit):
    model = shaken(vit4096(SMALL, in_dim=10)).to(dtype)
    x = noise(2, 10, *size).to(dtype)
    with torch.no_grad():
        difference = model(x) - derived(model.state_dict(), x, SMALL)
    assert difference.abs().max() <= limit


@pytest.mark.parametrize("stage", [1, 2])
def test_full_size_equals_the_second_derivation(stage):
    shape = PATCH_SHAPES["paper"] if stage == 1 else REGION_SHAPES["released"]
    model = shaken(vit256(shape) if stage == 1 else vit4096(shape, 384), std=0.02)
    x = noise(1, 3, 256, 256) if stage == 1 else noise(1, 384, 16, 16)
    with torch.no_grad():
        expected = derived(model.double().state_dict(), x.double(), shape)
        difference = model.float()(x) - expected
    assert difference.abs().max() <= 1e-5


def test_a_plain_resize_is_something_else():
    """Why the scale factor matters: resizing to the size gives other position embeddings."""
    positions = noise(1, 197, 8)
    plain = torch.nn.functional.interpolate(
        positions[:, 1:].reshape(1, 14, 14, 8).permute(0, 3, 1, 2), size=(16, 16), mode="bicubic"
    )
    ours = resampled_positions(positions, 16, 16)[:, 1:].reshape(1, 16, 16, 8).permute(0, 3, 1, 2)
    assert (ours - plain).abs().max() > 0.01
    assert resampled_positions(positions, 14, 14) is positions


@pytest.mark.parametrize(
    ("model", "parameters", "tensors"),
    [
        (vit256(PATCH_SHAPES["paper"]), 21_665_664, 150),
        (vit4096(REGION_SHAPES["released"], 384), 2_781_504, 78),
    ],
    ids=["ViT256-16", "ViT4096-256"],
)
def test_sizes_are_those_of_the_released_models(model, parameters, tensors):
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert len(model.state_dict()) == tensors


def test_shape_of_the_paper():
    model = vit4096(REGION_SHAPES["paper"], 384)
    assert (len(model.blocks), model.blocks[0].attn.num_heads, model.dim) == (4, 3, 192)


def test_drop_path_rises_over_the_blocks():
    rates = [b.drop_path.rate for b in vit256(SMALL, drop_path=0.1).blocks]
    assert rates == pytest.approx([0, 0.05, 0.1])


def test_random_weights_follow_from_the_seed_alone():
    state = torch.get_rng_state()
    models = [vit256(SMALL) for _ in range(3)]
    for model, seed in zip(models, (1, 1, 2), strict=True):
        initialise(model, seed)
    a, b, c = (torch.cat([p.flatten() for p in m.parameters()]) for m in models)
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    initialise(models[0], 5)
    untouched = torch.get_rng_state()
    initialise(models[0], 6)
    assert torch.equal(torch.get_rng_state(), untouched)
    assert state.shape == untouched.shape
    weight = models[0].blocks[0].mlp.fc1.weight
    assert float(weight.detach().std()) == pytest.approx(0.02, rel=0.1)
    assert float(models[0].norm.weight.detach().min()) == 1.0
