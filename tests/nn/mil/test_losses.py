"""Survival losses against the formulas, term by term."""

from __future__ import annotations

import math

import pytest
import torch

from hipt.nn.mil.losses import cox, hazards, nll, risk_of

LOGITS = torch.randn(7, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("event", [True, False])
@pytest.mark.parametrize("k", range(4))
def test_the_likelihood_is_survival_up_to_the_bin_times_its_hazard(event: bool, k: int):
    for row in LOGITS:
        h = [1 / (1 + math.exp(-x)) for x in row.tolist()]
        lived = math.prod(1 - h[j] for j in range(k))
        expected = lived * h[k] if event else lived * (1 - h[k])
        result = nll(row[None], torch.tensor([k]), torch.tensor([event]))
        assert float(result) == pytest.approx(-math.log(expected), rel=1e-12)


def test_the_likelihoods_of_all_that_can_happen_add_up_to_one():
    events = [nll(LOGITS, torch.full((7,), k), torch.ones(7, dtype=torch.bool)) for k in range(4)]
    beyond = nll(LOGITS, torch.full((7,), 3), torch.zeros(7, dtype=torch.bool))
    whole = sum((-one).exp() for one in [*events, beyond])
    torch.testing.assert_close(whole, torch.ones(7, dtype=torch.float64))


def test_extreme_logits_stay_finite():
    far = torch.tensor([[200.0, -200.0, 200.0, -200.0]], requires_grad=True)
    for k in range(4):
        for event in (True, False):
            loss = nll(far, torch.tensor([k]), torch.tensor([event])).sum()
            assert torch.isfinite(loss)
            (gradient,) = torch.autograd.grad(loss, far)
            assert torch.isfinite(gradient).all()


def test_risk_is_minus_the_summed_survival():
    for row, risk in zip(hazards(LOGITS).tolist(), risk_of(LOGITS).tolist(), strict=True):
        survival = [math.prod(1 - h for h in row[: k + 1]) for k in range(4)]
        assert risk == pytest.approx(-sum(survival), rel=1e-12)


def test_cox_against_a_loop():
    generator = torch.Generator().manual_seed(1)
    risk = torch.randn(12, dtype=torch.float64, generator=generator)
    time = torch.randint(1, 8, (12,), generator=generator).double()  # ties
    event = torch.rand(12, generator=generator) < 0.6
    terms = []
    for i in range(12):
        if event[i]:
            left = sum(math.exp(risk[j]) for j in range(12) if time[j] >= time[i])
            terms.append(math.log(left) - float(risk[i]))
    assert float(cox(risk, time, event)) == pytest.approx(sum(terms) / len(terms), rel=1e-12)
    assert float(cox(risk, time, torch.zeros(12, dtype=torch.bool))) == 0


def test_gradients_are_right():
    logits = LOGITS.clone().requires_grad_()
    bins = torch.tensor([0, 1, 2, 3, 0, 1, 2])
    event = torch.tensor([True, False, True, False, True, True, False])
    assert torch.autograd.gradcheck(lambda x: nll(x, bins, event), (logits,))
    time = torch.arange(1.0, 8, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: cox(x[:, 0], time, event), (logits,))
