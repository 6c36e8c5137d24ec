"""Weights under published names into our networks, refusing whatever does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeGuard

import torch
from torch import Tensor, nn

from hipt.errors import HiptError

_PREFIXES = ("module.", "backbone.")
_LISTED = 6


def backbone_state(
    checkpoint: Mapping[str, Any], which: Literal["teacher", "student"] = "teacher"
) -> dict[str, Tensor]:
    """The backbone's tensors of a DINO checkpoint, or of a plain state dict.

    `module.` and `backbone.` are dropped from the names, and so are the projection head's tensors.

    Args:
        checkpoint: what the file holds.
        which: the network to take where the file holds both.
    """
    state = checkpoint.get(which, checkpoint)
    entries = state.items() if isinstance(state, Mapping) else ()
    named = {_bare(name): x for name, x in entries if isinstance(name, str) and _is_plain(x)}
    return {name: value for name, value in named.items() if not name.startswith("head.")}


def _is_plain(value: object) -> TypeGuard[Tensor]:
    """Whether something is a tensor of real numbers with memory of its own."""
    return (
        isinstance(value, Tensor)
        and value.layout is torch.strided
        and value.device.type == "cpu"
        and not (value.is_complex() or value.is_quantized)
    )


def load_strictly(model: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Load every tensor, or say which are missing, left over or misshapen.

    Args:
        model: what to fill.
        state: tensors by name.
        source: where they come from, for the sentence.

    Raises:
        HiptError: if one tensor does not fit.
    """
    wanted = model.state_dict()
    missing = [name for name in wanted if name not in state]
    extra = [name for name in state if name not in wanted]
    misshapen = [
        f"{name} {_shape(state[name])} where {_shape(value)} is wanted"
        for name, value in wanted.items()
        if name in state and state[name].shape != value.shape
    ]
    problems = [("missing", missing), ("left over", extra), ("misshapen", misshapen)]
    said = [f"{len(names)} {kind} ({_some(names)})" for kind, names in problems if names]
    if said:
        raise HiptError(
            f"{source}: the weights are of another architecture than the config says: tensors "
            f"{'; '.join(said)}; {_hint(state)}"
        )
    model.load_state_dict(dict(state))


def _hint(state: Mapping[str, Tensor]) -> str:
    """What the file seems to hold, and where to say so."""
    depth = len({name.split(".")[1] for name in state if name.startswith("blocks.")})
    norm = state.get("norm.weight")
    if not depth or norm is None or norm.ndim != 1:
        return (
            "it holds no vision transformer of this family; for others set encoder: to timm's name"
        )
    kind = "a grid of features (ViT4096-256)" if "phi.0.weight" in state else "pixels (ViT256-16)"
    return f"the file holds {depth} blocks, {len(norm)} wide, for {kind}; set shape: accordingly"


def _some(names: list[str]) -> str:
    """The first few names."""
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def _shape(value: Tensor) -> str:
    """A tensor's shape as text."""
    return "x".join(map(str, value.shape)) or "scalar"


def _bare(name: str) -> str:
    """A tensor's name without the prefixes that wrappers leave."""
    while name.startswith(_PREFIXES):
        name = name.split(".", 1)[1]
    return name
