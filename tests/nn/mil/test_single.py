"""Mean, max and gated attention, step by step for one bag."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hipt.nn.mil import Bags
from hipt.nn.mil.single import sureness
from tests.nn.mil.bagmaker import DIM, noise, small
from tests.nn.mil.test_hipt import linear, one
from tests.nn.mil.test_pooling import gated


def embedded(state: dict, features: torch.Tensor) -> np.ndarray:
    return np.maximum(linear(state, "embed.0", features.double().numpy()), 0)


def test_abmil_equals_its_formula():
    model = small("abmil").double()
    state, features = model.state_dict(), noise(7, DIM)
    with torch.no_grad():
        out = model(one(features))
    pool = {k: v for k, v in state.items() if k.startswith("pool.")}
    pooled, weights = gated(pool, embedded(state, features), "pool.")
    np.testing.assert_allclose(out.logits[0], linear(state, "classifier", pooled), rtol=1e-10)
    np.testing.assert_allclose(out.attention[0], weights, rtol=1e-10)


def test_mean_is_the_mean():
    model = small("mean").double()
    state, features = model.state_dict(), noise(7, DIM)
    with torch.no_grad():
        out = model(one(features))
    expected = linear(state, "classifier", embedded(state, features).mean(0))
    np.testing.assert_allclose(out.logits[0], expected, rtol=1e-10)
    np.testing.assert_allclose(out.attention[0], np.full(7, 1 / 7), rtol=1e-12)


@pytest.mark.parametrize("outputs", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(5))
def test_max_is_the_likeliest_instance(outputs, seed):
    """Of class 1 of two; of any class of more; the largest risk if there is but one output."""
    model = small("max", outputs, seed).double()
    state, features = model.state_dict(), noise(9, DIM, seed=seed)
    with torch.no_grad():
        out = model(one(features))
    logits = linear(state, "classifier", embedded(state, features))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    rank = {1: logits[:, 0], 2: p[:, -1]}.get(outputs, p.max(1))
    best = int(rank.argmax())
    np.testing.assert_allclose(out.logits[0], logits[best], rtol=1e-10)
    assert out.attention[0].tolist() == [float(i == best) for i in range(9)]


@pytest.mark.parametrize("K", [2, 4])
def test_sureness_has_no_ties_where_probabilities_round_to_1(K):
    logits = torch.zeros(3, K)
    logits[:, 1] = torch.tensor([30.0, 40.0, 35.0])
    assert (logits.softmax(-1)[:, 1] == 1).all()
    assert int(sureness(logits).argmax()) == 1


def test_max_sends_gradient_to_the_chosen_alone():
    model = small("max")
    features = noise(1, 6, DIM).requires_grad_()
    out = model(Bags(features, torch.ones(1, 6, dtype=torch.bool)))
    out.logits.sum().backward()
    assert torch.equal(features.grad[0].abs().sum(1) > 0, out.attention[0] > 0)
