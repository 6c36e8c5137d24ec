"""Sampled background against all of it, slide by slide: CPU seconds, and stage 2's vectors.

    python benchmarks/bench_background.py SLIDE... [--patches JSON] [--regions JSON] [--most 4]

Reading, embedding and filling as the step does it, on one thread. `--patches` and `--regions` are
the config's sections `embed.patches` and `embed.regions`; random weights without. Of a slide at
most `--most` regions are taken, evenly over it. Cosines are of the region vectors that both ways
give: the least of a slide, and the least after the mean region of all slides is taken away.
*Spread* is how far the vectors of patches without tissue lie apart, in root mean square about their
mean, as a share of how far those of tissue do.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from cohort import Cohort

from hipt.cohort.batch_run import Row, read_index
from hipt.cohort.headers import read_plan
from hipt.config.config import PatchEncoderConfig, RegionEncoderConfig
from hipt.embedding.background import Completion, choose
from hipt.embedding.embedder import PatchEmbedder
from hipt.embedding.weights_files import load_patch_encoder, load_region_encoder
from hipt.nn.encoders import embedded
from hipt.nn.vit import ViT
from hipt.slides.region_reader import FIRST, SlideJob
from hipt.store.schemas import MANIFEST
from hipt.store.tables import read_table

SIDE = 16
"""Patches along a region."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Made:
    """A slide's vectors, and what they took."""

    grids: Floats  # (R, P, D)
    computed: int
    cpu_s: float


@dataclass(frozen=True)
class Slide:
    """A slide that both ways are tried on."""

    row: Row
    path: Path
    manifest: pa.Table

    @classmethod
    def of(cls, cohort: Cohort, row: Row, path: Path, most: int) -> Slide:
        """At most so many of its regions, evenly over it."""
        manifest = read_table(cohort.results.shard("tile", row["slide_id"]), MANIFEST)
        count = min(most, row["regions"])
        regions = ((np.arange(count) + 0.5) * row["regions"] / count).astype(int)
        rows = (regions[:, None] * SIDE**2 + np.arange(SIDE**2)).ravel()
        return cls(row, path, manifest.take(rows))

    @property
    def empty(self) -> npt.NDArray[np.bool_]:
        """(N,) patches on the slide that hold no tissue."""
        tissue, inside = (self.manifest[name].to_numpy() for name in ("tissue", "inside"))
        return np.asarray((tissue == 0) & (inside > 0))

    def made(self, embedder: PatchEmbedder, background: Literal["embed", "sample"]) -> Made:
        """Its vectors, one way or the other."""
        start = time.process_time()
        shares = (self.manifest[name].to_numpy() for name in ("tissue", "inside"))
        choice = choose(*shares, SIDE**2, background)
        places = np.stack([self.manifest[axis].to_numpy() for axis in "xy"], 1)
        first = places[choice.first] if len(choice.first) else None
        plan, completion = read_plan(self.row, 256), Completion(choice)
        corners = places[:: SIDE**2]
        job = SlideJob("s", self.path, plan, SIDE, corners, choice.wanted, first)
        grids = []
        with embedder.reader("auto") as reader:
            for part, vectors in embedder.embedded(next(reader.stream([job]))[1]):
                if part.region == FIRST:
                    completion.learn(vectors, part.readable)
                else:
                    grids.append(completion.completed(part.region, vectors, part.readable)[0])
        spent = time.process_time() - start
        computed = int(choice.wanted.sum()) + len(choice.first)
        return Made(np.stack(grids).astype(np.float32), computed, spent)


def region_vectors(model: ViT, grids: Floats) -> Floats:
    """(R, W) stage 2's vectors."""
    x = torch.from_numpy(grids).transpose(1, 2).reshape(len(grids), -1, SIDE, SIDE)
    return np.asarray(embedded(model, x, 8, "fp32", 1))


def cosines(a: Floats, b: Floats) -> Floats:
    """(R,) row by row."""
    return np.asarray((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1))


def spread(vectors: Floats) -> float:
    """Root mean square distance of (N, D) vectors from their mean."""
    return float(np.sqrt(vectors.var(0).sum())) if len(vectors) else 0.0


def main() -> None:
    """Embed both ways, slide by slide; print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("slides", nargs="+", type=Path)
    parser.add_argument("--patches", type=json.loads, default={"random": 1})
    parser.add_argument("--regions", type=json.loads, default={"random": 2})
    parser.add_argument("--most", type=int, default=1000, help="regions of a slide")
    args = parser.parse_args()
    torch.set_num_threads(1)
    encoder = load_patch_encoder(PatchEncoderConfig.model_validate(args.patches))
    embedder = PatchEmbedder(encoder, "fp32", torch.device("cpu"), 1)
    model = load_region_encoder(RegionEncoderConfig.model_validate(args.regions), encoder.dim)
    path_of = {path.stem: path for path in args.slides}
    lines: list[tuple[str, Floats, Floats]] = []
    with tempfile.TemporaryDirectory() as name:
        cohort = Cohort(Path(name), args.slides)
        cohort.run("segment", "tile")
        rows = [row for row in read_index(cohort.index("tile")) if row["status"] == "ok"]
        for row in rows:
            slide = Slide.of(cohort, row, path_of[row["slide_id"]], args.most)
            full, some = slide.made(embedder, "embed"), slide.made(embedder, "sample")
            n, tissue = len(slide.manifest), slide.manifest["tissue"].to_numpy()
            flat = full.grids.reshape(n, -1)
            apart = spread(flat[slide.empty]) / spread(flat[tissue >= 0.1])
            ratio = full.cpu_s / some.cpu_s
            text = f"| {row['slide_id']} | {n // SIDE**2} | {n} | {full.computed} | {some.computed}"
            text += f" | {full.cpu_s:.1f} | {some.cpu_s:.1f} | {ratio:.2f} | {apart:.2f}"
            print(text, flush=True)
            lines.append((text, *(region_vectors(model, m.grids) for m in (full, some))))
    middle = np.concatenate([full for _, full, _ in lines]).mean(0)
    print(
        "\n| slide | regions | patches | embedded, `embed` | `sample` | CPU s, `embed` | `sample` "
        "| ratio | spread | least cosine | centred |"
    )
    print("|---" * 11 + "|")
    for text, full, some in lines:
        least, centred = cosines(full, some).min(), cosines(full - middle, some - middle).min()
        print(f"{text} | {least:.5f} | {centred:.4f} |")


if __name__ == "__main__":
    main()
