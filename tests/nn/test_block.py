"""The transformer block against timm's: the same parameters, the same numbers, bit for bit."""

from __future__ import annotations

import pytest
import timm.models.vision_transformer as timm_vit
import torch
from torch import Tensor, nn

from hipt.nn.block import NORM, Attention, Block, DropPath

DIM, HEADS = 48, 3


def pair(drop_path: float = 0.0) -> tuple[nn.Module, nn.Module]:
    """Ours, and timm's with the same parameters."""
    torch.manual_seed(0)
    ours = Block(DIM, HEADS, drop_path)
    theirs = timm_vit.Block(DIM, HEADS, qkv_bias=True, drop_path=drop_path, norm_layer=NORM)
    theirs.load_state_dict(ours.state_dict())  # strict: the names are the same
    return ours, theirs


def tokens() -> Tensor:
    return torch.randn(5, 17, DIM, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_numbers_are_equal(dtype: torch.dtype):
    ours, theirs = (block.eval() for block in pair(0.3))
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32), torch.no_grad():
        assert torch.equal(ours(tokens()), theirs(tokens()))


@pytest.mark.parametrize("drop_path", [0.0, 0.4])
def test_training_is_equal(drop_path: float):
    gradients = []
    for block in pair(drop_path):
        torch.manual_seed(7)  # which images a branch is left out for
        block.train()(tokens()).square().sum().backward()
        gradients.append({name: p.grad for name, p in block.named_parameters()})
    ours, theirs = gradients
    for name, gradient in ours.items():
        torch.testing.assert_close(gradient, theirs[name], rtol=1e-5, atol=1e-5)


def attended(dtype: torch.dtype, tokens: Tensor) -> tuple[Tensor, Tensor, set[str]]:
    """Attention's vectors in training, the tokens' gradient, and the operations it goes through."""
    torch.manual_seed(0)
    layer, x = Attention(DIM, HEADS), tokens.requires_grad_()
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        out = layer(x)
    names, nodes = set(), [out.grad_fn]
    while nodes:
        node = nodes.pop()
        names.add(type(node).__name__)
        nodes += [before for before, _ in node.next_functions if before is not None]
    out.float().square().sum().backward()
    return out.detach().float(), x.grad, names


def test_training_in_bf16_on_a_cpu_goes_around_the_fused_kernel():
    (exact, gradient, names), (rough, near, others) = (
        attended(dtype, 3 * tokens()) for dtype in (torch.float32, torch.bfloat16)
    )
    assert any("ScaledDotProduct" in name for name in names)
    assert not any("ScaledDotProduct" in name for name in others)
    for a, b in ((rough, exact), (near, gradient)):
        assert (a - b).norm() <= 0.02 * b.norm()


def test_a_branch_is_left_out_image_by_image_and_the_mean_is_kept():
    torch.manual_seed(0)
    drop = DropPath(0.25).train()
    found = drop(torch.ones(4000, 2, 3))
    assert (found.flatten(1) == found[:, :1, 0]).all()
    assert found.unique().tolist() == pytest.approx([0, 4 / 3])
    assert float(found.mean()) == pytest.approx(1, abs=0.03)
    assert torch.equal(drop.eval()(torch.ones(9, 2)), torch.ones(9, 2))
