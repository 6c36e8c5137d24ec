"""Neighbours and graph layers, edge by edge."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hipt.nn.mil import Bags
from hipt.nn.mil.graph import nearest
from tests.nn.mil.bagmaker import bags, small
from tests.nn.mil.test_hipt import linear
from tests.nn.mil.test_pooling import gated


def neighbours(points: np.ndarray) -> np.ndarray:
    """(m, m): among the eight nearest, ties counted, either way round."""
    m = len(points)
    near = np.zeros((m, m), dtype=bool)
    for i in range(m):
        far = {j: float(((points[i] - points[j]) ** 2).sum()) for j in range(m) if j != i}
        limit = sorted(far.values())[:8][-1] if far else 0
        for j, distance in far.items():
            near[i, j] |= distance <= limit
            near[j, i] |= distance <= limit
    return near


def test_inner_regions_of_a_grid_have_the_eight_around_them():
    places = torch.cartesian_prod(torch.arange(7), torch.arange(7)).double()
    near = nearest(places[None], torch.ones(1, 49, dtype=torch.bool))[0]
    around = (places[:, None] - places[None]).abs().amax(-1)
    inner = ((places >= 2) & (places <= 4)).all(1)
    assert int(inner.sum()) == 9
    assert torch.equal(near[inner][:, inner], ((around == 1)[inner])[:, inner])
    assert (near | (around != 1)).all()


@pytest.mark.parametrize("length", [1, 2, 9, 10, 30])
def test_neighbours_equal_loops(length):
    batch = bags("dgcn", lengths=(length, 35))
    for points in (batch.positions.double(), batch.features.double()):
        near = nearest(points, batch.mask)
        expected = neighbours(points[0, :length].numpy())
        assert (near[0, :length, :length].numpy() == expected).all()
        assert not near[0, length:].any()
        assert not near[0, :, length:].any()


@pytest.mark.parametrize("places", [True, False])
def test_dgcn_equals_loops(places):
    model = small("dgcn").double()
    batch = bags("dgcn", lengths=(14,), positions=places)
    x = batch.features.double()
    with torch.no_grad():
        out = model(Bags(x, batch.mask, batch.positions))
    state, h = model.state_dict(), x[0].numpy()
    near = neighbours((batch.positions[0] if places else x[0]).numpy())
    for layer in range(3):
        rows = []
        for i in range(14):
            total = h[i] + sum((h[j] for j in range(14) if near[i, j]), np.zeros_like(h[i]))
            hidden = np.maximum(linear(state, f"layers.{layer}.mlp.0", total), 0)
            rows.append(np.maximum(linear(state, f"layers.{layer}.mlp.2", hidden), 0))
        h = np.array(rows)
    pool = {k: v for k, v in state.items() if k.startswith("pool.")}
    pooled, weights = gated(pool, h, "pool.")
    logits = linear(state, "classifier", np.maximum(linear(state, "rho.0", pooled), 0))
    np.testing.assert_allclose(out.logits[0], logits, rtol=1e-9)
    np.testing.assert_allclose(out.attention[0], weights, rtol=1e-9)


def test_places_matter_where_given():
    model, batch = small("dgcn"), bags("dgcn", lengths=(20,))
    moved = Bags(batch.features, batch.mask, batch.positions.flip(1))
    assert not torch.allclose(model(batch).logits, model(moved).logits)
    shifted = Bags(batch.features, batch.mask, batch.positions + 1000)
    assert torch.allclose(model(batch).logits, model(shifted).logits)
