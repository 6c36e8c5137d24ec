"""Rates: of what, for how long, and FLOPs against a closed form."""

from __future__ import annotations

import pytest
import torch

from hipt.config.config import PatchEncoderConfig, ViTShape
from hipt.embedding import rates
from hipt.embedding.rates import again, flops_per_patch, product_rate, rate_of
from hipt.embedding.weights_files import load_patch_encoder
from tests.clock import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rates, "time", clock)
    return clock


def test_work_is_repeated_until_the_time_is_over(clock: Clock):
    def work() -> int:
        clock.now += 2
        return 10

    assert rate_of(again(work), 7) == 5
    assert clock.now == 1008


def test_what_ends_by_itself_is_measured_whole(clock: Clock):
    def counts():
        for count in (1, 2, 3):
            clock.now += 1
            yield count

    assert rate_of(counts(), 100) == 2
    assert rate_of([], 100) == 0


@pytest.mark.parametrize(("px", "tokens"), [(64, 17), (256, 257)])
def test_operations_are_those_of_the_closed_form(px: int, tokens: int):
    dim, depth = 48, 3
    shape = ViTShape(depth=depth, dim=dim, heads=3)
    encoder = load_patch_encoder(PatchEncoderConfig(random=1, shape=shape))
    linear = 12 * dim**2 * tokens  # queries, keys, values, output, and the two of the MLP
    attention = 2 * tokens**2 * dim
    stem = (tokens - 1) * 16 * 16 * 3 * dim
    expected = 2 * (depth * (linear + attention) + stem)
    # positions that were made for another size are interpolated, which costs nothing to speak of
    assert flops_per_patch(encoder, px) == pytest.approx(expected, rel=0.001)


def test_a_matrix_product_takes_some_time():
    assert 1e7 < product_rate(torch.device("cpu"), "fp32") < 1e16
