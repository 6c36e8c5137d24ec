"""Both stages of pretraining against their bare step, in one run; and stage 1 the usual way.

    python benchmarks/bench_pretrain.py SLIDE... [--threads 2] [--steps 8] [--batch 16] [--compile]

The bare step is forward, backward and update on views in memory. Training reads, cuts and colours
besides, and takes turns with the bare step. Usual: a DataLoader whose workers cut and colour one
patch at a time by PIL, from patches that are decoded already. Peak: the share of the rate of a
large matrix product in the same precision that the bare step reaches, attention counted. With
--compile, the bare step is timed a second time through torch.compile.

    python benchmarks/bench_pretrain.py --parts [--batch 32]

prints CPU seconds of a whole step's parts on one thread instead, on random pixels and vectors, with
a small network and the default recipe, and with the demo's: no slide is read.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import step_parts
import torch
from bench_views import Transform, usual_view
from cohort import Cohort
from PIL import Image
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode

from hipt.config.step_settings import settings
from hipt.embedding.devices import choose_precision, fp32_products
from hipt.nn.dino.trainer import Trainer, step_seed
from hipt.pretraining.stages import Stage, stage_of

ROUNDS = 3


class Cut(Dataset[Any]):
    """Patches in memory, cut and coloured one at a time."""

    def __init__(self, patches: torch.Tensor, views: list[Transform]) -> None:
        self.patches, self.views = patches, views

    def __len__(self) -> int:
        return len(self.patches)

    def __getitem__(self, index: int) -> list[torch.Tensor]:
        image = Image.fromarray(self.patches[index].numpy())
        return [make(image) for make in self.views]


def compiled(stage: Stage, steps: int, device: torch.device) -> float:
    """Items per second of the bare step through torch.compile, after its warm-up."""
    trainer = Trainer(stage.backbone, stage.dino, 0, device, choose_precision("auto", device))
    for network in (trainer.student, trainer.teacher):
        network.backbone.compile(dynamic=False)
    with stage.source(0, 1, None) as source:
        batch = torch.from_numpy(next(source).copy()).to(device)
    views = stage.views(batch, torch.Generator(device).manual_seed(0))
    trainer.step(0, [views])
    best = 0.0
    for _ in range(ROUNDS):
        start = time.monotonic()
        for _ in range(steps):
            trainer.step(1, [views])
        best = max(best, steps * stage.dino.batch / (time.monotonic() - start))
    return best


def flops_of(trainer: Trainer, views: list[torch.Tensor]) -> int:
    """Floating point operations of a step."""
    plain = sdpa_kernel(SDPBackend.MATH)  # torch counts no attention that is fused on a CPU
    with plain, FlopCounterMode(display=False) as counter:
        trainer.step(0, [views])
    return int(counter.get_total_flops())


class Rates(NamedTuple):
    """Items per second, and shares."""

    bare: float
    training: float
    waiting: float
    of_peak: float

    def cells(self) -> str:
        """Columns of the table."""
        ratio = f"{self.training / self.bare:.3f} | {self.waiting:.0%} | {self.of_peak:.0%}"
        return f"{self.bare:.2f} | {self.training:.2f} | {ratio}"


def rates(stage: Stage, steps: int, device: torch.device) -> Rates:
    """The bare step and training, taking turns."""
    precision = choose_precision(stage.precision, device)
    trainer = Trainer(stage.backbone, stage.dino, 0, device, precision)
    best = {"bare": 0.0, "training": 0.0}
    with stage.source(0, 1, None) as source:
        batch = torch.from_numpy(next(source).copy()).to(device)
        views = stage.views(batch, torch.Generator(device).manual_seed(0))
        flops = flops_of(trainer, views)
        waited, spent = source.waited_s, 0.0
        for turn in range(ROUNDS):
            start = time.monotonic()
            for _ in range(steps):
                with fp32_products(device):
                    trainer.step(1, [views])
            bare = time.monotonic() - start
            start = time.monotonic()
            for i in range(steps):
                seed = step_seed(0, turn * steps + i, 0)
                generator = torch.Generator(device).manual_seed(seed)
                batch = torch.from_numpy(next(source)).to(device)
                made = stage.views(batch, generator)
                with fp32_products(device):
                    trainer.step(1, [made])
            training = time.monotonic() - start
            spent += training
            items = steps * stage.dino.batch
            best["bare"] = max(best["bare"], items / bare)
            best["training"] = max(best["training"], items / training)
        waited = source.waited_s - waited
    flops_per_s = flops / stage.dino.batch * best["bare"]
    of_peak = flops_per_s / step_parts.linear_rate(device, precision)
    return Rates(best["bare"], best["training"], waited / spent, of_peak)


def usual(stage: Stage, threads: int) -> float:
    """Patches per second that PIL and a DataLoader cut and colour."""
    with stage.source(0, 1, None) as source:
        patches = torch.from_numpy(next(source).copy())
    cfg = stage.cfg.views
    views = [usual_view(cfg, view) for view in (0, 1, *[2] * cfg.local_crops)]
    data = Cut(patches.repeat(4, 1, 1, 1), views)
    loader: Iterator[Any] = iter(DataLoader(data, batch_size=8, num_workers=threads))
    start = time.monotonic()
    for _ in loader:
        pass
    return len(data) / (time.monotonic() - start)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("slides", nargs="*", type=Path)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--parts", action="store_true")
    args = parser.parse_args()
    if args.parts:
        step_parts.report(args.batch)
        return
    torch.set_num_threads(args.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dino = {"batch": args.batch, "iterations": 1000, "warmup_iterations": 10}
    small = {"depth": 1, "dim": 384, "heads": 6}
    with tempfile.TemporaryDirectory() as name:
        pretrain = {"patches": {"dino": dino}, "regions": {"dino": dino}}
        cohort = Cohort(Path(name), args.slides, pretrain=pretrain)
        cohort.run("segment", "tile")
        told = settings("pretrain", cohort.config)
        first = stage_of("patches", told, cohort.results, args.threads)
        print("| stage | bare, items/s | training | ratio | waiting | peak | usual views alone |")
        print("|---|---|---|---|---|---|---|")
        cells = rates(first, args.steps, device).cells()
        print(f"| 1 | {cells} | {usual(first, args.threads):.1f} |", flush=True)
        if args.compile:
            print(f"stage 1 through torch.compile: {compiled(first, args.steps, device):.2f}")
        quick = {"patches": {"random": 1, "shape": small}, "regions": {"random": 1}}
        cohort.config = cohort.config.model_validate(
            {**cohort.config.model_dump(), "embed": {"precision": "auto", **quick}}
        )
        cohort.run("embed_patches", threads=args.threads)
        second = stage_of("regions", settings("pretrain", cohort.config), cohort.results, 1)
        print(f"| 2 | {rates(second, 4 * args.steps, device).cells()} | |", flush=True)
        if args.compile:
            print(f"stage 2 through torch.compile: {compiled(second, args.steps, device):.2f}")


if __name__ == "__main__":
    main()
