"""Models that the workflow trains itself: where they lie, and the config with their paths in it."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from hipt.config.config import PRETRAIN, Config
from hipt.layout import Results

Stage = Literal["patches", "regions"]

NAMES: dict[Stage, str] = {"patches": "vit256", "regions": "vit4096"}

BESIDE = (".corpus.csv", ".metrics.parquet")
"""Suffixes of what is written with a model: its slides, its curves."""


def trained(config: Config) -> dict[Stage, Path]:
    """The models that a config wants to be trained, by stage, wherever they are made already."""
    wanted = {"patches": config.embed.patches.weights, "regions": config.embed.regions.weights}
    results = Results(Path(config.results))
    return {s: results.model(name) for s, name in NAMES.items() if wanted[s] == PRETRAIN}


def resolved(config: Config) -> Config:
    """The config with a file's path wherever it says `pretrain`."""
    sections = {"patches": config.embed.patches, "regions": config.embed.regions}
    named: dict[str, object] = {}
    for stage, path in trained(config).items():
        named[stage] = sections[stage].model_copy(update={"weights": str(path)})
    return config.model_copy(update={"embed": config.embed.model_copy(update=named)})


def set_aside(model: Path) -> list[Path]:
    """Move a model, its corpus list, curves and checkpoint to `old/<its date>/` beside it.

    The model itself goes last, so that an interrupted move can be repeated. The folder is always a
    new one: nothing is ever written over.

    Returns:
        Where they are now; nothing, if there was nothing.
    """
    beside = [model.with_suffix(suffix) for suffix in BESIDE]
    checkpoint = model.parent / f".{model.stem}"
    there = [path for path in (*beside, model) if path.exists()]
    if checkpoint.is_dir() and any(checkpoint.iterdir()):
        there.insert(0, checkpoint)
    if not there:
        return []
    dated = model if model.exists() else max(there, key=lambda path: path.stat().st_mtime)
    date = datetime.fromtimestamp(dated.stat().st_mtime, UTC).astimezone()
    folder = _new_folder(model.parent / "old", f"{date:%Y-%m-%d-%H%M%S}")
    return [path.rename(folder / path.name) for path in there]


def _new_folder(parent: Path, name: str) -> Path:
    """A folder of this name, or of the name and the first number that is free."""
    for number in itertools.count(1):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise AssertionError
