"""Pooling against NumPy, instance by instance."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hipt.nn.mil.pooling import GatedAttention, masked_softmax, uniform, weighted
from tests.nn.mil.bagmaker import noise


def gated(state: dict, bag: np.ndarray, prefix: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Pooled vector and weights of one bag (m, D), from the paper's formula."""
    p = {key.removeprefix(prefix): value.numpy() for key, value in state.items()}
    scores = []
    for h in bag:
        content = np.tanh(p["content.0.weight"] @ h + p["content.0.bias"])
        gate = 1 / (1 + np.exp(-(p["gate.0.weight"] @ h + p["gate.0.bias"])))
        scores.append(p["score.weight"][0] @ (content * gate) + p["score.bias"][0])
    weights = np.exp(scores) / np.exp(scores).sum()
    return sum(a * h for a, h in zip(weights, bag, strict=True)), weights


def test_gated_attention_equals_its_formula():
    torch.manual_seed(0)
    pool = GatedAttention(7, 5, dropout=0.25).double().eval()
    vectors = noise(2, 3, 6, 7).double()
    lengths = torch.tensor([[6, 1, 3], [2, 5, 6]])
    mask = torch.arange(6) < lengths[..., None]
    with torch.no_grad():
        pooled, weights = pool(vectors, mask)
    for place in np.ndindex(2, 3):
        m = int(lengths[place])
        expected, shares = gated(pool.state_dict(), vectors[place][:m].numpy())
        np.testing.assert_allclose(pooled[place].numpy(), expected, rtol=1e-12)
        np.testing.assert_allclose(weights[place][:m].numpy(), shares, rtol=1e-12)
        assert not weights[place][m:].any()


def test_a_gate_drops_units_of_both_branches():
    pool = GatedAttention(7, 400, dropout=0.25).train()
    torch.manual_seed(0)
    for branch in (pool.content, pool.gate):
        share = float((branch(noise(50, 7)) == 0).float().mean())
        assert share == pytest.approx(0.25, abs=0.02)


def test_softmax_of_nothing_is_nothing():
    scores = torch.tensor([[1e30, -1e30, 5.0], [1.0, 2.0, 3.0]], requires_grad=True)
    mask = torch.tensor([[False, True, False], [False, False, False]])
    weights = masked_softmax(scores, mask)
    assert weights.tolist() == [[0, 1, 0], [0, 0, 0]]
    weights.sum().backward()
    assert scores.grad.isfinite().all()


def test_equal_weights_make_a_mean():
    mask = torch.tensor([[True, False, True], [False, False, False]])
    weights = uniform(mask, torch.float64)
    assert weights.tolist() == [[0.5, 0, 0.5], [0, 0, 0]]
    vectors = noise(2, 3, 4).double()
    assert torch.allclose(weighted(weights, vectors)[0], (vectors[0, 0] + vectors[0, 2]) / 2)
