"""What files record of the settings that made them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from hipt.config.section import Section

PLACES = frozenset({"name", "sheet", "root", "weights", "labels", "features", "split_files"})
"""Settings that say where something lies; a digest among the inputs says what it is."""


def settings_of(cfg: Section, left_out: Collection[str] = ()) -> dict[str, Any]:
    """Settings as JSON values, without places.

    Args:
        cfg: a step's settings.
        left_out: names of settings, on every level, that the file does not depend on.
    """
    return _without(cfg.model_dump(mode="json"), PLACES | set(left_out))


def _without(values: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """A table of settings without some, on every level."""
    return {
        key: _without(value, names) if isinstance(value, dict) else value
        for key, value in values.items()
        if key not in names
    }
