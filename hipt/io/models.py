"""Models that the workflow trains itself: where they lie, and the config with their paths in it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from hipt.config import PRETRAIN, Config
from hipt.io.results import Results

Stage = Literal["patches", "regions"]

NAMES: dict[Stage, str] = {"patches": "vit256", "regions": "vit4096"}


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
