"""What a shard of patch embeddings records of its network's input; torch is not needed for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def recorded_text(settings: Mapping[str, Any]) -> str:
    """What a shard's settings say that its network took; empty if they say nothing of it."""
    if not {"input_px", "mean", "std"} <= settings.keys():
        return ""
    mean, std = (" ".join(f"{x:.4g}" for x in settings[name]) for name in ("mean", "std"))
    side = f"{settings['input_px']} px, " if settings["input_px"] else ""
    return f"input {side}mean {mean}, std {std}"
