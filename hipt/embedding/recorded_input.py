"""What a network takes and gives in words, also as shards record it; torch is not needed for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def values_text(value: object) -> str:
    """A setting's value as text: numbers short, nothing as `none`."""
    if isinstance(value, list | tuple):
        return " ".join(values_text(x) for x in value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return "none" if value is None else str(value)


def card_text(row: Mapping[str, Any]) -> str:
    """What a card asks for: `0.5 um/px, 224 px bilinear, mean ..., std ..., cls`.

    Args:
        row: its values, by the keys of a preset.
    """
    parts = [f"{' or '.join(values_text(mpp) for mpp in row['mpp'])} um/px"] if row["mpp"] else []
    if row["input_px"] is not None:
        cut = f" cut from {row['resize_px']} px" if row["resize_px"] else ""
        parts.append(f"{row['input_px']} px{cut} {row['interpolation']}")
    parts.append(f"mean {values_text(row['mean'])}, std {values_text(row['std'])}")
    return ", ".join([*parts, *([row["pooling"]] if row["pooling"] else [])])


def recorded_text(settings: Mapping[str, Any], contract: Mapping[str, Any]) -> str:
    """What a shard says that its network took and gave; empty if it says nothing of it.

    Args:
        settings: the shard's.
        contract: what the encoder's card asked for and what it got; empty where it has none.
    """
    if not {"input_px", "mean", "std"} <= settings.keys():
        return ""
    mean, std = (values_text(settings[name]) for name in ("mean", "std"))
    cut = f" cut from {settings['resize_px']} px" if settings.get("resize_px") else ""
    side = f"{settings['input_px']} px{cut}, " if settings["input_px"] else ""
    pooling = f", {settings['pooling']}" if settings.get("pooling") else ""
    text = f"input {side}mean {mean}, std {std}{pooling}"
    if not contract:
        return text
    fulfilled = "; ".join(contract["deviations"]) or "as its card asks"
    return f"{contract['encoder']}: {text}: {fulfilled}"
