"""Heatmaps of a slide of 100 regions from features on disk: seconds, against the bare network.

    python benchmarks/bench_heatmaps.py [--regions 100]

Stage 2 as released (6 blocks, 6 heads, 192 wide), random weights and vectors, one thread. Timed is
the step as its rule calls it, without the start of Python: table, figures, pyramids, tiles.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import torch

from hipt.config.config import Config
from hipt.config.step_settings import settings
from hipt.embedding.weights_files import load_region_encoder
from hipt.layout import Results
from hipt.steps import attend
from hipt.store.images import write_jpeg
from hipt.store.provenance import Provenance
from hipt.store.schemas import INDICES, MANIFEST, patch_embeddings_schema
from hipt.store.tables import patch_embeddings_writer, vectors, write_rows, write_table

GRID, PATCH_READ, DIM = 16, 512, 384
SIDE = GRID * PATCH_READ


def write_slide(results: Results, regions: int) -> None:
    """Shards and indices of one slide, its regions in rows of ten."""
    rng = np.random.default_rng(0)
    rows, columns = -(-regions // 10), min(10, regions)
    corners = [(SIDE * (r % 10), SIDE * (r // 10)) for r in range(regions)]
    places = [(PATCH_READ * c, PATCH_READ * r) for r in range(GRID) for c in range(GRID)]
    n = regions * GRID**2
    xy = np.array([(x + dx, y + dy) for x, y in corners for dx, dy in places])
    table = {
        "slide_id": ["s"] * n,
        "region": np.repeat(np.arange(regions), GRID**2).astype(np.int32),
        "patch": np.tile(np.arange(GRID**2), regions).astype(np.int16),
        "region_x": np.repeat([x for x, _ in corners], GRID**2),
        "region_y": np.repeat([y for _, y in corners], GRID**2),
        "x": xy[:, 0],
        "y": xy[:, 1],
        "read_px": np.full(n, PATCH_READ),
        **{name: np.ones(n, np.float32) for name in ("tissue", "region_tissue", "inside")},
    }
    nothing = Provenance("tile", 1, "x", {}, {}, {}, {})
    write_table(results.shard("tile", "s"), table, MANIFEST, nothing)
    schema = patch_embeddings_schema(DIM)
    with patch_embeddings_writer(results.shard("embed_patches", "s"), schema, nothing) as writer:
        for region in range(regions):
            part = np.s_[region * GRID**2 : (region + 1) * GRID**2]
            batch = {name: table[name][part] for name in ("slide_id", "region", "patch", "x", "y")}
            batch["tissue"] = table["tissue"][part]
            batch |= dict.fromkeys(("readable", "computed"), np.ones(GRID**2, bool))
            batch["embedding"] = vectors(rng.normal(size=(GRID**2, DIM)).astype(np.float16))
            writer.write_batch(pa.record_batch(batch, schema=schema))
    picture = rng.integers(120, 250, (rows * 160, columns * 160, 3), np.uint8)
    write_jpeg(results.overview("segment", "s"), cv2.GaussianBlur(picture, (0, 0), 5))
    verdict = {"slide_id": "s", "status": "ok", "reason": "", "fingerprint": "x"}
    width, height = SIDE * columns, SIDE * rows
    facts = {
        "segment": {"mpp": 0.25, "width_px": width, "height_px": height}
        | {"bounds": [0, 0, width, height]},
        "tile": {"read_level": 0, "downsample": 1.0, "read_mpp": 0.5, "read_px": PATCH_READ},
        "embed_patches": {"regions": regions, "dim": DIM},
        "embed_regions": {"regions": regions, "dim": 192},
    }
    for step, said in facts.items():
        write_rows(results.index(step, "b0000"), [verdict | said], INDICES[step])


def main() -> None:
    """Print the seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--regions", type=int, default=100)
    args = parser.parse_args()
    torch.set_num_threads(1)
    config = Config.model_validate({"embed": {"patches": {"random": 1}, "regions": {"random": 2}}})
    model = load_region_encoder(config.embed.regions, DIM)
    grids = torch.randn(args.regions, DIM, GRID, GRID)
    with torch.no_grad():
        model.attention(grids[:4])
        start = time.monotonic()
        for part in torch.split(grids, 32):
            model.attention(part)
        bare = time.monotonic() - start
    with tempfile.TemporaryDirectory() as name:
        results = Results(Path(name))
        write_slide(results, args.regions)
        out = results.index("attend", "b0000")
        start = time.monotonic()
        told = settings("attend", config)
        attend.run(results.index("embed_regions", "b0000"), out, told, None, 1)
        step = time.monotonic() - start
    print(f"{args.regions} regions: {step:.2f} s (goal 5 s), bare attention {bare:.2f} s")


if __name__ == "__main__":
    main()
