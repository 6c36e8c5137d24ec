"""Networks are taken out of what training programs save, by rule, and which one is said."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor

from hipt.config.config import ViTShape
from hipt.nn.vit import initialise, vit256
from hipt.nn.wrappings import Network, flat, network_in, network_like

SHAPE = ViTShape(depth=3, dim=16, heads=2)
KEY = "embed.patches.which"


def backbone(seed: int = 1, prefix: str = "") -> dict[str, Tensor]:
    model = vit256(SHAPE)
    initialise(model, seed)
    return {prefix + name: value for name, value in model.state_dict().items()}


WANTED = {name: tuple(value.shape) for name, value in backbone().items()}


def taken(checkpoint: dict[str, Any], which: str | None = None) -> Network:
    network = network_like(flat(checkpoint), WANTED, which, KEY)
    assert network_in(flat(checkpoint), which, KEY).label == network.label
    return network


def is_seed(network: Network, seed: int) -> bool:
    right = backbone(seed)
    return all(torch.equal(network.state[name], right[name]) for name in right)


ONE = torch.ones(2)
WRAPPED: dict[str, tuple[dict[str, Any], str]] = {
    "bare": (backbone(), ""),
    "state_dict": ({"state_dict": backbone(), "epoch": 3}, "state_dict"),
    "net": ({"net": backbone(1, "module.")}, "net.module"),
    "accelerate": ({"model": backbone(1, "_orig_mod.module.")}, "model.module"),
    "compiled inside": (backbone(1, "encoder._orig_mod."), "encoder"),
    "fsdp": (backbone(1, "_fsdp_wrapped_module.backbone._checkpoint_wrapped_module."), "backbone"),
    "lightning": (
        {"state_dict": backbone(1, "model.") | {"criterion.prototypes": ONE}, "loops": {"a": {}}},
        "state_dict.model",
    ),
    "trainer in trainer": ({"model": {"state_dict": backbone(1, "model.encoder.")}},) * 1
    + ("model.state_dict.model.encoder",),
    "teacher beside students": (
        {"student": backbone(2, "module.backbone."), "teacher": backbone(1, "backbone.")},
        "teacher.backbone",
    ),
    "teacher with heads": (
        {
            "teacher": backbone(1, "backbone.")
            | {"dino_head.mlp.0.weight": ONE, "ibot_head.last_layer.weight_v": ONE}
        },
        "teacher.backbone",
    ),
    "average": (
        {"state_dict": backbone(2, "model.") | backbone(1, "ema_model.")},
        "state_dict.ema_model",
    ),
    "timm's average": (
        {"state_dict": backbone(2), "state_dict_ema": backbone(1)},
        "state_dict_ema",
    ),
    "momentum": (
        backbone(2, "backbone.") | backbone(1, "momentum_backbone.") | {"classifier.weight": ONE},
        "momentum_backbone",
    ),
    "twice the same": ({"model": backbone(), "state_dict": backbone()}, "model"),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_the_network_is_found_and_named(name: str):
    checkpoint, label = WRAPPED[name]
    network = taken(checkpoint)
    assert network.label == label
    assert is_seed(network, 1)


def test_what_was_taken_and_left_is_said():
    checkpoint = WRAPPED["teacher with heads"][0] | {"student": backbone(2, "backbone.")}
    assert taken(checkpoint).text == (
        f"teacher.backbone ({len(WANTED)} tensors); left aside: teacher.dino_head (1 tensor), "
        f"teacher.ibot_head (1 tensor), student.backbone ({len(WANTED)} tensors)"
    )
    assert taken(backbone()).text == "the file as it is"


@pytest.mark.parametrize("own", [True, False])
def test_blocks_in_chunks_keep_their_order(own: bool):
    """DINOv2 numbers blocks through all chunks; chunks that start at 0 are counted on."""
    place = {0: "0.0", 1: "0.1", 2: "1.2" if own else "1.0"}
    chunked = {}
    for name, value in backbone(1, "backbone.").items():
        parts = name.split(".")
        if parts[1] == "blocks":
            name = ".".join(["backbone.blocks", place[int(parts[2])], *parts[3:]])
        chunked[name] = value
    network = taken({"teacher": chunked})
    assert is_seed(network, 1)
    assert network.text.endswith(", its blocks out of their chunks")


def test_equal_candidates_end_in_a_sentence_that_names_them_and_the_key():
    checkpoint = {"model": backbone(1), "net": backbone(2)}
    sentence = "holds 2 networks that may be meant (model, net); choose one by embed.patches.which"
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        network_like(flat(checkpoint), WANTED, None, KEY)
    assert is_seed(taken(checkpoint, "net"), 2)


def test_a_network_is_chosen_by_a_part_of_its_label():
    checkpoint = {"student": backbone(2, "module."), "teacher": backbone(1)}
    assert is_seed(taken(checkpoint, "student"), 2)
    with pytest.raises(ValueError, match=r"no network in it is called 'ema' \(there: student\."):
        network_like(flat(checkpoint), WANTED, "ema", KEY)


def test_what_fits_in_no_place_is_the_nearest():
    """Its missing tensors are then named by the names of the network."""
    state = backbone(1, "backbone.")
    del state["backbone.norm.bias"]
    network = network_like(flat({"teacher": state}), WANTED, None, KEY)
    assert network.label == "teacher.backbone"
    assert WANTED.keys() - network.state.keys() == {"norm.bias"}


def test_parts_of_a_network_are_no_wrappers():
    """Transformers' names: embeddings beside an encoder."""
    state = {"embeddings.cls_token": ONE, "encoder.layer.0.weight": ONE, "layernorm.bias": ONE}
    assert network_in(flat(state), None, KEY).label == ""


def test_tables_without_end_come_to_one():
    table: dict[str, Any] = {"norm.weight": ONE}
    for key in "abcdefgh":
        table[key] = table
    assert flat(table).keys() == {"norm.weight"}
