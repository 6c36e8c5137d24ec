"""What a safetensors file says about itself; torch, slow to import, is not needed for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open

from hipt.embedding.downloaded import OF_TORCH, refuse_no_weights
from hipt.errors import HiptError
from hipt.store.provenance import KEY

Normalisation = tuple[tuple[float, float, float], tuple[float, float, float]]


def is_safetensors(path: Path) -> bool:
    """Whether a file is safetensors, by its first bytes; where they do not say, by its name.

    Source: the format: 8 bytes of length, then JSON.
    """
    with path.open("rb") as file:
        head = file.read(9)
    if head[8:] == b"{":
        return True
    return path.suffix == ".safetensors" and not head.startswith(OF_TORCH)


def read_metadata(path: Path) -> dict[str, Any]:
    """What a safetensors file says about itself.

    Raises:
        HiptError: if the file is absent or damaged.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            return unpacked(file.metadata() or {})
    except Exception as error:  # noqa: BLE001 - a damaged file raises errors of many kinds
        raise HiptError(f"{path}: is damaged or no weights file ({reason_of(error)})") from None


def file_normalisation(path: Path) -> Normalisation | None:
    """The mean and std that a safetensors file carries; None if it carries none.

    Raises:
        HiptError: if they are no three numbers each, or the file is absent or damaged.
    """
    refuse_no_weights(path)
    metadata = read_metadata(path) if is_safetensors(path) else {}
    if not {"mean", "std"} <= metadata.keys():
        return None
    try:
        mean, std = (tuple(map(float, json.loads(metadata[key]))) for key in ("mean", "std"))
        (red, green, blue), (red_std, green_std, blue_std) = mean, std
    except (RecursionError, TypeError, ValueError) as error:
        raise HiptError(
            f"embed.patches.weights: {path}: its mean and std are no three numbers each "
            f"({reason_of(error)})"
        ) from None
    return (red, green, blue), (red_std, green_std, blue_std)


def unpacked(metadata: Mapping[str, str]) -> dict[str, Any]:
    """What a safetensors file says about itself, ours unpacked."""
    ours: dict[str, Any] = json.loads(metadata.get(KEY, "{}"))
    return {key: value for key, value in metadata.items() if key != KEY} | ours


def reason_of(error: BaseException) -> str:
    """The first line of an error's text."""
    return (str(error).splitlines() or [type(error).__name__])[0]
