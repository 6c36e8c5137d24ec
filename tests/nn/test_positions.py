"""Positions that say which tokens are neighbours."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from hipt.config.config import ViTShape
from hipt.nn.positions import SIZE, sine_positions
from hipt.nn.vit import initialise, place_by_sines, resampled_positions, vit4096


@pytest.mark.parametrize("dim", [64, 192, 10])
def test_sines_have_mean_0_and_one_size(dim: int):
    places = sine_positions(14, dim)
    assert places.shape == (196, dim)
    assert places.mean(0).abs().max() < 1e-6
    assert float(places.square().mean().sqrt()) == pytest.approx(SIZE, rel=1e-5)


@pytest.mark.parametrize("side", [14, 16, 6])
def test_a_place_is_most_like_its_neighbours_also_where_it_is_resampled(side: int):
    model = vit4096(ViTShape(depth=1, dim=64, heads=2), 5)
    initialise(model, 0)
    cls = model.pos_embed[:, 0].clone()
    place_by_sines(model)
    assert torch.equal(model.pos_embed[:, 0], cls)
    places = resampled_positions(model.pos_embed.detach(), side, side)[0, 1:]
    alike = F.normalize(places, dim=1) @ F.normalize(places, dim=1).T
    at = torch.cartesian_prod(torch.arange(side), torch.arange(side)).float()
    apart = torch.cdist(at, at)
    assert alike[apart == 1].mean() > alike[apart > 1].mean() + 0.3
    most = alike.fill_diagonal_(-1).argmax(1)
    assert apart[torch.arange(side**2), most].max() < 1.5  # random ones are as like anywhere
