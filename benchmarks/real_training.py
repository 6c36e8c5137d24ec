"""A small network trained on a few real slides by the product's own step, and its teachers.

    python benchmarks/real_training.py FOLDER SLIDE... [--set pretrain.patches.dino.lr=0.001 ...]

The recipe is `real_tissue.yaml`. Called again it goes on from the last checkpoint. The teacher of
every checkpoint is kept in FOLDER/teachers for `bench_real_tissue.py --trained FOLDER`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
import torch
import yaml
from cohort import Cohort
from safetensors import safe_open
from torch import Tensor

from hipt.config.config import Config
from hipt.config.step_settings import settings
from hipt.embedding.weights_files import read_weights, write_weights
from hipt.embedding.weights_metadata import unpacked
from hipt.nn.vit import ViT, initialise, vit256
from hipt.nn.weights import load_strictly
from hipt.stats.arrays import Floats

RECIPE = Path(__file__).with_name("real_tissue.yaml")
LOOK_S = 2
"""Seconds between two looks for a new checkpoint."""


class Teacher(NamedTuple):
    """A network as it was at one step."""

    iteration: int
    loss: float
    """Mean over the steps since the teacher before."""
    entropy: float
    """Of the teacher's answers, nats, likewise."""
    path: Path


def recipe(changes: list[str]) -> dict[str, Any]:
    """The recipe's sections, with `key.of.it=value` changed."""
    sections: dict[str, Any] = yaml.safe_load(RECIPE.read_text())
    for change in changes:
        name, _, value = change.partition("=")
        *way, last = name.split(".")
        section = sections
        for key in way:
            section = section.setdefault(key, {})
        section[last] = yaml.safe_load(value)
    return sections


def train(folder: Path, slides: list[Path], sections: dict[str, Any]) -> None:
    """Segment, tile and train; the teachers of its checkpoints are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    sections.setdefault("embed", {}).setdefault("patches", {})["random"] = 1
    cohort = Cohort(folder, slides, **sections)
    if not cohort.index("tile").exists():
        cohort.run("segment", "tile")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(sections))
    out = folder / "results" / "pretrain" / "vit256.safetensors"
    cfg = settings("pretrain", cohort.config).model_dump_json()
    line = [sys.executable, "-m", "hipt", "pretrain", "--stage", "patches", "--device", "cpu"]
    line += ["--reader", "auto", "--cfg", cfg, "--out", str(out)]
    teachers = folder / "teachers"
    teachers.mkdir(exist_ok=True)
    process = subprocess.Popen(line)
    checkpoint, seen = out.parent / f".{out.stem}" / "checkpoint.pt", 0.0
    while process.poll() is None:
        time.sleep(LOOK_S)
        if checkpoint.exists() and checkpoint.stat().st_mtime != seen:
            seen = checkpoint.stat().st_mtime
            keep(checkpoint, teachers)
    if process.returncode:
        raise SystemExit(process.returncode)
    curves = pq.read_table(out.with_suffix(".metrics.parquet"), columns=["loss", "teacher_entropy"])
    steps = np.stack([column.to_numpy() for column in curves.columns], 1)
    write(teachers, read_weights(out).state, steps)


def keep(checkpoint: Path, teachers: Path) -> None:
    """Write a checkpoint's teacher, named after its step."""
    try:
        state = torch.load(checkpoint, weights_only=True)
    except FileNotFoundError:  # the training has just ended
        return
    backbone = {
        name.removeprefix("backbone."): values
        for name, values in state["trainer"]["teacher"].items()
        if name.startswith("backbone.")
    }
    write(teachers, backbone, state["steps"].numpy())


def write(teachers: Path, weights: Mapping[str, Tensor], steps: Floats) -> None:
    """Write a teacher.

    Args:
        teachers: their folder.
        weights: of the backbone.
        steps: [T, facts] of all steps so far, loss and the teacher's entropy first.
    """
    earlier = max(
        (one.iteration for one in kept(teachers) if one.iteration < len(steps)), default=0
    )
    loss, entropy = steps[earlier:, :2].mean(0)
    facts = {"iteration": str(len(steps)), "loss": f"{loss}", "entropy": f"{entropy}"}
    write_weights(teachers / f"{len(steps):07d}.safetensors", weights, facts)


def kept(teachers: Path) -> list[Teacher]:
    """The teachers of a training, from the first on."""
    found = []
    for path in sorted(teachers.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            facts = unpacked(file.metadata())
        loss, entropy = float(facts["loss"]), float(facts["entropy"])
        found.append(Teacher(int(facts["iteration"]), loss, entropy, path))
    return found


def trained_network(folder: Path, weights: Path | int) -> ViT:
    """The recipe's network, with a teacher's weights or random ones of a seed."""
    patches = yaml.safe_load((folder / "recipe.yaml").read_text())["embed"]["patches"]
    model = vit256(Config.model_validate({"embed": {"patches": patches}}).embed.patches.vit_shape)
    if isinstance(weights, int):
        initialise(model, weights)
    else:
        load_strictly(model, read_weights(weights, like=model).state, str(weights))
    return model


def spread(teachers: list[Teacher], most: int) -> list[Teacher]:
    """At most so many: each has seen some times as many patches as the one before; the last."""
    steps = np.array([one.iteration for one in teachers])
    wanted = np.geomspace(steps[0], steps[-1], most)
    return [teachers[i] for i in np.unique(np.abs(steps - wanted[:, None]).argmin(1))]


def main() -> None:
    """Train, or go on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("slides", nargs="+", type=Path)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", dest="changes")
    args = parser.parse_args()
    train(args.folder, args.slides, recipe(args.changes))


if __name__ == "__main__":
    main()
