"""Weights on disk: safetensors, and what torch saved; nothing is ever unpickled."""

from __future__ import annotations

import argparse
import json
import logging
import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from hipt.config.config import OWN, PatchEncoderConfig, RegionEncoderConfig
from hipt.embedding.downloaded import OF_TORCH, refuse_no_weights
from hipt.embedding.encoder_input import encoder_input
from hipt.embedding.own_encoder import own_input, own_network
from hipt.embedding.packaged import weights_file
from hipt.embedding.weights_metadata import is_safetensors, reason_of, unpacked
from hipt.errors import HiptError, some_of
from hipt.nn.encoders import (
    PatchEncoder,
    build_patch_encoder,
    build_region_encoder,
    vector_width,
)
from hipt.nn.vit import ViT, initialise
from hipt.nn.weights import load_strictly
from hipt.nn.wrappings import Network, counted, flat, network_in, network_like
from hipt.store.provenance import KEY
from hipt.store.whole import whole

log = logging.getLogger(__name__)

_HALF = (torch.float16, torch.bfloat16)
"""What weights may be kept in, and none compute in: they become float32."""

_LISTED = 6

CHOICE = "`hipt weights convert --which`"
"""How a network of several is chosen where no key of the config does it."""


@dataclass(frozen=True)
class Weights:
    """A network's tensors and what the file says about them."""

    state: dict[str, Tensor]
    """Real numbers in fp32, whatever they are in the file."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """Empty for files of torch; else e.g. mean, std, recipe, corpus."""
    network: Network = field(default_factory=lambda: Network({}))
    """Where in the file the tensors lie, and what else is there."""


@dataclass(frozen=True)
class _File:
    """What a weights file holds."""

    path: Path
    tensors: dict[str, Tensor]
    """By their keys, with dots between."""
    metadata: dict[str, Any]
    ours: bool
    """Whether hipt wrote it: then the file is one network, and its names are its own."""


def read_weights(
    path: Path, which: str | None = None, like: nn.Module | None = None, choose_by: str = CHOICE
) -> Weights:
    """The weights of a safetensors file or of a checkpoint, out of whatever wraps them.

    Args:
        path: the file.
        which: the network to take where a file holds several; None: a teacher or an average before
            the rest.
        like: the network whose tensors are wanted; None: not known yet.
        choose_by: how a user chooses among several, for the sentence.

    Raises:
        HiptError: if the file is absent, empty, a git-lfs pointer, damaged, no weights file, or
            holds several networks of which none is the one to take.
    """
    file = _read(path)
    if not file.tensors:
        raise HiptError(f"{path}: holds no tensors; name the file with the network's weights")
    try:
        if file.ours and which is None:
            network = Network(file.tensors)
        elif like is None:
            network = network_in(file.tensors, which, choose_by)
        else:
            wanted = {name: tuple(x.shape) for name, x in like.state_dict().items()}
            network = network_like(file.tensors, wanted, which, choose_by)
    except ValueError as error:
        raise HiptError(f"{path}: {error}") from None
    state = {name: x.float() if x.dtype in _HALF else x for name, x in network.state.items()}
    return Weights(state, file.metadata, network)


def _read(path: Path) -> _File:
    """All tensors of a weights file.

    Raises:
        HiptError: if it is not one.
    """
    refuse_no_weights(path)
    if not is_safetensors(path):
        content = read_torch(path)
        tensors = flat(content)
        if not tensors and content:
            raise HiptError(f"{path}: {_no_tensors(content)}")
        return _File(path, tensors, {}, ours=False)
    try:
        with safe_open(path, framework="pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
            return _File(path, flat(state), unpacked(metadata), ours=KEY in metadata)
    except (SafetensorError, OSError, RecursionError, TypeError, ValueError) as error:
        raise HiptError(f"{path}: is damaged or no weights file ({reason_of(error)})") from None


def _no_tensors(content: Mapping[Any, Any]) -> str:
    """What a table holds in place of tensors under names."""
    kinds = [f"{key} ({type(value).__name__})" for key, value in content.items()]
    return (
        f"holds no tensors under names (found: {some_of(kinds, _LISTED)}); name the file "
        "with the network's weights, or save the network's state dict"
    )


def read_torch(path: Path) -> Mapping[Any, Any]:
    """The table that `torch.save` wrote; nothing but tensors and plain values is read.

    Raises:
        HiptError: if the file is damaged, holds other things, or no table.
    """
    try:
        with (
            torch.serialization.safe_globals([argparse.Namespace]),
            warnings.catch_warnings(),
            path.open("rb") as file,  # of a path torch looks at the suffix
        ):
            warnings.simplefilter("ignore")  # what is odd about a file is said below
            content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if not _starts_as_torch(path):
            raise HiptError(
                f"{path}: is no weights file: neither safetensors nor what torch.save writes"
            ) from None
        raise HiptError(
            f"{path}: holds more than tensors and plain values ({_foreign(error)}), and is not "
            "read, since such a file can run code; where it comes from, save its state dict alone"
        ) from None
    except Exception as error:  # noqa: BLE001 - torch raises many kinds for one damaged file
        if "TorchScript" in str(error):
            raise HiptError(
                f"{path}: is a TorchScript program, which is not run; where it comes from, save "
                "its state dict"
            ) from None
        raise HiptError(f"{path}: is damaged or no weights file ({reason_of(error)})") from None
    if not isinstance(content, Mapping):
        raise HiptError(f"{path}: holds a {type(content).__name__}, not a table of tensors")
    return content


def _starts_as_torch(path: Path) -> bool:
    """Whether a file's first bytes are those of torch.save."""
    with path.open("rb") as file:
        return file.read(4).startswith(OF_TORCH)


def _foreign(error: BaseException) -> str:
    """What a file holds that is not read."""
    text = str(error)
    name = re.search(r"GLOBAL (\S+)", text)
    if name:
        return f"an object of {name[1]}"
    reason = text.rpartition("WeightsUnpickler error: ")[2]
    return (reason.splitlines() or [type(error).__name__])[0].strip()


def write_weights(path: Path, state: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write safetensors, whole or not at all; equal tensors give equal bytes."""
    tensors = {name: state[name].detach().cpu().contiguous() for name in sorted(state)}
    with whole(path) as part:
        # One key, since safetensors writes several in no fixed order.
        save_file(tensors, part, {KEY: json.dumps(dict(metadata), sort_keys=True)})


def load_patch_encoder(cfg: PatchEncoderConfig) -> PatchEncoder:
    """Stage 1 with its weights, and what it takes by the config, the weights file or its card.

    Raises:
        HiptError: if the weights are absent or do not fit, or the network gives no vector.
    """
    encoder, file = _built(cfg), weights_file(cfg)
    if file is None:
        if cfg.random is not None or not cfg.encoder.startswith(OWN):
            initialise(encoder.model, cfg.random or 0)
        return encoder.eval()
    source, choose_by = f"embed.patches.weights: {file}", "embed.patches.which"
    weights = read_weights(file, cfg.which, encoder.model, choose_by)
    if cfg.encoder == "hipt":
        unused = load_strictly(encoder.model, weights.state, source)
    elif cfg.encoder.startswith(OWN):
        hint = f"the network is what {cfg.encoder} gives"
        unused = load_strictly(encoder.model, weights.state, source, hint=hint)
    else:
        from hipt.nn.timm_models import architecture_hint, classifier_names  # loads for seconds

        names = weights.network.names
        hint = architecture_hint(encoder.model, weights.state)
        unused = load_strictly(
            encoder.model,
            weights.state,
            source,
            lambda: classifier_names(cfg.architecture, cfg.arguments, weights.state),
            _of_another(cfg) or (f"{names.text}; {hint}" if names else hint),
        )
        if names and (other := names.other_norms(encoder.model)):
            raise HiptError(f"{source}: {other}")
    _say(source, weights, unused)
    encoder.weights_part = weights.network.label
    return encoder.eval()


def _built(cfg: PatchEncoderConfig) -> PatchEncoder:
    """The patch encoder without its weights."""
    if not cfg.encoder.startswith(OWN):
        return build_patch_encoder(cfg, encoder_input(cfg))
    network = own_network(cfg)
    given = encoder_input(cfg, network)
    dim, stated = vector_width(cfg.encoder, network, given), own_input(cfg.encoder, network).dim
    if dim != stated and given.pooling is None:
        raise HiptError(
            f"embed.patches.encoder: {cfg.encoder}: its vectors have {dim:,} numbers, and its "
            f"attribute dim says {stated:,}"
        )
    return PatchEncoder(network, dim, given)


def _of_another(cfg: PatchEncoderConfig) -> str:
    """What to do where a file does not fit a published encoder; empty where none is named."""
    if cfg.preset is None:
        return ""
    files = " or ".join(cfg.preset.files)
    return (
        f"the file is not {cfg.preset.title}'s: name {files} of {cfg.preset.page} (`hipt encoders "
        f"show {cfg.encoder}`), or the encoder that the file is of"
    )


def load_region_encoder(cfg: RegionEncoderConfig, in_dim: int) -> ViT:
    """Stage 2 with its weights, for patch vectors `in_dim` wide.

    Raises:
        HiptError: if the weights are absent or do not fit.
    """
    model = build_region_encoder(cfg, in_dim)
    if cfg.weights is None:
        initialise(model, cfg.random or 0)
        return model.eval()
    weights = read_weights(Path(cfg.weights), cfg.which, model, "embed.regions.which")
    source = f"embed.regions.weights: {cfg.weights}"
    _say(source, weights, load_strictly(model, weights.state, source))
    return model.eval()


def _say(source: str, weights: Weights, unused: Mapping[str, int]) -> None:
    """A line of the log: what was taken out of a weights file, and what was not."""
    without = [f"{root} ({counted(count)})" for root, count in unused.items()]
    more = f"; not needed: {', '.join(without)}" if without else ""
    log.info("%s: took %s%s", source, weights.network.text, more)
