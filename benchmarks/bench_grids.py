"""Grids per second for stage 2 of pretraining, from files that are in memory's cache.

    python benchmarks/bench_grids.py [--slides 32] [--regions 40] [--batch 256]

Files of random 16 x 16 x 384 float16 grids; the source draws them in random order as float32. `per
core` divides by processor time, which the reading thread and the consumer spend together.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from hipt.pretraining.corpus import GridCorpus
from hipt.pretraining.corpus_list import Member
from hipt.pretraining.grid_source import GridSource
from hipt.pretraining.order import Share
from hipt.store.provenance import Provenance
from hipt.store.schemas import patch_embeddings_schema
from hipt.store.tables import patch_embeddings_writer, vectors

ROUNDS, PATCHES, DIM = 5, 256, 384


def write(path: Path, regions: int, seed: int) -> Path:
    """One slide's file."""
    values = np.random.default_rng(seed)
    schema = patch_embeddings_schema(DIM)
    patch, zeros = np.arange(PATCHES, dtype=np.int16), np.zeros(PATCHES, np.int64)
    with patch_embeddings_writer(path, schema, Provenance("embed_patches", 1, "", {})) as writer:
        for region in range(regions):
            grid = values.standard_normal((PATCHES, DIM), np.float32).astype(np.float16)
            columns = {
                "slide_id": pa.array([path.stem] * PATCHES),
                "region": pa.array(np.full(PATCHES, region, np.int32)),
                "patch": pa.array(patch),
                "x": pa.array(zeros),
                "y": pa.array(zeros),
                "tissue": pa.array(np.ones(PATCHES, np.float32)),
                "readable": pa.array(np.ones(PATCHES, bool)),
                "computed": pa.array(np.ones(PATCHES, bool)),
                "embedding": vectors(grid),
            }
            writer.write_batch(pa.record_batch(list(columns.values()), schema=schema))
    return path


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slides", type=int, default=32)
    parser.add_argument("--regions", type=int, default=40)
    parser.add_argument("--batch", type=int, default=256)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        names = [f"s{number:04d}" for number in range(args.slides)]
        files = [write(Path(name, f"{s}.arrow"), args.regions, i) for i, s in enumerate(names)]
        lines = [Member(s, "", args.regions, args.regions * PATCHES) for s in names]
        batches = max(1, args.slides * args.regions // args.batch)
        walls, cores = [], []
        with GridSource(
            GridCorpus(tuple(lines), tuple(files), DIM), Share(0), args.batch
        ) as source:
            for _ in range(ROUNDS + 1):  # the first opens the files
                wall, core = time.monotonic(), time.process_time()
                for _ in range(batches):
                    next(source)
                walls.append(batches * args.batch / (time.monotonic() - wall))
                cores.append(batches * args.batch / (time.process_time() - core))
    print("| slides | regions | batch | grids/s | grids/s per core |\n|---|---|---|---|---|")
    rates = f"{np.median(walls[1:]):.0f} | {np.median(cores[1:]):.0f}"
    print(f"| {args.slides} | {args.slides * args.regions} | {args.batch} | {rates} |")


if __name__ == "__main__":
    main()
