"""Tensors under published names: what is taken, and what is said when one does not fit."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hipt.config import ViTShape
from hipt.errors import HiptError
from hipt.nn.vit import vit256, vit4096
from hipt.nn.weights import backbone_state, load_strictly

SHAPE = ViTShape(depth=2, dim=24, heads=3)


def test_prefixes_head_and_what_is_no_tensor_are_dropped():
    one, two = torch.zeros(1), torch.ones(1)
    teacher = {"module.backbone.norm.weight": one, "module.head.mlp.0.weight": two, "epoch": 3}
    checkpoint = {"teacher": teacher, "student": {"backbone.norm.weight": two}}
    assert backbone_state(checkpoint) == {"norm.weight": one}
    assert backbone_state(checkpoint, "student") == {"norm.weight": two}
    assert backbone_state({"norm.weight": one}) == {"norm.weight": one}


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
