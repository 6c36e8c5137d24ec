"""Weights on disk: safetensors, and DINO's own checkpoints; nothing is ever unpickled."""

from __future__ import annotations

import argparse
import json
import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from hipt.config import PatchEncoderConfig, RegionEncoderConfig
from hipt.errors import HiptError
from hipt.io.digests import refuse_no_weights
from hipt.io.shards import KEY, whole
from hipt.nn.encoders import PatchEncoder, build_patch_encoder, build_region_encoder
from hipt.nn.vit import ViT, initialise
from hipt.nn.weights import backbone_state, load_strictly

Which = Literal["teacher", "student"]


@dataclass(frozen=True)
class Weights:
    """A backbone's tensors and what the file says about them."""

    state: dict[str, Tensor]
    metadata: dict[str, str] = field(default_factory=dict)
    """Empty for DINO checkpoints; else e.g. mean, std, recipe, corpus."""


def read_weights(path: Path, which: Which = "teacher") -> Weights:
    """The weights of a safetensors file or of a DINO checkpoint.

    Args:
        path: the file.
        which: the network to take where a checkpoint holds both.

    Raises:
        HiptError: if the file is absent, empty, a git-lfs pointer, damaged, or no weights file.
    """
    refuse_no_weights(path)
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                return Weights(backbone_state(state, which), _metadata(file.metadata() or {}))
    except (SafetensorError, OSError, RecursionError, TypeError, ValueError) as error:
        raise HiptError(f"{path}: is damaged or no weights file ({_short(error)})") from None
    return Weights(backbone_state(read_torch(path), which))


def read_torch(path: Path) -> Mapping[Any, Any]:
    """The table that `torch.save` wrote; nothing but tensors and plain values is read.

    Raises:
        HiptError: if the file is damaged, holds other things, or no table.
    """
    try:
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is odd about a file is said below
            found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).splitlines()[0]
        raise HiptError(
            f"{path}: holds more than tensors and plain values, and is not read, since such a "
            f"file can run code ({reason}); save its state dict alone"
        ) from None
    except Exception as error:  # noqa: BLE001 - torch raises many kinds for one damaged file
        raise HiptError(f"{path}: is damaged or no weights file ({_short(error)})") from None
    if not isinstance(found, Mapping):
        raise HiptError(f"{path}: holds a {type(found).__name__}, not a table of tensors")
    return found


def read_metadata(path: Path) -> dict[str, str]:
    """What a safetensors file says about itself, without its tensors.

    Raises:
        HiptError: if the file is absent or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return _metadata(file.metadata() or {})
    except Exception as error:  # noqa: BLE001 - a damaged file raises errors of many kinds
        raise HiptError(f"{path}: is damaged or no weights file ({_short(error)})") from None


def write_weights(path: Path, state: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write safetensors, whole or not at all; equal tensors give equal bytes."""
    tensors = {name: state[name].detach().cpu().contiguous() for name in sorted(state)}
    with whole(path) as part:
        # One key, since safetensors writes several in no fixed order.
        save_file(tensors, part, {KEY: json.dumps(dict(metadata), sort_keys=True)})


def load_patch_encoder(cfg: PatchEncoderConfig) -> PatchEncoder:
    """Stage 1 with its weights and their normalisation.

    Raises:
        HiptError: if the weights are absent or do not fit.
    """
    encoder = build_patch_encoder(cfg)
    metadata = _fill(encoder.model, cfg.weights, cfg.random, "embed.patches")
    if {"mean", "std"} <= metadata.keys():
        try:
            encoder.normalise_by(json.loads(metadata["mean"]), json.loads(metadata["std"]))
        except (RecursionError, RuntimeError, TypeError, ValueError) as error:
            raise HiptError(
                f"embed.patches.weights: {cfg.weights}: its mean and std are no three numbers each "
                f"({_short(error)})"
            ) from None
    return encoder.eval()


def load_region_encoder(cfg: RegionEncoderConfig, in_dim: int) -> ViT:
    """Stage 2 with its weights, for patch vectors `in_dim` wide.

    Raises:
        HiptError: if the weights are absent or do not fit.
    """
    model = build_region_encoder(cfg, in_dim)
    _fill(model, cfg.weights, cfg.random, "embed.regions")
    return model.eval()


def _fill(model: nn.Module, file: str | None, seed: int | None, section: str) -> dict[str, str]:
    """Load the file's weights, or draw them from the seed; returns the file's metadata."""
    if file is None:
        initialise(model, seed or 0)
        return {}
    weights = read_weights(Path(file))
    load_strictly(model, weights.state, f"{section}.weights: {file}")
    return weights.metadata


def _metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """What a safetensors file says about itself, ours unpacked."""
    ours: dict[str, str] = json.loads(metadata.get(KEY, "{}"))
    return {key: value for key, value in metadata.items() if key != KEY} | ours


def _short(error: BaseException) -> str:
    """The first line of an error's text."""
    return (str(error).splitlines() or [type(error).__name__])[0]
