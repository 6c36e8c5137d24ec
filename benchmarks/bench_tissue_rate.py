"""Tissue embedded per core-hour, from slide to vector, way by way in one run.

    python benchmarks/bench_tissue_rate.py SLIDE... [--threads 2] [--ways NAME...]

Each way is segment, tile and both embeddings as jobs of the workflow: start-up, decoding and files
count. Full-size networks of the paper with random weights. Tissue is what lies in the regions; the
vectors of patches that hold tissue are compared with those of the first way. The rates of a matrix
product stand beside, so that machines can be compared.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from cohort import Cohort

from hipt.config.config import Config
from hipt.embedding.rates import product_rate
from hipt.store.schemas import INDICES
from hipt.store.tables import PatchEmbeddings, read_table

STEPS = ("segment", "tile", "embed_patches", "embed_regions")

TODAY = {"engine": "torch", "background": "embed", "anchor": "tissue"}
WAYS: dict[str, dict[str, str]] = {
    "torch fp32": {**TODAY, "precision": "fp32"},
    "torch bf16": {**TODAY, "precision": "bf16"},
    "default, fp32": {"precision": "fp32"},
    "default": {},
    "fastest, fp32": {"background": "sample", "anchor": "best", "precision": "fp32"},
    "fastest": {"background": "sample", "anchor": "best", "precision": "bf16"},
}
"""Settings by way; the config's defaults where a way names none."""

Vectors = dict[tuple[str, int, int], npt.NDArray[np.float32]]
"""(D,) by slide and the patch's corner."""


@dataclass(frozen=True)
class Outcome:
    """What a way did."""

    cpu_s: dict[str, float]
    """By step."""
    wall_s: float
    peak_mib: float
    tissue_mm2: float
    regions: int
    patches: int
    vectors: Vectors
    """Of patches with tissue."""

    @property
    def mm2_per_core_hour(self) -> float:
        """Tissue in regions by CPU time of all steps."""
        return self.tissue_mm2 / sum(self.cpu_s.values()) * 3600


def configured(way: dict[str, str]) -> dict[str, object]:
    """The sections of a config that a way sets."""
    patches: dict[str, object] = {"random": 1}
    patches |= {key: way[key] for key in ("background",) if key in way}
    embed: dict[str, object] = {"patches": patches, "regions": {"random": 2}}
    embed |= {key: way[key] for key in ("engine", "precision") if key in way}
    return {"embed": embed} | ({"tile": {"anchor": way["anchor"]}} if "anchor" in way else {})


def outcome(folder: Path, slides: list[Path], way: dict[str, str], threads: int) -> Outcome:
    """Embed all slides in one way."""
    folder.mkdir()
    cohort = Cohort(folder, slides, **configured(way))
    cpu_s, start, peak_kib = {}, time.monotonic(), 0
    for step in STEPS:
        with (folder / f"{step}.log").open("w") as log:
            process = subprocess.Popen(cohort.command(step, threads), stderr=log)
            _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit((folder / f"{step}.log").read_text())
        cpu_s[step] = usage.ru_utime + usage.ru_stime
        peak_kib = max(peak_kib, usage.ru_maxrss)
    wall_s = time.monotonic() - start
    areas = {row["slide_id"]: row["tissue_mm2"] for row in table(cohort, "segment")}
    rows = [row for row in table(cohort, "tile") if row["status"] == "ok"]
    tissue_mm2 = sum(areas[row["slide_id"]] * row["tissue_in_regions"] for row in rows)
    regions, patches = (sum(row[name] for row in rows) for name in ("regions", "patches"))
    vectors: Vectors = {}
    for row in rows:
        vectors |= tissue_vectors(cohort, row["slide_id"])
    return Outcome(cpu_s, wall_s, peak_kib / 1024, tissue_mm2, regions, patches, vectors)


def table(cohort: Cohort, step: str) -> list[dict[str, object]]:
    """A row per slide."""
    rows: list[dict[str, object]] = read_table(cohort.index(step), INDICES[step]).to_pylist()
    return rows


def tissue_vectors(cohort: Cohort, slide_id: str) -> Vectors:
    """The vectors of a slide's patches that hold tissue."""
    shard = PatchEmbeddings(cohort.results.shard("embed_patches", slide_id))
    made: Vectors = {}
    for region in range(len(shard)):
        batch = shard.region(region)
        values = batch["embedding"].flatten().to_numpy().reshape(-1, shard.dim)
        x, y, tissue = (batch[name].to_numpy() for name in ("x", "y", "tissue"))
        for patch in np.flatnonzero(tissue > 0):
            made[slide_id, int(x[patch]), int(y[patch])] = values[patch].astype(np.float32)
    return made


def difference(vectors: Vectors, reference: Vectors) -> tuple[float, float]:
    """Greatest difference in standard deviations of the reference, and least centred cosine."""
    shared = sorted(vectors.keys() & reference.keys())
    a, b = (np.stack([which[key] for key in shared]) for which in (vectors, reference))
    greatest = float((np.abs(a - b) / b.std(0)).max())
    a, b = a - b.mean(0), b - b.mean(0)
    cosine = (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return greatest, float(cosine.min())


def main() -> None:
    """Way by way; print two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("slides", nargs="+", type=Path)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    args = parser.parse_args()
    torch.set_num_threads(1)
    cpu = torch.device("cpu")
    rates = {name: product_rate(cpu, name) / 1e9 for name in ("fp32", "bf16")}
    print("matrix product, one core:", ", ".join(f"{n} {r:.0f} GFLOP/s" for n, r in rates.items()))
    defaults = Config()
    print(f"defaults: anchor {defaults.tile.anchor}, {defaults.embed.patches.background}")
    print("\n| way | regions | patches | CPU s: " + " | ".join(STEPS), end=" | all | wall s |")
    print(" peak MiB | mm² per core-hour | of the first | largest difference, sd | least centred |")
    print("|---" * (len(STEPS) + 11) + "|")
    first: Outcome | None = None
    with tempfile.TemporaryDirectory() as name:
        for number, way in enumerate(args.ways):
            done = outcome(Path(name) / str(number), args.slides, WAYS[way], args.threads)
            first = first or done
            greatest, cosine = difference(done.vectors, first.vectors)
            cells = [way, f"{done.regions}", f"{done.patches:,}"]
            cells += [f"{done.cpu_s[step]:.1f}" for step in STEPS]
            cells += [f"{sum(done.cpu_s.values()):.0f}", f"{done.wall_s:.0f}"]
            cells += [f"{done.peak_mib:,.0f}", f"{done.mm2_per_core_hour:.1f}"]
            cells += [f"{done.mm2_per_core_hour / first.mm2_per_core_hour:.2f}"]
            cells += [f"{greatest:.1e}", f"{cosine:.5f}"]
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
