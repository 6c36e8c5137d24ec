"""What each engine gives on this CPU: patches per CPU second, and how far from torch in fp32.

    python benchmarks/bench_engines.py SLIDE... [--encoder hipt] [--weights FILE]
        [--shape 12,384,6]

On 96 patches that show the most, of the slides in their order; CPU seconds, so that other work on
the machine shows little. Without a file weights are random, which bf16 rounds otherwise than
trained ones. What a job pays at its start for OpenVINO stands below.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hipt.config.config import PatchEncoderConfig
from hipt.embedding.embedder import MINIBATCH
from hipt.embedding.engines.choice import Task, Trials
from hipt.embedding.engines.engine import Network
from hipt.embedding.engines.on_openvino import OpenVinoEngine
from hipt.embedding.engines.samples import patch_samples
from hipt.embedding.weights_files import load_patch_encoder
from hipt.geometry.resolution import ReadPlan
from hipt.slides.region_reader import RegionReader, SlideJob
from hipt.slides.slide import open_slide

PX, GRID, REGIONS = 256, 4, 24


def job(path: Path) -> SlideJob:
    """Regions spread over a slide's level 0, taken as it is."""
    side = PX * GRID
    with open_slide(path) as slide:
        width, height = slide.info.width_px, slide.info.height_px
    places = itertools.product(range(0, height - side, side), range(0, width - side, side))
    corners = np.array([(x, y) for y, x in places])
    spread = np.linspace(0, len(corners) - 1, min(REGIONS, len(corners))).round().astype(int)
    plan = ReadPlan(0, 1, patch_px=PX, patch_level_px=PX, patch_read_px=PX, read_mpp=0.5)
    return SlideJob(path.stem, path, plan, GRID, corners[spread])


def patches_of(slides: list[Path]) -> Tensor:
    """uint8 (N, px, px, 3)."""
    with RegionReader(1) as reader:
        return patch_samples(map(job, slides), reader)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("slides", nargs="+", type=Path)
    parser.add_argument("--encoder", default="hipt")
    parser.add_argument("--weights")
    parser.add_argument("--shape", default="paper", help="of hipt, as depth,dim,heads")
    args = parser.parse_args()
    shape = args.shape
    if shape != "paper":
        shape = dict(zip(("depth", "dim", "heads"), map(int, shape.split(",")), strict=True))
    weights = {"weights": args.weights} if args.weights or args.encoder != "hipt" else {"random": 1}
    torch.set_num_threads(1)
    encoder = load_patch_encoder(
        PatchEncoderConfig.model_validate({"encoder": args.encoder, "shape": shape, **weights})
    )
    inputs, network = patches_of(args.slides), Network.of_patches(encoder)
    task = Task(network, inputs[:1], torch.device("cpu"), 1, MINIBATCH["cpu"])
    trials = Trials(task, inputs)
    plain = trials.trials[0].rate
    print(f"{len(inputs)} patches, torch {torch.__version__}")
    print("| engine | patches per CPU second | of torch fp32 | largest difference, sd ", end="")
    print("| least centred cosine | 5-NN kept |\n" + "|---" * 6 + "|")
    for name, precision in itertools.product(("torch", "openvino"), ("fp32", "bf16")):
        trial = trials.of(name, precision)
        if trial.agreement is None:
            print(f"| {name} {precision} | {trial.reason} | | | | |")
            continue
        made = trial.agreement
        print(
            f"| {name} {precision} | {trial.rate:.1f} | {trial.rate / plain:.2f} "
            f"| {made.most_off:.1e} | {made.least_cosine:.4f} | {made.kept:.3f} |",
            flush=True,
        )
    start, spent = time.monotonic(), time.process_time()
    OpenVinoEngine(network, inputs[:1], "fp32", 1)
    took = time.monotonic() - start, time.process_time() - spent
    print(f"\nTo trace, convert and compile: {took[0]:.2f} s, {took[1]:.2f} CPU seconds")


if __name__ == "__main__":
    main()
