"""What a weights file is, by content, without reading gigabytes at every parse.

Standard library only, since Snakemake asks for it while parsing.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from hipt.config.config import PatchEncoderConfig, RegionEncoderConfig
from hipt.errors import HiptError
from hipt.exchange.feature_files import FeatureFiles
from hipt.store.whole import whole

_LFS = b"version https://git-lfs.github.com/spec/"
_seen: dict[str, str] = {}


def weights_identity(
    section: str, cfg: PatchEncoderConfig | RegionEncoderConfig, cache: Path | None = None
) -> str:
    """What decides an encoder's numbers: its weights' sha256, `random:SEED`, or `imported:NAME`.

    Args:
        section: the config section's name, for the sentence.
        cfg: the section.
        cache: where sha256 are remembered.

    Raises:
        HiptError: if the section names no weights, or both a file and a seed, or no usable file.
    """
    if isinstance(cfg, PatchEncoderConfig) and cfg.features is not None:
        return f"imported:{FeatureFiles.named(cfg.features).encoder}"
    if (cfg.weights is None) == (cfg.random is None):
        found = "both are given" if cfg.weights is not None else "neither is given"
        raise HiptError(
            f"{section}: {found}; set either weights: (a file) or random: (a seed, for trials)"
        )
    if cfg.weights is None:
        return f"random:{cfg.random}"
    try:
        return weights_sha256(Path(cfg.weights), cache)
    except HiptError as error:
        raise HiptError(f"{section}.weights: {error}") from None


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


def refuse_no_weights(path: Path) -> None:
    """Refuse what cannot be a weights file.

    Raises:
        HiptError: if the file is absent, empty, or a git-lfs pointer.
    """
    if not path.is_file():
        raise HiptError(f"{path}: no such weights file")
    with path.open("rb") as file:
        head = file.read(len(_LFS))
    if not head:
        raise HiptError(f"{path}: is empty; fetch the weights again")
    if head == _LFS:
        raise HiptError(
            f"{path}: is a git-lfs pointer, not the weights; run `git lfs pull` where it came from"
        )


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
