"""What a safetensors file says about itself; torch, slow to import, is not needed for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open

from hipt.errors import HiptError
from hipt.store.provenance import KEY


def read_metadata(path: Path) -> dict[str, Any]:
    """What a safetensors file says about itself, without its tensors.

    Raises:
        HiptError: if the file is absent or damaged.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            return unpacked(file.metadata() or {})
    except Exception as error:  # noqa: BLE001 - a damaged file raises errors of many kinds
        raise HiptError(f"{path}: is damaged or no weights file ({first_line(error)})") from None


def unpacked(metadata: Mapping[str, str]) -> dict[str, Any]:
    """A safetensors file's metadata, those that hipt has written as one JSON text unpacked."""
    ours: dict[str, Any] = json.loads(metadata.get(KEY, "{}"))
    return {key: value for key, value in metadata.items() if key != KEY} | ours


def first_line(error: BaseException) -> str:
    """The first line of an error's text."""
    return (str(error).splitlines() or [type(error).__name__])[0]
