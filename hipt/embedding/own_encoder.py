"""An encoder that the user wrote: `python:MODULE:FUNCTION`, the file it is in and its network.

torch is loaded only to build the network, since Snakemake asks for the file while parsing.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from hipt.config.config import OWN, PatchEncoderConfig
from hipt.config.presets import Share, Side, Spread
from hipt.config.section import Section, parse
from hipt.errors import HiptError

if TYPE_CHECKING:
    from torch import nn

log = logging.getLogger(__name__)


class OwnInput(Section):
    """What a network of the user's says of itself, as attributes."""

    dim: Annotated[int, Field(ge=1)]
    """Width of a vector."""
    input_px: Side
    """Side of the picture that it takes."""
    mean: tuple[Share, Share, Share]
    """What its colours are normalised by, red, green, blue of 0 to 1."""
    std: tuple[Spread, Spread, Spread]
    """Likewise."""


def own_file(encoder: str) -> Path:
    """The file of the module that an encoder names, found without running any of it.

    Args:
        encoder: `python:MODULE:FUNCTION`.

    Raises:
        HiptError: if there is none on Python's path, nor in the current folder.
    """
    module = encoder.removeprefix(OWN).partition(":")[0]
    place = Path(*module.split("."))
    for folder in (*map(Path, sys.path), Path.cwd()):
        for file in (folder / place / "__init__.py", folder / place.with_suffix(".py")):
            if file.is_file():
                return file
    raise HiptError(
        f"embed.patches.encoder: {encoder}: no module {module} in the current folder or on "
        "Python's path; start in the folder that it is in, or name that folder in PYTHONPATH"
    )


def own_digest(encoder: str) -> str:
    """sha256 of the file that an encoder of the user's is in.

    Raises:
        HiptError: as `own_file`.
    """
    return hashlib.sha256(own_file(encoder).read_bytes()).hexdigest()


def own_network(cfg: PatchEncoderConfig) -> nn.Module:
    """The network that the user's function gives for `encoder_args`; runs the user's code.

    Raises:
        HiptError: if there is no such function, it fails, or its answer is no network that says
            what it takes.
    """
    from torch import nn

    place = own_file(cfg.encoder)
    module, _, function = cfg.encoder.removeprefix(OWN).partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        network = getattr(importlib.import_module(module), function)(**cfg.encoder_args)
    except Exception as error:
        log.debug("%s", cfg.encoder, exc_info=True)
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise HiptError(
            f"embed.patches.encoder: {cfg.encoder}: {type(error).__name__}: {error} "
            f"({last.filename}, line {last.lineno})"
        ) from error
    if not isinstance(network, nn.Module):
        raise HiptError(
            f"embed.patches.encoder: {cfg.encoder} gives {type(network).__name__}, and no "
            f"torch.nn.Module ({place})"
        )
    own_input(cfg.encoder, network)
    return network.eval()


def own_input(encoder: str, network: nn.Module) -> OwnInput:
    """What a network of the user's says of itself.

    Raises:
        HiptError: if an attribute is missing or not possible.
    """
    values: dict[str, Any] = {
        name: getattr(network, name) for name in OwnInput.model_fields if hasattr(network, name)
    }
    return parse(OwnInput, values, f"embed.patches.encoder: attributes of what {encoder} gives")
