"""What may change an encoder's input or network without a change of the config.

Without torch, since Snakemake asks for it while parsing.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from hipt.config.config import LOCAL, OWN, PatchEncoderConfig
from hipt.embedding.own_encoder import own_digest
from hipt.store.provenance import fingerprint


def timm_revision(cfg: PatchEncoderConfig) -> dict[str, str]:
    """What may change an encoder's input: a published card, a file, else timm's version.

    Cheap, for plans: whether the values themselves changed is seen when they are used.

    Raises:
        HiptError: if the user's own module is not there.
    """
    if cfg.encoder == "hipt" or cfg.features is not None:
        return {}
    if cfg.preset is not None:
        return {"card": fingerprint(**cfg.preset.decisive)}
    revision = config_digest(cfg)
    if not cfg.encoder.startswith(OWN) and (cfg.mean is None or cfg.input_px is None):
        with suppress(PackageNotFoundError):  # where jobs have software of their own
            revision["timm"] = version("timm")
    return revision


def config_digest(cfg: PatchEncoderConfig) -> dict[str, str]:
    """The digest of the file that says what a network is: a folder's config, the user's code."""
    if cfg.encoder.startswith(OWN):
        return {"encoder_code": own_digest(cfg.encoder)}
    if not cfg.encoder.startswith(LOCAL):
        return {}
    file = Path(cfg.encoder.removeprefix(LOCAL)) / "config.json"
    try:
        return {"encoder_config": hashlib.sha256(file.read_bytes()).hexdigest()}
    except OSError:
        return {}
