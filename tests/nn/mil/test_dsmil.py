"""DSMIL in plain loops."""

from __future__ import annotations

import math

import pytest
import torch

from tests.nn.mil.bagmaker import DIM, noise, small
from tests.nn.mil.test_hipt import one


def times(weight: list[list[float]], bias: list[float], x: list[float]) -> list[float]:
    return [
        sum(w * v for w, v in zip(row, x, strict=True)) + b
        for row, b in zip(weight, bias, strict=True)
    ]


@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_dsmil_equals_loops(outputs):
    model = small("dsmil", outputs).double()
    bag = noise(6, DIM).double()
    with torch.no_grad():
        out = model(one(bag))
    p = {key: value.tolist() for key, value in model.state_dict().items()}
    xs = bag.tolist()

    def layer(name: str, x: list[float]) -> list[float]:
        return times(p[f"{name}.weight"], p[f"{name}.bias"], x)

    scores = [layer("instance", x) for x in xs]
    queries = [layer("query", x) for x in xs]
    values = [layer("value", x) for x in xs]
    best, flat, attention = [], [], [0.0] * 6
    for k in range(outputs):
        critical = max(range(6), key=lambda i: scores[i][k])
        best.append(scores[critical][k])
        inner = [sum(a * b for a, b in zip(q, queries[critical], strict=True)) for q in queries]
        powers = [math.exp(v / math.sqrt(128)) for v in inner]
        shares = [v / sum(powers) for v in powers]
        flat += [sum(a * v[d] for a, v in zip(shares, values, strict=True)) for d in range(12)]
        attention = [a + b / outputs for a, b in zip(attention, shares, strict=True)]
    logits = [(a + b) / 2 for a, b in zip(layer("bag", flat), best, strict=True)]
    assert out.logits[0].tolist() == pytest.approx(logits, rel=1e-10)
    assert out.attention[0].tolist() == pytest.approx(attention, rel=1e-10)


def test_the_bag_layer_is_the_convolution_of_the_paper():
    model = small("dsmil").double()
    bag = noise(2, 3, 12).double()
    weight = model.bag.weight.reshape(3, 3, 12)
    expected = torch.nn.functional.conv1d(bag, weight, model.bag.bias)[..., 0]
    assert torch.allclose(model.bag(bag.flatten(1)), expected, rtol=1e-12)
