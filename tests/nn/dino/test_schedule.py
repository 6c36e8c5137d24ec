"""Schedules against closed forms, decay groups, and the clip against torch's own."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from hipt.config.config import ViTShape
from hipt.nn.dino.schedule import clip_each, cosine, parameter_groups, set_rates
from hipt.nn.vit import vit4096


@pytest.mark.parametrize(
    ("start", "end", "warmup"), [(5e-4, 1e-6, 40), (0.04, 0.4, 0), (0.996, 1.0, 0), (1.0, 0.0, 99)]
)
def test_a_run_equals_its_closed_form(start, end, warmup):
    total = 400
    rise = np.linspace(0, start, warmup + 1)[:-1]
    angle = np.linspace(0, np.pi, total - warmup)
    expected = np.concatenate([rise, end + (start - end) * np.cos(angle / 2) ** 2])
    values = [cosine(i, total, start, end, warmup) for i in range(total)]
    assert values == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_boundaries_are_met_exactly():
    assert cosine(0, 100, 5e-4, 1e-6, 10) == 0
    assert cosine(5, 100, 5e-4, 1e-6, 10) == 2.5e-4
    assert cosine(10, 100, 5e-4, 1e-6, 10) == 5e-4
    assert cosine(99, 100, 5e-4, 1e-6, 10) == 1e-6
    assert cosine(0, 101, 0.04, 0.4) == pytest.approx(0.04, rel=1e-15)
    assert cosine(50, 101, 0.04, 0.4) == pytest.approx(0.22, rel=1e-15)
    assert cosine(100, 101, 0.996, 1.0) == 1


def test_short_runs():
    assert cosine(0, 1, 0.5, 0.1) == 0.5
    assert [cosine(i, 2, 0.5, 0.1) for i in range(2)] == [0.5, 0.1]
    assert cosine(2, 3, 0.5, 0.1, warmup=2) == 0.5
    assert [cosine(i, 3, 0.4, 0.1, warmup=4) for i in range(3)] == pytest.approx([0, 0.1, 0.2])


@given(
    total=st.integers(1, 500),
    warmup=st.integers(0, 600),
    start=st.floats(0, 1),
    end=st.floats(0, 1),
)
def test_values_stay_between_their_ends_and_go_one_way(total, warmup, start, end):
    values = [cosine(i, total, start, end, warmup) for i in range(total)]
    rise, rest = np.array(values[:warmup]), np.array(values[warmup:])
    assert (np.diff(rise) >= 0).all()
    assert ((rise >= 0) & (rise <= start)).all()
    assert (np.diff(rest) * np.sign(end - start) >= -1e-15).all()
    assert ((rest >= min(start, end) - 1e-15) & (rest <= max(start, end) + 1e-15)).all()


@pytest.mark.parametrize(("iteration", "total", "warmup"), [(-1, 9, 0), (9, 9, 0), (0, 0, 0)])
def test_iterations_outside_the_run_are_refused(iteration, total, warmup):
    with pytest.raises(ValueError, match=f"iteration {iteration} lies outside a run of {total}"):
        cosine(iteration, total, 1.0, 0.0, warmup)


def test_a_negative_warmup_is_refused():
    with pytest.raises(ValueError, match="must not be negative, got -1"):
        cosine(0, 9, 1.0, 0.0, -1)


def test_biases_and_norms_do_not_decay():
    model = vit4096(ViTShape(depth=2, dim=12, heads=3), in_dim=5)
    model.pos_embed.requires_grad_(False)
    names = {id(p): name for name, p in model.named_parameters()}
    decays, rest = parameter_groups(model)
    kept = {names[id(p)] for p in rest["params"]}
    assert kept == {n for n in names.values() if n.endswith(".bias") or "norm" in n}
    assert {names[id(p)] for p in decays["params"]} == set(names.values()) - kept - {"pos_embed"}


def test_the_schedule_leaves_the_second_group_without_decay():
    model = nn.Linear(3, 2)
    optimiser = torch.optim.AdamW(parameter_groups(model), lr=9.0, weight_decay=9.0)
    assert [g["weight_decay"] for g in optimiser.param_groups] == [9.0, 0.0]
    set_rates(optimiser, lr=0.5, weight_decay=0.3)
    assert [(g["lr"], g["weight_decay"]) for g in optimiser.param_groups] == [(0.5, 0.3), (0.5, 0)]
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    before = copy.deepcopy(model.state_dict())
    optimiser.step()
    assert torch.allclose(model.weight, before["weight"] * (1 - 0.5 * 0.3))
    assert torch.equal(model.bias, before["bias"])


def test_the_marker_survives_a_checkpoint():
    model = nn.Linear(3, 2)
    optimiser = torch.optim.AdamW(parameter_groups(model))
    other = torch.optim.AdamW(parameter_groups(nn.Linear(3, 2)))
    other.load_state_dict(optimiser.state_dict())
    set_rates(other, lr=0.5, weight_decay=0.3)
    assert [g["weight_decay"] for g in other.param_groups] == [0.3, 0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_each_clip_equals_torchs_own_of_one_parameter(dtype):
    generator = torch.Generator().manual_seed(0)
    lengths = (0.0, 1e-9, 0.5, 2.9, 3.0, 3.1, 400.0)
    ours = [nn.Parameter(torch.zeros(4, 5, dtype=dtype)) for _ in lengths]
    for parameter, length in zip(ours, lengths, strict=True):
        grad = torch.randn(4, 5, generator=generator, dtype=dtype)
        parameter.grad = grad / grad.norm() * length
    ours.insert(2, nn.Parameter(torch.zeros(3)))  # without a gradient
    theirs = [nn.Parameter(torch.zeros_like(p)) for p in ours]
    for a, b in zip(ours, theirs, strict=True):
        b.grad = None if a.grad is None else a.grad.clone()
    norms = clip_each(ours, 3.0)
    expected = [nn.utils.clip_grad_norm_(p, 3.0) for p in theirs if p.grad is not None]
    assert torch.allclose(norms, torch.stack(expected))
    assert norms.tolist() == pytest.approx(lengths, rel=1e-5)
    for a, b in zip(ours, theirs, strict=True):
        assert (a.grad is None) == (b.grad is None)
        assert a.grad is None or torch.allclose(a.grad, b.grad, rtol=1e-6, atol=0)


def test_without_gradients_there_is_nothing_to_clip():
    assert clip_each(nn.Linear(2, 2).parameters(), 1.0).shape == (0,)
