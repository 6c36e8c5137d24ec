"""Networks of timm as patch encoders. Its import takes longer than torch's: only for who asks."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import timm
from timm.data.config import resolve_model_data_config
from torch import nn


@dataclass(frozen=True)
class TimmModel:
    """A network without its weights, and what it takes."""

    network: nn.Module
    dim: int
    """Width of its vectors."""
    input_px: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


def timm_model(name: str, arguments: Mapping[str, Any]) -> TimmModel:
    """A network by its name.

    Raises:
        ValueError: if timm has no such model, or refuses its arguments; says what to change.
    """
    try:
        network: Any = timm.create_model(name, num_classes=0, **{"pretrained": False, **arguments})
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:
        raise ValueError(_refused(name, error)) from None
    data: dict[str, Any] = resolve_model_data_config(network)  # type: ignore[no-untyped-call]
    side, mean, std = data["input_size"][-1], tuple(data["mean"]), tuple(data["std"])
    return TimmModel(network, network.num_features, side, mean, std)


def _refused(name: str, error: Exception) -> str:
    """Why timm did not build a model."""
    if timm.is_model(name.split(".")[0]):
        return f"embed.patches: timm refuses {name}: {error}; see encoder_args"
    near = difflib.get_close_matches(name, ["hipt", *timm.list_models()], n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "see timm.list_models()"
    return f"embed.patches.encoder: timm has no model '{name}'; {hint}"
