"""DeepAttnMISL, phenotype by phenotype."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hipt.nn.mil import CLUSTERS, Bags
from tests.nn.mil.bagmaker import DIM, noise, small
from tests.nn.mil.test_hipt import linear
from tests.nn.mil.test_pooling import gated


def bag(clusters: list[int]) -> Bags:
    mask = torch.ones(1, len(clusters), dtype=torch.bool)
    features = noise(1, len(clusters), DIM).double()
    return Bags(features, mask, clusters=torch.tensor([clusters]))


def test_deepattnmisl_equals_loops():
    model = small("deepattnmisl").double()
    own = [0, 3, 3, 9, 0, 0, 7]
    with torch.no_grad():
        out = model(bag(own))
    state, x = model.state_dict(), bag(own).features[0].numpy()
    present = sorted(set(own))
    means = []
    for i in present:
        mine = x[[j for j, c in enumerate(own) if c == i]]
        hidden = np.maximum(linear(state, f"phis.{i}.0.0", mine), 0)
        means.append(np.maximum(linear(state, f"phis.{i}.1.0", hidden), 0).mean(0))
    pool = {k: v for k, v in state.items() if k.startswith("pool.")}
    pooled, weights = gated(pool, np.maximum(linear(state, "phi.0", np.array(means)), 0), "pool.")
    logits = linear(state, "classifier", np.maximum(linear(state, "rho.0", pooled), 0))
    np.testing.assert_allclose(out.logits[0], logits, rtol=1e-10)
    expected = [weights[present.index(c)] / own.count(c) for c in own]
    np.testing.assert_allclose(out.attention[0], expected, rtol=1e-10)


def test_absent_phenotypes_change_nothing_and_learn_nothing():
    model = small("deepattnmisl").double()
    before = model(bag([2, 2, 5])).logits
    before.sum().backward()
    for i, phi in enumerate(model.phis):
        assert (float(phi[0][0].weight.grad.abs().max()) > 0) == (i in (2, 5))
        if i not in (2, 5):
            torch.nn.init.normal_(phi[1][0].bias)
    assert torch.equal(model(bag([2, 2, 5])).logits, before)


def test_there_are_ten_phenotypes():
    with pytest.raises(RuntimeError, match="Class values"):
        small("deepattnmisl").double()(bag([0, CLUSTERS]))
