"""Tensors under the names of other code: renamed by rule, nothing lost, nothing made up."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import Tensor

from hipt.nn.renaming import DINOV2, EFFICIENTNET, LAYER_SCALES, TABLES, TRANSFORMERS, NameTable
from tests.embedding.networkmaker import Dinov2, EfficientNetLite0

BLOCK = "vit.encoder.layer.0."
QKV = ("query", "key", "value")


def attention(kind: str, *parts: str) -> dict[str, Tensor]:
    names = [f"{BLOCK}attention.attention.{part}.{kind}" for part in parts]
    return {name: torch.full((4,), float(count)) for count, name in enumerate(names)}


def shapes(table: NameTable, tensors: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(x.shape) for name, x in table.renamed(tensors, None).items()}


def test_efficientnet_is_timm_in_the_order_of_its_file():
    """All 296 tensors, by name, shape and place."""
    ours = shapes(EFFICIENTNET, EfficientNetLite0().state_dict())
    theirs = timm.create_model("tf_efficientnet_lite0").state_dict()
    assert list(ours.items()) == [(name, tuple(x.shape)) for name, x in theirs.items()]
    assert len(ours) == 296


def test_each_code_is_recognised_by_its_own_names_alone():
    vit = timm.create_model("test_vit", init_values=1).state_dict()
    files = {
        DINOV2: Dinov2(12, 2, registers=1).state_dict(),
        TRANSFORMERS: attention("weight", *QKV),
        LAYER_SCALES: {name.replace("gamma", "weight"): x for name, x in vit.items()},
        EFFICIENTNET: EfficientNetLite0().state_dict(),
    }
    for code, tensors in files.items():
        wrapped = {f"teacher.{name}": x for name, x in tensors.items()}
        for state in (tensors, wrapped):
            assert [table for table in TABLES if table.recognises(state)] == [code]
    of_timm = (vit, timm.create_model("test_efficientnet").state_dict())
    assert not any(table.recognises(state) for table in TABLES for state in of_timm)


def test_parts_are_joined_in_their_order_under_their_prefix():
    named = TRANSFORMERS.renamed(attention("bias", *reversed(QKV)), None)
    assert named.keys() == {"vit.blocks.0.attn.qkv.bias"}
    joined = named["vit.blocks.0.attn.qkv.bias"]
    assert joined.tolist() == [2.0] * 4 + [1.0] * 4 + [0.0] * 4


def test_a_missing_part_is_not_made_up():
    """BEiT has no bias of keys; what there is keeps its name, and fits no network."""
    tensors = attention("bias", "query", "value")
    assert TRANSFORMERS.renamed(tensors, None).keys() == tensors.keys()
    odd = attention("bias", *QKV) | {f"{BLOCK}attention.attention.key.bias": torch.tensor(1.0)}
    assert TRANSFORMERS.renamed(odd, None).keys() == odd.keys()


@pytest.mark.parametrize("first", [True, False])
def test_no_tensor_takes_the_place_of_another(first: bool):
    one, two = {"register_tokens": torch.ones(1)}, {"reg_token": torch.zeros(1)}
    with pytest.raises(ValueError, match="holds two tensors that are reg_token under timm's names"):
        DINOV2.renamed(one | two if first else two | one, None)
    twice = attention("bias", *QKV) | {"vit.layers.0.attention.q_proj.bias": torch.ones(4)}
    with pytest.raises(ValueError, match=r"holds two tensors that are vit\.blocks\.0\.attn\.qkv"):
        TRANSFORMERS.renamed(twice, None)


def positions(**more: Tensor) -> dict[str, Tensor]:
    return {
        "net.cls_token": torch.full((1, 1, 4), 2.0, dtype=torch.float16),
        "net.pos_embed": torch.arange(20, dtype=torch.float16).reshape(1, 5, 4) / 4096,
        **{f"net.{name}": tensor for name, tensor in more.items()},
    }


def test_the_class_position_goes_where_the_network_wants_it():
    registers = {"register_tokens": torch.zeros(1, 4, 4)}
    apart, kept = {"pos_embed": (1, 4, 4)}, {"pos_embed": (1, 5, 4)}
    for tensors, wanted, moves in (
        (positions(**registers), None, True),
        (positions(), None, False),
        (positions(), apart, True),
        (positions(**registers), kept, False),
        (positions(**registers), {}, False),
    ):
        named = DINOV2.renamed(tensors, wanted)
        token, grid = named["net.cls_token"], named["net.pos_embed"]
        if moves:
            assert token.dtype == torch.float32  # the sum of halves is no half
            assert token.flatten().tolist() == [2 + i / 4096 for i in range(4)]
            assert torch.equal(grid, tensors["net.pos_embed"][:, 1:])
        else:
            assert token is tensors["net.cls_token"]
            assert grid is tensors["net.pos_embed"]
