"""Attention and contributions of patches, against loops, differences and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hipt.config.config import ViTShape
from hipt.geometry.lattice import lattice, windows
from hipt.nn.attribution import (
    answer_gradients,
    contributions,
    mean_contributions,
    window_attention,
)
from hipt.nn.mil import build, pad
from hipt.nn.vit import initialise, vit256, vit4096

SHAPE = ViTShape(depth=2, dim=24, heads=3)


def stage2():
    model = vit4096(SHAPE, 8).eval()
    initialise(model, 5)
    with torch.no_grad():  # so that attention is not nearly uniform
        for block in model.blocks:
            block.attn.qkv.weight.mul_(12)
    return model


def attention_by_hand(model, x):
    """The last block's softmax, from what goes into its attention layer."""
    caught = []
    last = model.blocks[-1].attn
    hook = last.register_forward_pre_hook(lambda _, given: caught.append(given[0]))
    with torch.no_grad():
        model(x)
        hook.remove()
        tokens = caught[0]  # (B, 1+T, D), normed
        weight, bias = last.qkv.weight, last.qkv.bias
        dim = tokens.shape[-1]
        found = []
        for head in range(SHAPE.heads):
            rows = slice(head * dim // SHAPE.heads, (head + 1) * dim // SHAPE.heads)
            query = tokens[:, 0] @ weight[:dim][rows].T + bias[:dim][rows]
            key = tokens @ weight[dim : 2 * dim][rows].T + bias[dim : 2 * dim][rows]
            scores = (key * query[:, None]).sum(-1) / (dim // SHAPE.heads) ** 0.5
            found.append(scores.softmax(-1)[:, 1:])
    return torch.stack(found, 1)


@pytest.mark.parametrize("level", ["pixels", "grid"])
def test_attention_is_the_last_blocks_softmax(level):
    if level == "pixels":
        model, x = vit256(SHAPE).eval(), torch.rand(2, 3, 64, 48)
        initialise(model, 1)
    else:
        model, x = stage2(), torch.rand(2, 8, 4, 4)
    with torch.no_grad():
        found = model.attention(x)
    torch.testing.assert_close(found, attention_by_hand(model, x), atol=1e-6, rtol=1e-5)
    assert found.shape == (2, 3, 12 if level == "pixels" else 16)
    assert (found.sum(-1) < 1).all()


def test_shifts_move_the_image_and_not_the_map():
    """The mean over true shifts: each crop of the plane of patches goes through the network."""
    grid, rows, columns = 4, 12, 8
    model = stage2()
    plane = torch.randn(rows, columns, 8, generator=torch.Generator().manual_seed(0))
    corners = np.array(
        [
            (x * grid + c, y * grid + r)
            for y in range(rows // grid)
            for x in range(columns // grid)
            for r in range(grid)
            for c in range(grid)
        ]
    )
    vectors = torch.stack([plane[y, x] for x, y in corners.tolist()])
    places = lattice(corners, 1)
    squares = torch.from_numpy(np.concatenate([windows(places, grid, s) for s in (0, 2)]))
    found = window_attention(model, vectors, squares)

    total, count = torch.zeros(rows, columns, 3), torch.zeros(rows, columns, 1)
    for shift in (0, 2):
        for y in range(shift, rows - grid + 1, grid):
            for x in range(shift, columns - grid + 1, grid):
                crop = plane[y : y + grid, x : x + grid].permute(2, 0, 1)[None]
                seen = attention_by_hand(model, crop)[0].reshape(3, grid, grid)
                total[y : y + grid, x : x + grid] += seen.permute(1, 2, 0)
                count[y : y + grid, x : x + grid] += 1
    expected = torch.stack([(total / count)[y, x] for x, y in corners.tolist()])
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    assert count.max() == 2


def test_a_moved_map_is_another_one():
    """What the original does: the maps of the unshifted regions, moved; it is not the above."""
    model = stage2()
    plane = torch.randn(8, 8, 8, generator=torch.Generator().manual_seed(1))
    whole = plane.reshape(64, 8)
    square = torch.tensor([[y * 8 + x for y in range(2, 6) for x in range(2, 6)]])
    first = torch.tensor([[y * 8 + x for y in range(4) for x in range(4)]])
    true = window_attention(model, whole, square)[square[0]]
    moved = window_attention(model, whole, first)[first[0]]
    assert (true - moved).abs().max() > 0.01


def test_contributions_of_a_region_sum_to_what_the_answer_gains(monkeypatch):
    model = stage2().double()
    vectors = torch.randn(32, 8, dtype=torch.float64)
    regions = torch.arange(32).reshape(2, 16)
    pull = torch.randn(2, 24, dtype=torch.float64)
    mean = vectors.mean(0).expand(32, 8)

    def answers(at):
        grids = at[regions].transpose(1, 2).reshape(2, 8, 4, 4)
        with torch.no_grad():
            return (model(grids) * pull).sum(1)

    gained = answers(vectors) - answers(mean)
    monkeypatch.setattr("hipt.nn.attribution.STEPS", 64)
    exact = contributions(model, vectors, regions, pull)
    torch.testing.assert_close(exact.view(2, 16).sum(1), gained, rtol=1e-3, atol=1e-4)


def test_contributions_are_mean_derivatives_along_the_way_from_the_mean():
    model = stage2().double()
    vectors = torch.randn(32, 8, dtype=torch.float64)
    regions = torch.arange(32).reshape(2, 16)
    pull = torch.randn(2, 24, dtype=torch.float64)
    found = contributions(model, vectors, regions, pull)
    mean = vectors.mean(0)

    def answer(at):
        grids = at[regions].transpose(1, 2).reshape(2, 8, 4, 4)
        with torch.no_grad():
            return (model(grids) * pull).sum()

    tiny = 1e-6
    for patch in (0, 7, 31):
        slopes = []
        for share in (0.125, 0.375, 0.625, 0.875):
            at = mean + share * (vectors - mean)
            moved = at.clone()
            moved[patch] += tiny * (vectors[patch] - mean)
            slopes.append(float(answer(moved) - answer(at)) / tiny)
        assert float(found[patch]) == pytest.approx(np.mean(slopes), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("name", ["hipt", "mean", "max", "abmil", "clam_sb", "dsmil", "dgcn"])
def test_answers_gradients_are_gradients_of_the_answer(name):
    torch.manual_seed(0)
    model = build(name, 6, 2).eval()
    vectors = torch.randn(5, 6)
    positions = torch.tensor([[0.0, 0], [1, 0], [2, 0], [0, 1], [5, 5]])
    (found,) = answer_gradients(
        model, pad([vectors], [positions]), [lambda x: (x[:, 1] - x[:, 0]).sum()]
    )
    double = model.double()

    def answer(at):
        with torch.no_grad():
            logits = double(pad([at], [positions.double()])).logits
        return float(logits[0, 1] - logits[0, 0])

    at, step = vectors.double(), 1e-6
    for region, column in ((0, 0), (3, 5)):
        moved = at.clone()
        moved[region, column] += step
        slope = (answer(moved) - answer(at)) / step
        assert float(found[region, column]) == pytest.approx(slope, rel=1e-3, abs=1e-5)


def test_contributions_through_a_mean_are_those_of_a_network_that_takes_it():
    """`contributions` of a module that computes the mean; and they sum to the answer's change."""
    generator = torch.manual_seed(4)
    vectors, gradient = torch.randn(32, 5, generator=generator), torch.randn(2, 5)
    shares = torch.rand(2, 16)
    shares /= shares.sum(1, keepdim=True)
    regions = torch.arange(32).view(2, 16)
    got = mean_contributions(vectors, shares, gradient)
    for region in range(2):
        weights = shares[region].view(1, 1, 4, 4)

        def mean(grids: torch.Tensor, weights: torch.Tensor = weights) -> torch.Tensor:
            return (grids * weights).sum((2, 3))

        expected = contributions(mean, vectors, regions, gradient)[regions[region]]
        torch.testing.assert_close(got[regions[region]], expected)
