"""Stage 1 of the workflow against its bare model, in one run; and the step's peak memory.

    python benchmarks/bench_embed.py SLIDE... [--threads 2] [--engine openvino] [--precision fp32]

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
from hipt.embedding.engines.engine import EngineName
from hipt.embedding.rates import model_rate
from hipt.embedding.weights_files import load_patch_encoder
from hipt.nn.encoders import Precision
from hipt.store.schemas import INDICES
from hipt.store.tables import read_table

PX, SECONDS = 256, 20.0


def bare_rate(engine: EngineName, precision: Precision, threads: int) -> float:
    """Patches per second of the model alone: a minibatch per thread, or threads in a minibatch."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    encoder = load_patch_encoder(PatchEncoderConfig(random=1))
    rates = []
    for inside, beside in {(1, threads), (threads, 1) if engine == "torch" else (1, threads)}:
        torch.set_num_threads(inside)
        plain = PatchEmbedder(encoder, precision, device, beside)
        rates.append(model_rate(plain.otherwise(engine, precision, PX), PX, SECONDS))
    return max(rates)


def main() -> None:
    """Bare, step, bare; print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("slides", nargs="+", type=Path)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--engine", choices=("torch", "openvino"), default="openvino")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    args = parser.parse_args()
    bare = args.engine, args.precision, args.threads
    embed = {"patches": {"random": 1}, "regions": {"random": 2}, "precision": args.precision}
    with tempfile.TemporaryDirectory() as name:
        cohort = Cohort(Path(name), args.slides, embed=embed)
        cohort.engine = args.engine
        cohort.run("segment", "tile")
        rows = read_table(cohort.index("tile"), INDICES["tile"]).to_pylist()
        before = bare_rate(*bare)
        said = cohort.run("embed_patches", threads=args.threads)
        peak_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        after = bare_rate(*bare)
        cohort.run("embed_regions", threads=args.threads)
    found = re.findall(r"([\d.]+) patches/s, (\d+)% of the time waiting", said)[-1]
    rate, waiting = float(found[0]), int(found[1])
    print("| slide | regions | patches |\n|---|---|---|")
    for row in rows:
        print(f"| {row['slide_id']} | {row['regions']} | {row['patches']} |")
    alone = (before + after) / 2
    print("\n| bare model, patches/s | embed_patches, patches/s | ratio | waiting | peak MiB |")
    print("|---|---|---|---|---|")
    ranges = f"{alone:.2f} ({before:.2f}, {after:.2f})"
    print(f"| {ranges} | {rate:.2f} | {rate / alone:.3f} | {waiting} % | {peak_mib:.0f} |")


if __name__ == "__main__":
    main()
