"""`encoder_args` of model cards: which layers may be named, and what is said of the rest."""

from __future__ import annotations

import pytest
import timm.layers
from torch import nn

from hipt.nn.timm_arguments import LAYERS, create_model_arguments, image_side, projection_dim


@pytest.mark.parametrize(
    ("key", "name", "layer"),
    [
        ("act_layer", "torch.nn.SiLU", nn.SiLU),
        ("act_layer", "nn.SiLU", nn.SiLU),
        ("act_layer", "silu", nn.SiLU),
        ("act_layer", "swish", nn.SiLU),
        ("act_layer", "GELU", timm.layers.GELU),  # as timm means it: it may work in place
        ("act_layer", "torch.nn.GELU", nn.GELU),
        ("act_layer", "gelu_tanh", timm.layers.GELUTanh),
        ("mlp_layer", "SwiGLUPacked", timm.layers.SwiGLUPacked),
        ("mlp_layer", "timm.layers.SwiGLUPacked", timm.layers.SwiGLUPacked),
        ("norm_layer", "torch.nn.LayerNorm", nn.LayerNorm),
        ("norm_layer", "timm.layers.RmsNorm", timm.layers.RmsNorm),
    ],
)
def test_layers_go_by_name(key: str, name: str, layer: object):
    assert create_model_arguments({key: name})[key] is layer


def test_every_layer_of_the_list_is_there():
    for key, names in LAYERS.items():
        for name in names:
            assert create_model_arguments({key: name})[key] is not None


@pytest.mark.parametrize("name", ["os.system", "torch.nn.SwiGLUPacked", "Sequential", "torch.save"])
def test_no_other_name_is_looked_up(name: str):
    with pytest.raises(ValueError, match=f"mlp_layer: knows no layer '{name}'.*SwiGLUPacked"):
        create_model_arguments({"mlp_layer": name})


def test_numbers_texts_and_lists_are_handed_on():
    given = {"img_size": [224, 224], "init_values": 1e-5, "global_pool": "", "num_classes": 1000}
    made = create_model_arguments(given)
    assert made == {
        **{"img_size": (224, 224), "init_values": 1e-5, "global_pool": ""},
        **{"num_classes": 0, "pretrained": False},
    }


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"pretrained": True}, "pretrained: weights come from embed.patches.weights alone; leave"),
        ({"checkpoint_path": "a.pth"}, "checkpoint_path: weights come from"),
        ({"features_only": True}, "features_only: one vector is taken per patch"),
        ({"layer_norm_eps": 2}, "layer_norm_eps: is a number between 0 and 1 in place of norm"),
        ({"layer_norm_eps": 1e-6, "norm_layer": "LayerNorm"}, "in place of norm_layer"),
        ({"in_chans": 4}, "in_chans: patches have 3 colours, got 4"),
        (
            {"pos_embed": "torch.nn.Linear"},
            r"pos_embed: takes no name of a layer.*these do: act",
        ),
    ],
)
def test_what_the_config_says_elsewhere_is_refused(arguments: dict[str, object], sentence: str):
    with pytest.raises(ValueError, match=sentence):
        create_model_arguments(arguments)
    assert create_model_arguments({"pretrained": False})["pretrained"] is False


def test_sides_are_one_number():
    assert image_side({"img_size": [160, 160]}) == image_side({"img_size": 160}) == 160
    assert image_side({}) is None
    with pytest.raises(ValueError, match=r"img_size: patches are squares.*got \[224, 256\]"):
        image_side({"img_size": [224, 256]})


def test_what_timm_says_otherwise_or_not_at_all():
    assert projection_dim({"projection_dim": 768}) == 768
    assert projection_dim({}) is None
    with pytest.raises(ValueError, match="projection_dim: is a whole number of at least 1, got 0"):
        projection_dim({"projection_dim": 0})
    made = create_model_arguments({"layer_norm_eps": 1e-12, "projection_dim": 768})
    norm = made.pop("norm_layer")(8)
    assert isinstance(norm, timm.layers.LayerNorm)
    assert norm.eps == 1e-12
    assert made == {"num_classes": 0, "pretrained": False}
