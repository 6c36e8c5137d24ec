"""Tensors under published names: what is taken, and what is said when one does not fit."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hipt.config.config import ViTShape
from hipt.errors import HiptError
from hipt.nn.vit import vit256, vit4096
from hipt.nn.weights import load_strictly

SHAPE = ViTShape(depth=2, dim=24, heads=3)


def test_heads_of_training_are_not_left_over_and_other_modules_are():
    state = vit256(SHAPE).state_dict()
    heads = {"head.mlp.0.weight": torch.ones(2), "mask_token": torch.ones(2)}
    assert load_strictly(vit256(SHAPE), state | heads, "w.pth") == {"head": 1, "mask_token": 1}
    for more in ("reg_token", "fc_norm.weight", "blocks.0.ls1.gamma"):
        with pytest.raises(HiptError, match=f"1 left over \\({more}\\)"):
            load_strictly(vit256(SHAPE), state | {more: torch.ones(2)}, "w.pth")


def test_half_precision_is_taken_within_its_rounding():
    state = vit256(SHAPE).state_dict()
    target = vit256(SHAPE)
    load_strictly(target, {name: x.half() for name, x in state.items()}, "w.pth")
    for name, tensor in target.state_dict().items():
        assert tensor.dtype == torch.float32
        torch.testing.assert_close(tensor, state[name], rtol=1e-3, atol=1e-6)


def test_old_files_without_counters_of_batch_norms_are_whole():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    state = network.state_dict()
    del state["1.num_batches_tracked"]
    target = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    assert load_strictly(target, state, "w.pth") == {}
    assert all(torch.equal(target.state_dict()[name], value) for name, value in state.items())


def test_what_fits_is_loaded():
    source, target = vit256(SHAPE), vit256(SHAPE)
    nn.init.normal_(source.pos_embed)
    load_strictly(target, source.state_dict(), "file")
    assert torch.equal(source.pos_embed, target.pos_embed)


def test_missing_left_over_and_misshapen_are_all_named():
    state = vit256(SHAPE).state_dict()
    del state["norm.bias"]
    state |= {"more": torch.zeros(1), "cls_token": torch.zeros(1, 1, 7)}
    with pytest.raises(HiptError) as caught:
        load_strictly(vit256(SHAPE), state, "w.pth")
    said = str(caught.value)
    assert said.startswith("w.pth: ")
    assert "1 missing (norm.bias)" in said
    assert "1 left over (more)" in said
    assert "1 misshapen (cls_token 1x1x7 where 1x1x24 is wanted)" in said
    assert "2 blocks, 24 wide, for pixels" in said


@pytest.mark.parametrize(
    ("state", "hint"),
    [
        (vit4096(SHAPE, 384).state_dict(), "for a grid of features"),
        ({"conv1.weight": torch.zeros(1)}, "no vision transformer of this family"),
    ],
)
def test_the_hint_says_what_the_file_holds(state, hint):
    with pytest.raises(HiptError, match=hint):
        load_strictly(vit256(SHAPE), state, "w.pth")
