"""Tensors under published names into our networks, refusing whatever does not fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping

import torch
from torch import Tensor, nn

from hipt.errors import HiptError, some_of
from hipt.nn.wrappings import TRAINING_ONLY

_LISTED = 6
_COUNTER = ".num_batches_tracked"
"""Batch norms count their steps; old files lack it, and no vector depends on it."""

_TRANSFORMERS = ("patch_embeddings.projection.", "attention.query.", "embeddings.patch_embedding.")
"""Parts of the names that Hugging Face's transformers give to tensors of vision transformers."""

State = Mapping[str, Tensor]
Names = Callable[[], Collection[str]]


def load_strictly(
    model: nn.Module,
    state: Mapping[str, Tensor],
    source: str,
    classifier: Names = frozenset,
    hint: str = "",
) -> dict[str, int]:
    """Load every tensor, or say which are missing, left over or misshapen.

    What a classifier or training needs beside the network is not left over: tensors of
    `classifier`; heads, where the network has nothing under that name; constants that the network
    computes itself.

    Args:
        model: what to fill.
        state: tensors by name.
        source: where they come from, for the sentence.
        classifier: names of the network's classifier, asked for only where tensors are left over.
        hint: what to change in the config; empty: what is known of our own networks.

    Returns:
        What was not needed: how many tensors, by the first component of their names.

    Raises:
        HiptError: if one tensor does not fit.
    """
    wanted = model.state_dict()
    _refuse_whole_numbers(wanted, state, source)
    missing = [name for name in wanted if name not in state and not name.endswith(_COUNTER)]
    spare = [name for name in state if name not in wanted]
    spare = [name for name in spare if not _computed(model, name, state[name])]
    roots = {name.partition(".")[0] for name in wanted}
    extra = [name for name in spare if not _of_training(name, roots)]
    if extra:
        unused = classifier()
        extra = [name for name in extra if name not in unused]
    misshapen = [
        f"{name} {_shape(state[name])} where {_shape(value)} is wanted"
        for name, value in wanted.items()
        if name in state and state[name].shape != value.shape
    ]
    problems = [("missing", missing), ("left over", extra), ("misshapen", misshapen)]
    parts = [
        f"{len(of_it)} {kind} ({some_of(of_it, _LISTED)})" for kind, of_it in problems if of_it
    ]
    if parts:
        raise HiptError(
            f"{source}: the weights are of another architecture than the config says: tensors "
            f"{'; '.join(parts)}; {_of_transformers(state) or hint or _hint(state, wanted)}"
        )
    model.load_state_dict({name: state.get(name, own) for name, own in wanted.items()})
    return dict(Counter(name.partition(".")[0] for name in spare))


def _refuse_whole_numbers(wanted: State, state: State, source: str) -> None:
    """Refuse quantised weights: without their scales they are other numbers.

    Raises:
        HiptError: if a tensor is of whole numbers where the network computes with real ones.
    """
    names = [
        f"{name} {str(state[name].dtype).removeprefix('torch.')}"
        for name, value in wanted.items()
        if name in state and value.is_floating_point() and not state[name].is_floating_point()
    ]
    if names:
        raise HiptError(
            f"{source}: {len(names)} tensors are whole numbers ({some_of(names, _LISTED)}), as "
            "quantised networks have them; give the weights in floating point, as they were trained"
        )


def _of_transformers(state: State) -> str:
    """What to do about names of Hugging Face's transformers; empty where they are others."""
    if not any(mark in name for name in state for mark in _TRANSFORMERS):
        return ""
    return (
        "the file's names are those of Hugging Face's transformers, and not timm's; take timm's "
        "file of the same model, or save the weights under timm's names"
    )


def _of_training(name: str, roots: Collection[str]) -> bool:
    """Whether a tensor is a training's, and no part of a network that has no such module."""
    root = name.partition(".")[0]
    return root not in roots and TRAINING_ONLY.fullmatch(root) is not None


def _computed(model: nn.Module, name: str, value: Tensor) -> bool:
    """Whether a tensor is a constant that the network computes by itself, the same one."""
    path, _, last = name.rpartition(".")
    try:
        own = getattr(model.get_submodule(path), last, None)
    except AttributeError:
        return False
    if not isinstance(own, Tensor) or isinstance(own, nn.Parameter) or own.shape != value.shape:
        return False
    return torch.allclose(own.double(), value.double(), rtol=1e-3, atol=1e-6)


def blocks_and_width(state: Mapping[str, Tensor]) -> tuple[int, int] | None:
    """Depth and width of a vision transformer of this family; None if it is none."""
    depth = len({name.split(".")[1] for name in state if name.startswith("blocks.")})
    norm = state.get("norm.weight")
    return (depth, len(norm)) if depth and norm is not None and norm.ndim == 1 else None


def _hint(state: State, wanted: State) -> str:
    """What the file seems to hold, and where to say so."""
    size = blocks_and_width(state)
    if size is None:
        return (
            "it holds no vision transformer of this family; for others set encoder: to timm's name"
        )
    grids = "phi.0.weight" in state
    kind = "a grid of features (ViT4096-256)" if grids else "pixels (ViT256-16)"
    blocks = f"{size[0]} blocks, {size[1]} wide, for {kind}"
    if size == blocks_and_width(wanted) and grids == ("phi.0.weight" in wanted):
        return (
            f"the file holds {blocks}, as the config says, but they are built in another way than "
            "HIPT's; weights of timm's networks need encoder: set to timm's name"
        )
    return f"the file holds {blocks}; set shape: accordingly"


def _shape(value: Tensor) -> str:
    """A tensor's shape as text."""
    return "x".join(map(str, value.shape)) or "scalar"
