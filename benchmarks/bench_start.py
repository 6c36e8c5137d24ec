"""Seconds until a batch job works: imports, weights, the first batch, step by step.

    python benchmarks/bench_start.py [--rounds 3]

Each part is a Python of its own, started fresh; files are warm. Weights are ViT256-16's, random and
written to a file beforehand. The best round counts; seconds by the clock, and of all cores.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hipt.config.config import PatchEncoderConfig
from hipt.embedding.weights_files import load_patch_encoder, write_weights

WEIGHTS = "from hipt.config.config import PatchEncoderConfig\n"
WEIGHTS += "from hipt.embedding.weights_files import *\n"
WEIGHTS += "encoder = load_patch_encoder(PatchEncoderConfig(weights={path!r}))\n"
BATCH = "import torch\nwith torch.inference_mode():\n"
BATCH += "    encoder(torch.zeros(16, 256, 256, 3, dtype=torch.uint8))\n"

PARTS = {
    "Python": "",
    "segment: imports": "import hipt.steps.segment",
    "tile: imports": "import hipt.steps.tile",
    "embed_patches: torch": "import torch",
    "embed_patches: torch, timm": "import timm",
    "embed_patches: imports": "import hipt.steps.embed_patches",
    "... and weights": "import hipt.steps.embed_patches\n" + WEIGHTS,
    "... and a first batch of 16": "import hipt.steps.embed_patches\n" + WEIGHTS + BATCH,
    "embed_regions: imports": "import hipt.steps.embed_regions",
}
"""What is run, each after all that is needed before it."""


def seconds(code: str) -> tuple[float, float]:
    """By the clock, and of all cores."""
    before, start = os.times(), time.monotonic()
    subprocess.run([sys.executable, "-c", code], check=True)
    after = os.times()
    used = after.children_user + after.children_system
    return time.monotonic() - start, used - before.children_user - before.children_system


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vit256.safetensors"
        encoder = load_patch_encoder(PatchEncoderConfig(random=1))
        write_weights(path, encoder.model.state_dict(), {})
        parts = {name: code.format(path=str(path)) for name, code in PARTS.items()}
        print("| part | s | s of all cores |\n|---|---|---|")
        for name, code in parts.items():
            clock, cores = map(min, zip(*(seconds(code) for _ in range(args.rounds)), strict=True))
            print(f"| {name} | {clock:.1f} | {cores:.1f} |", flush=True)


if __name__ == "__main__":
    main()
