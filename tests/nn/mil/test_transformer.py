"""Both kinds of layer against torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hipt.nn.mil import build
from hipt.nn.mil.transformer import LAYER_SCALE, PostNormLayer, PreNormLayer
from tests.nn.mil.bagmaker import noise

NAMES = {
    "self_attn.in_proj_": "qkv.",
    "self_attn.out_proj.": "out.",
    "linear1.": "rise.",
    "linear2.": "fall.",
    "norm1.": "norm1.",
    "norm2.": "norm2.",
}


def torchs_own(layers: nn.ModuleList, dim: int, heads: int, hidden: int) -> nn.TransformerEncoder:
    """torch's encoder with the weights of ours."""
    layer = nn.TransformerEncoderLayer(dim, heads, hidden, dropout=0.25, batch_first=True)
    encoder = nn.TransformerEncoder(layer, len(layers), enable_nested_tensor=False)
    for theirs, ours in zip(encoder.layers, layers, strict=True):
        state = ours.state_dict()
        theirs.load_state_dict(
            {
                there + kind: state[here + kind]
                for there, here in NAMES.items()
                for kind in ("weight", "bias")
            }
        )
    return encoder


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("training", [False, True])
def test_layers_equal_torchs(dtype, limit, training):
    """Dropout is 0 where both train: they draw in different orders."""
    torch.manual_seed(0)
    layers = nn.ModuleList(PostNormLayer(24, 3, 10, 0.0 if training else 0.25) for _ in range(2))
    for parameter in layers.parameters():
        nn.init.normal_(parameter, std=0.3)
    encoder = torchs_own(layers, 24, 3, 10).to(dtype).train(training)
    layers.to(dtype).train(training)
    for module in encoder.modules():
        if hasattr(module, "p"):
            module.p = 0.0
    for layer in encoder.layers:
        layer.self_attn.dropout = 0.0
    x = noise(3, 9, 24).to(dtype)
    mask = torch.arange(9) < torch.tensor([[9], [1], [4]])
    result = x
    for layer in layers:
        result = layer(result, mask)
    expected = encoder(x, src_key_padding_mask=~mask)
    assert (result - expected)[mask].abs().max() < limit


@pytest.mark.parametrize("training", [False, True])
def test_a_pre_norm_layer_is_torchs_with_the_scales_in_its_last_weights(training):
    torch.manual_seed(0)
    ours = PreNormLayer(24, 3, 10, 0.0 if training else 0.25).double().train(training)
    assert ours.scale1[0].item() == ours.scale2[23].item() == pytest.approx(LAYER_SCALE)
    for parameter in ours.parameters():
        nn.init.normal_(parameter, std=0.3)
    theirs = nn.TransformerEncoderLayer(
        24, 3, 10, dropout=0.0, batch_first=True, norm_first=True, dtype=torch.float64
    ).train(training)
    state = ours.state_dict()
    for branch, scale in (("out", "scale1"), ("fall", "scale2")):
        state[f"{branch}.weight"] = state[f"{branch}.weight"] * state[scale][:, None]
        state[f"{branch}.bias"] = state[f"{branch}.bias"] * state[scale]
    theirs.load_state_dict(
        {
            there + kind: state[here + kind]
            for there, here in NAMES.items()
            for kind in ("weight", "bias")
        }
    )
    x, mask = noise(3, 9, 24).double(), torch.arange(9) < torch.tensor([[9], [1], [4]])
    expected = theirs(x, src_key_padding_mask=~mask)
    assert (ours(x, mask) - expected)[mask].abs().max() < 1e-12


def test_weights_start_as_torchs_do():
    torch.manual_seed(0)
    ours = PostNormLayer(192, 3, 192, 0.25).state_dict()
    theirs = nn.TransformerEncoderLayer(192, 3, 192).state_dict()
    for there, here in NAMES.items():
        for kind in ("weight", "bias"):
            a, b = ours[here + kind], theirs[there + kind]
            assert a.shape == b.shape
            assert float(a.std()) == pytest.approx(float(b.std()), rel=0.15), here + kind
            assert float(a.abs().max()) == pytest.approx(float(b.abs().max()), rel=0.02)


def test_attention_weights_and_branches_drop_in_training_alone():
    torch.manual_seed(0)
    model = build("hipt", 12, 2, width=12, dropout=0.5)
    layer, x = model.layers[0].train(), noise(1, 400, 12)
    mask = torch.ones(1, 400, dtype=torch.bool)
    branch = layer._dropped(torch.ones(1, 400, 12))
    assert float((branch == 0).float().mean()) == pytest.approx(0.5, abs=0.05)
    assert not torch.equal(layer._attended(x, mask), layer._attended(x, mask))
    assert torch.equal(layer.eval()._attended(x, mask), layer._attended(x, mask))
