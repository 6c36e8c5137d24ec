"""Weights that an installed package brings, so that the encoder's name is all that a config says.

Standard library only, since Snakemake asks for them while parsing.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from hipt.config.config import PatchEncoderConfig
from hipt.config.presets import Preset


def weights_file(cfg: PatchEncoderConfig) -> Path | None:
    """The weights file of stage 1: the one that is named, else the one of a package.

    Returns:
        Its path; None where weights are random or the user's code brings them, and where the
        package is not installed.
    """
    if cfg.weights is not None:
        return Path(cfg.weights)
    if cfg.random is not None or cfg.preset is None or not cfg.preset.package:
        return None
    return _installed(cfg.preset)


def _installed(preset: Preset) -> Path | None:
    """The file in its package; None where that is not installed."""
    try:
        files = metadata.files(preset.package) or ()
    except metadata.PackageNotFoundError:
        return None
    paths = (Path(str(file.locate())) for file in files if file.name in preset.files)
    return next((path for path in paths if path.is_file()), None)
