"""Which tokens are a vector: what the cards write by hand, and what cannot be."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from torch import nn

from hipt.nn.pooling import pooled, width

SMALL = {"img_size": 64, "depth": 2, "embed_dim": 32, "num_heads": 2, "num_classes": 0}


def network(name: str = "vit_small_patch16_224", **arguments: Any) -> nn.Module:
    torch.manual_seed(0)
    made: nn.Module = timm.create_model(name, **(SMALL | arguments))
    with torch.no_grad():  # registers and positions start near 0
        for parameter in made.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.1)
    return made.eval()


PICTURES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("registers", [0, 4])
def test_cls_and_mean_are_those_of_virchow_cards(registers: int):
    """Virchow: tokens[:, 0] and tokens[:, 1:].mean(1); Virchow2: tokens[:, 5:].mean(1)."""
    ours = network(reg_tokens=registers)
    card = network(reg_tokens=registers, global_pool="")
    with torch.inference_mode():
        tokens = card(PICTURES)
        cls, mean = tokens[:, 0], tokens[:, 1 + registers :].mean(1)
        assert tokens.shape == (2, 1 + registers + 16, 32)
        assert torch.equal(pooled(ours, PICTURES, "cls"), cls)
        torch.testing.assert_close(pooled(ours, PICTURES, "mean"), mean, rtol=0, atol=1e-6)
        both = pooled(ours, PICTURES, "cls+mean")
        torch.testing.assert_close(both, torch.cat([cls, mean], -1), rtol=0, atol=1e-6)
        with_registers = tokens[:, 1:].mean(1)
    assert (registers == 0) == torch.allclose(mean, with_registers)
    assert width(ours, 64, "cls+mean") == 64


def test_a_pooling_of_what_the_network_pools_changes_nothing():
    token, average = network(), network(global_pool="avg", fc_norm=False)
    with torch.inference_mode():
        assert torch.equal(pooled(token, PICTURES, None), pooled(token, PICTURES, "cls"))
        ours, theirs = pooled(average, PICTURES, "mean"), pooled(average, PICTURES, None)
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_dinov3_pools_its_patch_tokens_by_itself():
    small = {key: SMALL[key] for key in ("img_size", "depth", "num_classes")}
    torch.manual_seed(0)
    made = timm.create_model("vit_small_patch16_dinov3", **small).eval()
    with torch.inference_mode():
        ours, theirs = pooled(made, PICTURES, "mean"), pooled(made, PICTURES, None)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    assert made.num_prefix_tokens == 5
    assert width(made, 64, "cls+mean") == 768


REFUSED = {
    "pooling: cls is of tokens, and it has none; leave pooling out": (
        lambda: timm.create_model("test_resnet", num_classes=0),
        "cls",
    ),
    "pooling: cls needs a CLS token, and it has none; set mean": (
        lambda: network(class_token=False, reg_tokens=4, global_pool="avg", fc_norm=False),
        "cls",
    ),
    "pooling: mean needs tokens that are normalised, and it normalises what is pooled; set "
    "global_pool: token in encoder_args, or leave pooling out": (
        lambda: network(global_pool="avg"),
        "mean",
    ),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_a_pooling_that_tokens_do_not_allow_is_refused(sentence: str):
    build, pooling = REFUSED[sentence]
    with pytest.raises(ValueError, match="pooling") as error:
        width(build(), 64, pooling)
    assert str(error.value) == sentence
