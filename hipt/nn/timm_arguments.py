"""`encoder_args` as model cards give them: names of layers become the layers of a list."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import timm.layers
from torch import nn

ACTIVATIONS = (
    *("SiLU", "GELU", "ReLU", "ReLU6", "LeakyReLU", "ELU", "CELU", "SELU", "Mish", "Sigmoid"),
    *("Tanh", "Hardswish", "Hardsigmoid", "Identity", "GELUTanh", "QuickGELU"),
)
NORMS = (
    *("LayerNorm", "BatchNorm2d", "GroupNorm", "GroupNorm1", "LayerNorm2d", "LayerNormFp32"),
    *("RmsNorm", "RmsNorm2d", "RmsNormFp32", "SimpleNorm", "SimpleNorm2d"),
)
MLPS = ("Mlp", "GluMlp", "GatedMlp", "SwiGLU", "SwiGLUPacked", "GlobalResponseNormMlp", "ConvMlp")
PATCH_EMBEDS = ("PatchEmbed",)

LAYERS: dict[str, tuple[str, ...]] = {
    "act_layer": ACTIVATIONS,
    "norm_layer": NORMS,
    "embed_norm_layer": NORMS,
    "mlp_layer": MLPS,
    "embed_layer": PATCH_EMBEDS,
}
"""The layers that may be named, by argument: of torch.nn or of timm.layers."""

_ALIASES = {"swish": "silu"}

_REFUSED = {
    "pretrained": "weights come from embed.patches.weights alone",
    "checkpoint_path": "weights come from embed.patches.weights alone",
    "cache_dir": "weights come from embed.patches.weights alone",
    "features_only": "one vector is taken per patch, and not maps of features",
    "pretrained_cfg": "name the tag in encoder: NAME.TAG, or set mean, std and input_px",
    "device": "the network is where the job computes; see device",
    "dtype": "see embed.precision",
    "pretrained_cfg_overlay": "set mean, std and input_px",
}
"""Arguments of `create_model` that would say in a second place what the config says in one."""

LAYER_NORM_EPS = "layer_norm_eps"
"""What layer norms add to the variance, as transformers calls it; timm has it inside norm_layer."""

PROJECTION_DIM = "projection_dim"
"""Width of vectors that are projected once more (`hipt.nn.projected`), which timm has not."""

_NOT_OF_TIMM = (LAYER_NORM_EPS, PROJECTION_DIM)

_OWNERS: dict[str, tuple[Any, ...]] = {
    "": (timm.layers, nn),
    "nn.": (nn,),
    "torch.nn.": (nn,),
    "timm.layers.": (timm.layers,),
    "timm.models.layers.": (timm.layers,),
}
"""Where a name may say that its layer is; nothing is imported by name."""


def create_model_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of timm's `create_model` from those of the config.

    The classifier is never built: `num_classes` is 0 whatever is given. `projection_dim` is none of
    them.

    Raises:
        ValueError: if an argument is not possible; says what is.
    """
    made = _norm_layer(arguments)
    for key, value in arguments.items():
        if key in _NOT_OF_TIMM:
            continue
        if key in _REFUSED:
            if value not in (False, None):
                raise ValueError(f"{key}: {_REFUSED[key]}; leave it out")
        elif key == "in_chans":
            if value != 3:
                raise ValueError(f"in_chans: patches have 3 colours, got {value}; leave it out")
        elif key in LAYERS and value is not None:
            if not isinstance(value, str):
                raise ValueError(f"{key}: takes the name of a layer, got {value!r}")
            made[key] = _layer(key, value)
        elif isinstance(value, str) and value.startswith(("torch.", "timm.", "nn.", "functools.")):
            known = ", ".join(sorted(LAYERS))
            raise ValueError(f"{key}: takes no name of a layer, got '{value}' (these do: {known})")
        else:
            made[key] = tuple(value) if isinstance(value, list) else value
    return made | {"num_classes": 0, "pretrained": False}


def image_side(arguments: Mapping[str, Any]) -> int | None:
    """The side that `img_size` asks for; None if it does not.

    Raises:
        ValueError: if it is no square.
    """
    size = arguments.get("img_size")
    if size is None:
        return None
    both = size if isinstance(size, list | tuple) else [size, size]
    sides = set(both)
    if (
        len(both) != 2
        or len(sides) != 1
        or not all(type(side) is int and side > 0 for side in sides)
    ):
        raise ValueError(
            f"img_size: patches are squares; give one side in whole pixels, got {size!r}"
        )
    return int(sides.pop())


def _norm_layer(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The argument for what layer norms add to the variance; empty where nothing says it.

    Raises:
        ValueError: if it is no such number, or norm_layer says it too.
    """
    eps = arguments.get(LAYER_NORM_EPS)
    if eps is None:
        return {}
    if not isinstance(eps, float) or not 0 < eps < 1 or "norm_layer" in arguments:
        raise ValueError(
            f"{LAYER_NORM_EPS}: is a number between 0 and 1 in place of norm_layer, e.g. 1.0e-6, "
            f"got {eps}"
        )
    return {"norm_layer": partial(_layer("norm_layer", "LayerNorm"), eps=eps)}


def projection_dim(arguments: Mapping[str, Any]) -> int | None:
    """The width that `projection_dim` asks for; None if it does not.

    Raises:
        ValueError: if it is none.
    """
    dim = arguments.get(PROJECTION_DIM)
    if dim is not None and (type(dim) is not int or dim < 1):
        raise ValueError(f"{PROJECTION_DIM}: is a whole number of at least 1, got {dim}")
    return dim


def _layer(key: str, name: str) -> Any:  # noqa: ANN401 - a class, or a partial of one
    """The layer of a name: `SiLU`, `silu`, `torch.nn.SiLU`, `timm.layers.SwiGLUPacked`."""
    path, _, last = name.rpartition(".")
    wanted = _plain(last)
    wanted = _ALIASES.get(wanted, wanted)
    for allowed in LAYERS[key]:
        if _plain(allowed) == wanted:
            for owner in _OWNERS.get(f"{path}." if path else "", ()):
                layer = getattr(owner, allowed, None)
                if layer is not None:
                    return layer
    known = ", ".join(LAYERS[key])
    raise ValueError(f"{key}: knows no layer '{name}'; of torch.nn and timm.layers, take {known}")


def _plain(name: str) -> str:
    """A name without case and underscores."""
    return name.replace("_", "").lower()
