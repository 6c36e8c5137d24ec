"""Stage 1 of the workflow against its bare model, in one run; and the step's peak memory.

    python benchmarks/bench_embed.py SLIDE... [--threads 2] [--regions-px 4096]

The step reads, embeds and writes; the bare model gets the same minibatches from memory, before and
after. Full-size ViT256-16 with random weights.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import tempfile
from pathlib import Path

import torch
from cohort import Cohort

from hipt.config.config import PatchEncoderConfig
from hipt.embedding.embedder import PatchEmbedder
from hipt.embedding.rates import model_rate
from hipt.embedding.weights_files import load_patch_encoder
from hipt.store.schemas import INDICES
from hipt.store.tables import read_table


def bare_rate(threads: int, seconds: float = 20.0) -> float:
    """Patches per second of the model alone: a minibatch per thread, or threads in a minibatch."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    encoder = load_patch_encoder(PatchEncoderConfig(random=1))
    rates = []
    for inside, beside in {(1, threads), (threads, 1)}:
        torch.set_num_threads(inside)
        rates.append(model_rate(PatchEmbedder(encoder, "auto", device, beside), 256, seconds))
    return max(rates)


def main() -> None:
    """Bare, step, bare; print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("slides", nargs="+", type=Path)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        cohort = Cohort(Path(name), args.slides)
        cohort.run("segment", "tile")
        rows = read_table(cohort.index("tile"), INDICES["tile"]).to_pylist()
        before = bare_rate(args.threads)
        said = cohort.run("embed_patches", threads=args.threads)
        peak_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        after = bare_rate(args.threads)
        cohort.run("embed_regions", threads=args.threads)
    found = re.findall(r"([\d.]+) patches/s, (\d+)% of the time waiting", said)[-1]
    rate, waiting = float(found[0]), int(found[1])
    print("| slide | regions | patches |\n|---|---|---|")
    for row in rows:
        print(f"| {row['slide_id']} | {row['regions']} | {row['patches']} |")
    bare = (before + after) / 2
    print("\n| bare model, patches/s | embed_patches, patches/s | ratio | waiting | peak MiB |")
    print("|---|---|---|---|---|")
    ranges = f"{bare:.2f} ({before:.2f}, {after:.2f})"
    print(f"| {ranges} | {rate:.2f} | {rate / bare:.3f} | {waiting} % | {peak_mib:.0f} |")


if __name__ == "__main__":
    main()
