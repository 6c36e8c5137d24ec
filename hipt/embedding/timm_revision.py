"""What may change a timm encoder's input or network without a change of the config.

Standard library only, since Snakemake asks for it while parsing.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from hipt.config.config import PatchEncoderConfig

LOCAL = "local-dir:"
"""Before a folder whose config.json says what the network is."""


def timm_revision(cfg: PatchEncoderConfig) -> dict[str, str]:
    """What may change an encoder's input without a change of the config: timm's version, a file.

    Cheap, for plans: whether the values themselves changed is seen when they are used.
    """
    if cfg.encoder == "hipt" or cfg.features is not None:
        return {}
    revision = config_digest(cfg)
    if cfg.mean is None or cfg.input_px is None:
        with suppress(PackageNotFoundError):  # where jobs have software of their own
            revision["timm"] = version("timm")
    return revision


def config_digest(cfg: PatchEncoderConfig) -> dict[str, str]:
    """The digest of the file that says what a network of a local folder is; else nothing."""
    if not cfg.encoder.startswith(LOCAL):
        return {}
    file = Path(cfg.encoder.removeprefix(LOCAL)) / "config.json"
    try:
        return {"encoder_config": hashlib.sha256(file.read_bytes()).hexdigest()}
    except OSError:
        return {}
