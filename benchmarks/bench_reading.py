"""Patches per second from a slide: the usual way, ours, and OpenSlide alone, in one run.

    python benchmarks/bench_reading.py SLIDE [--threads 2] [--regions 4]

Usual: a torch DataLoader whose workers read one patch at a time with `read_region`, convert it by
PIL, and resize it where the level does not fit. Bare: blocks of whole patches in threads, thrown
away. The three take turns, and the best of three rounds counts.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import openslide
import torch
from cohort import Cohort
from torch.utils.data import DataLoader, Dataset

from hipt.core.geometry import ReadPlan, patches_per_block
from hipt.io.headers import read_plan
from hipt.io.regions import RegionReader, SlideJob
from hipt.io.tables import INDICES, MANIFEST, read_table

ROUNDS = 3


class PatchDataset(Dataset[torch.Tensor]):
    """One patch per item, as most extractors do it."""

    def __init__(self, path: Path, plan: ReadPlan, corners: np.ndarray) -> None:
        self.path, self.plan, self.corners = path, plan, corners
        self.slide: openslide.OpenSlide | None = None

    def __len__(self) -> int:
        return len(self.corners)

    def __getitem__(self, index: int) -> torch.Tensor:
        self.slide = self.slide or openslide.OpenSlide(self.path)
        side = self.plan.patch_level_px
        place = tuple(int(v) for v in self.corners[index])
        image = self.slide.read_region(place, self.plan.level, (side, side)).convert("RGB")
        if side != self.plan.patch_px:
            image = image.resize((self.plan.patch_px,) * 2)
        return torch.from_numpy(np.asarray(image).copy())


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("slide", type=Path)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--regions", type=int, default=4)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        cohort = Cohort(Path(name), [args.slide])
        cohort.run("segment", "tile")
        row = read_table(cohort.index("tile"), INDICES["tile"]).to_pylist()[0]
        manifest = read_table(cohort.results.shard("tile", args.slide.stem), MANIFEST)
    plan = read_plan(row, 256)
    manifest = manifest.slice(0, 256 * args.regions)
    patches = np.stack([manifest[c].to_numpy() for c in ("x", "y")], 1)
    regions = np.stack([manifest[c].to_numpy()[::256] for c in ("region_x", "region_y")], 1)

    def usual() -> None:
        data = PatchDataset(args.slide, plan, patches)
        for _ in DataLoader(data, batch_size=64, num_workers=args.threads):
            pass

    def ours() -> None:
        with RegionReader(args.threads) as reader:
            for _, stream in reader.stream([SlideJob("s", args.slide, plan, 16, regions)]):
                for _ in stream:
                    pass

    def bare() -> None:
        side = patches_per_block(16, plan.patch_level_px)
        blocks = patches.reshape(-1, 16, 16, 2)[:, ::side, ::side].reshape(-1, 2).tolist()
        slide, size = openslide.OpenSlide(args.slide), side * plan.patch_level_px
        with ThreadPoolExecutor(args.threads) as pool:
            read = lambda xy: slide.read_region(tuple(xy), plan.level, (size, size)) and None  # noqa: E731
            list(pool.map(read, blocks))

    ways: dict[str, Callable[[], None]] = {"usual": usual, "ours": ours, "bare": bare}
    best = dict.fromkeys(ways, 0.0)
    for _ in range(ROUNDS):
        for name, way in ways.items():
            start = time.monotonic()
            way()
            best[name] = max(best[name], len(patches) / (time.monotonic() - start))
    print(
        "| slide | µm/px | usual, patches/s | ours | bare OpenSlide | ours ÷ usual | ours ÷ bare |"
    )
    print("|---|---|---|---|---|---|---|")
    usual_s, ours_s, bare_s = (best[name] for name in ways)
    numbers = f"{usual_s:.0f} | {ours_s:.0f} | {bare_s:.0f} | {ours_s / usual_s:.2f}"
    mpp = row["read_mpp"] / (plan.patch_level_px / 256) / row["downsample"]
    print(f"| {args.slide.stem} | {mpp:.3f} | {numbers} | {ours_s / bare_s:.2f} |")


if __name__ == "__main__":
    main()
