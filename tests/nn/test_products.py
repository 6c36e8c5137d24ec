"""Linear layers by oneDNN: the numbers and gradients of torch's own way."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from hipt.nn.products import OneDnnLinear


def computed(shape: tuple[int, ...], biased: bool, dtype: torch.dtype) -> list[Tensor]:
    """A layer's output and the gradients of what goes in, weights and bias."""
    draw = torch.Generator().manual_seed(0)
    sizes = [shape, (7, shape[-2]), *([(7,)] if biased else [])]
    x, *layer = (torch.randn(size, generator=draw).to(dtype).requires_grad_() for size in sizes)
    out = F.linear(x.mT, *layer)  # strides out of order
    return [out, *torch.autograd.grad((out**2).sum(), [x, *layer])]


@pytest.mark.parametrize("shape", [(5, 64), (5, 3, 2), (4, 2, 5, 9)])
@pytest.mark.parametrize("biased", [True, False])
def test_numbers_and_gradients_are_those_of_torch_in_double(shape: tuple[int, ...], biased: bool):
    exact = computed(shape, biased, torch.float64)
    with OneDnnLinear():
        result = computed(shape, biased, torch.float32)
    assert "_Linear" in type(result[0].grad_fn).__name__
    for ours, theirs in zip(result, exact, strict=True):
        assert ours.dtype == torch.float32
        assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


def test_other_types_and_what_autocast_computes_stay_torchs():
    with OneDnnLinear():
        assert "_Linear" not in type(computed((5, 6), True, torch.float64)[0].grad_fn).__name__
        with torch.autocast("cpu", torch.bfloat16):
            rough = F.linear(torch.ones(2, 3), torch.ones(4, 3, requires_grad=True))
            assert rough.dtype == torch.bfloat16
            with torch.autocast("cpu", enabled=False):
                last = F.linear(torch.ones(2, 3), torch.ones(4, 3, requires_grad=True))
    assert "_Linear" in type(last.grad_fn).__name__
    outside = F.linear(torch.ones(2, 3), torch.ones(4, 3, requires_grad=True))
    assert "_Linear" not in type(outside.grad_fn).__name__


def test_a_gradient_that_nobody_wants_is_not_made():
    x, weight = torch.ones(2, 3), torch.ones(4, 3, requires_grad=True)
    with OneDnnLinear():
        F.linear(x, weight).sum().backward()
    assert x.grad is None
    assert torch.equal(weight.grad, torch.full((4, 3), 2.0))
