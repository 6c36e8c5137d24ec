"""Networks of timm as patch encoders. Its import takes longer than torch's: only for who asks."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import huggingface_hub.constants
import timm
import torch
from timm.data.config import resolve_model_data_config
from torch import Tensor, nn

from hipt.config.presets import nearest
from hipt.nn.projected import Projected
from hipt.nn.timm_arguments import create_model_arguments, image_side, projection_dim


@dataclass(frozen=True)
class TimmModel:
    """A network without its weights, and what it takes."""

    network: nn.Module
    input_px: int
    """Side of its pictures."""
    px_from: str
    """What says so."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    tag: str
    """The set of weights that timm's mean and std belong to: `vit_large_patch16_224.mae`."""


def timm_model(name: str, arguments: Mapping[str, Any], device: str = "cpu") -> TimmModel:
    """A network by its name.

    Args:
        name: timm's name, `hf-hub:` or `local-dir:`.
        arguments: the config's `encoder_args`.
        device: `meta` for a network without memory, of which only size and config are asked.

    Raises:
        ValueError: if timm has no such model, or refuses its arguments; says what to change.
    """
    try:
        made, asked_px = create_model_arguments(arguments), image_side(arguments)
        dim = projection_dim(arguments)
    except ValueError as error:
        raise ValueError(f"embed.patches.encoder_args.{error}") from None
    try:
        with torch.device(device), offline(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of networks that copy weights while they are built
            network: Any = timm.create_model(name, **made)
            projected = network if dim is None else Projected(network, network.num_features, dim)
    except Exception as error:  # noqa: BLE001 - what timm raises depends on the network
        raise ValueError(_refused(name, error)) from None
    data: dict[str, Any] = resolve_model_data_config(network)  # type: ignore[no-untyped-call]
    own_px = _only_side(network)
    px, px_from = data["input_size"][-1], "timm's config"
    if asked_px is not None:
        px, px_from = asked_px, "encoder_args.img_size"
    elif own_px is not None:
        px = own_px
    config = network.pretrained_cfg
    tag = ".".join(filter(None, (config.get("architecture"), config.get("tag"))))
    return TimmModel(projected, px, px_from, tuple(data["mean"]), tuple(data["std"]), tag)


@contextmanager
def offline() -> Iterator[None]:
    """Nothing is fetched: `hf-hub:` names what lies in Hugging Face's cache on this machine."""
    before = huggingface_hub.constants.HF_HUB_OFFLINE
    huggingface_hub.constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        huggingface_hub.constants.HF_HUB_OFFLINE = before


def classifier_names(name: str, arguments: Mapping[str, Any], state: Mapping[str, Any]) -> set[str]:
    """Tensors of a file that belong to a network's classifier, by timm's own knowledge.

    They are what the network has with classes and lacks without, and whatever else lies under the
    names that timm's config calls the classifier.

    Args:
        name: timm's name.
        arguments: the config's `encoder_args`.
        state: the file's tensors.
    """
    made = create_model_arguments(arguments)
    network = timm_model(name, arguments, device="meta").network
    try:
        with torch.device("meta"), offline(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with_classes = timm.create_model(name, **(made | {"num_classes": 2})).state_dict()
    except Exception:  # noqa: BLE001 - then timm's config alone says it
        with_classes = {}
    config: Any = getattr(network, "pretrained_cfg", {})
    named = config.get("classifier") or ()
    named = (named,) if isinstance(named, str) else tuple(named)
    own = network.state_dict()
    return {
        tensor
        for tensor in state
        if tensor not in own
        and (tensor in with_classes or tensor.startswith(tuple(f"{n}." for n in named)))
    }


def architecture_hint(network: nn.Module, state: Mapping[str, Tensor]) -> str:
    """What to change where a file's tensors do not fit a network of timm."""
    tokens: Any = state.get("pos_embed")
    own: Any = getattr(network, "pos_embed", None)
    embed: Any = getattr(network, "patch_embed", None)
    grid, cell = getattr(embed, "grid_size", None), getattr(embed, "patch_size", None)
    if tokens is not None and own is not None and grid and cell and tokens.ndim == own.ndim == 3:
        prefix = own.shape[1] - grid[0] * grid[1]
        side = max(tokens.shape[1] - prefix, 0) ** 0.5
        same_grid, same_width = (tokens.shape[d] == own.shape[d] for d in (1, 2))
        if same_width and not same_grid and side == int(side):
            return f"for its positions set encoder_args: {{img_size: {int(side) * cell[0]}}}"
    return "set encoder and encoder_args as the weights' model card does"


def _only_side(network: nn.Module) -> int | None:
    """The one side that a network takes; None if it takes others too."""
    embed: Any = getattr(network, "patch_embed", None)
    size = getattr(embed, "img_size", None)
    if not getattr(embed, "strict_img_size", False) or not isinstance(size, tuple | list):
        return None
    return int(size[-1])


def _refused(name: str, error: Exception) -> str:
    """Why timm did not build a model."""
    reason = f"embed.patches: timm refuses {name}: {_first_line(error)}"
    if name.startswith(("hf-hub:", "hf_hub:")):
        return (
            f"embed.patches.encoder: {name}: its config.json is not in Hugging Face's cache on "
            "this machine, and nothing is fetched; download the model there first, or name its "
            "folder: local-dir:FOLDER"
        )
    if ":" in name or "/" in name:
        return f"{reason}; a folder with the model's config.json is local-dir:FOLDER"
    model, _, tag = name.partition(".")
    if timm.is_model(model):
        if "Invalid pretrained tag" in str(error):
            tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{model}.*")]
            there = f"it has {', '.join(tags)}" if tags else "it has none"
            return f"embed.patches.encoder: timm's {model} has no tag '{tag}'; {there}"
        return f"{reason}; see encoder_args"
    near = nearest(name, timm.list_models())
    hint = f"did you mean {' or '.join(near)}?" if near else "see `hipt encoders`"
    return f"embed.patches.encoder: neither `hipt encoders` nor timm has a model '{name}'; {hint}"


def _first_line(error: BaseException) -> str:
    """The first line of an error's text."""
    return (str(error).splitlines() or [type(error).__name__])[0].removesuffix(".")
