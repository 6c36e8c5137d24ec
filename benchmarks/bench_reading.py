"""Patches per second from slides: the usual way, ours by either reader, a bare decoder, in one run.

    python benchmarks/bench_reading.py SLIDE... [--threads 1 2] [--copies 3] [--rounds 2] [--model]

a  the usual way: a torch DataLoader whose workers read one patch at a time with `read_region`,
   convert it by PIL, and resize it where the level does not fit
b  our reader of regions through OpenSlide
c  our reader of regions with tiles decoded directly
d  imagecodecs alone, in threads: every tile that the regions touch once, from memory, thrown away
e  with --model, the bare model: ViT256-16 on patches in its device's memory, before and after p
p  with --model, the pipeline: c into the model

and r, s: the source of stage 1's pretraining, by OpenSlide and directly. a to d, r and s take
turns, the best round counts: by the clock, and (in brackets) by the seconds of all cores, which
other work disturbs less. Each slide is read `--copies` times in a row, opened and compared anew
each time, as a batch's slides are. Every patch of c is compared with that of b first.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import imagecodecs
import numpy as np
import openslide
import tifffile
import torch
from cohort import Cohort
from torch.utils.data import DataLoader, Dataset

from hipt.cohort.headers import read_plan
from hipt.cohort.sheet import read_sheet
from hipt.config.config import PatchEncoderConfig
from hipt.embedding.embedder import PatchEmbedder
from hipt.embedding.rates import model_rate, pipeline_rate
from hipt.embedding.weights_files import load_patch_encoder
from hipt.geometry.resolution import ReadPlan
from hipt.pretraining.corpus import Corpus, read_corpus
from hipt.pretraining.order import Share
from hipt.pretraining.patch_source import PatchSource
from hipt.slides.direct import Opener
from hipt.slides.region_reader import RegionReader, SlideJob
from hipt.store.schemas import INDICES, MANIFEST
from hipt.store.tables import read_table

BATCH, POOL_BLOCKS = 64, 32


class PatchDataset(Dataset[torch.Tensor]):
    """One patch per item, as most extractors do it."""

    def __init__(self, path: Path, plan: ReadPlan, corners: np.ndarray, copies: int) -> None:
        self.path, self.plan, self.corners, self.copies = path, plan, corners, copies
        self.slide: openslide.OpenSlide | None = None
        self.copy = -1

    def __len__(self) -> int:
        return len(self.corners) * self.copies

    def __getitem__(self, index: int) -> torch.Tensor:
        copy, index = divmod(index, len(self.corners))
        if self.slide is None or copy != self.copy:  # OpenSlide's cache is not for the next copy
            self.slide, self.copy = openslide.OpenSlide(self.path), copy
        side = self.plan.patch_level_px
        place = tuple(int(v) for v in self.corners[index])
        image = self.slide.read_region(place, self.plan.level, (side, side)).convert("RGB")
        if side != self.plan.patch_px:
            image = image.resize((self.plan.patch_px,) * 2)
        return torch.from_numpy(np.asarray(image).copy())


@dataclass(frozen=True)
class Work:
    """What is read of one slide."""

    job: SlideJob
    patches: np.ndarray
    """(P, 2) corners of the regions' patches."""
    mpp: float
    """Of level 0."""
    corpus: Corpus
    copies: int
    tiles: list[bytes]
    """Those that the regions touch."""
    decode: Callable[[bytes], np.ndarray]

    def usual(self, threads: int) -> int:
        """Way a."""
        data = PatchDataset(self.job.path, self.job.plan, self.patches, self.copies)
        return sum(len(batch) for batch in DataLoader(data, BATCH, num_workers=threads))

    def ours(self, reader: str, threads: int) -> int:
        """Ways b and c."""
        return sum(len(pixels) for pixels in self.read(reader, threads))

    def read(self, reader: str, threads: int) -> Iterator[np.ndarray]:
        """Region by region."""
        opener = Opener.of_regions(reader)
        with RegionReader(threads, opener=opener) as regions:
            jobs = [replace(self.job, slide_id=str(k)) for k in range(self.copies)]
            for _, read in regions.stream(jobs):
                for one in read:
                    assert one.reader == reader.replace("auto", "direct")
                    yield one.pixels

    def bare(self, threads: int) -> int:
        """Way d."""
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(lambda data: self.decode(data) is None, self.tiles * self.copies):
                pass
        return len(self.patches) * self.copies

    def trained(self, reader: str, threads: int) -> int:
        """The source of pretraining, from its start: one pool or more."""
        corpus = replace(self.corpus, opener=Opener(reader))
        batch = min(BATCH, corpus.patches)
        with PatchSource(corpus, Share(0), batch, POOL_BLOCKS, threads) as source:
            count = self.copies * corpus.patches // batch
            return sum(len(next(source)) for _ in range(count))


def prepared(path: Path, regions: int, copies: int) -> Work:
    """Lay the grid, and fetch the tiles."""
    with tempfile.TemporaryDirectory() as name:
        cohort = Cohort(Path(name), [path])
        cohort.run("segment", "tile")
        row = read_table(cohort.index("tile"), INDICES["tile"]).to_pylist()[0]
        mpp = read_table(cohort.index("segment"), INDICES["segment"])["mpp"][0].as_py()
        manifest = read_table(cohort.results.shard("tile", path.stem), MANIFEST)
        sheet = read_sheet(Path(name) / "slides.csv")
        corpus = read_corpus(sheet, "all", cohort.results, cohort.config.tile, 0.1)
    plan = read_plan(row, 256)
    manifest = manifest.slice(0, 256 * regions)
    patches = np.stack([manifest[c].to_numpy() for c in ("x", "y")], 1)
    corners = np.stack([manifest[c].to_numpy()[::256] for c in ("region_x", "region_y")], 1)
    job = SlideJob(path.stem, path, plan, 16, corners)
    return Work(job, patches, mpp, corpus, copies, *tiles_of(job))


def tiles_of(job: SlideJob) -> tuple[list[bytes], Callable[[bytes], np.ndarray]]:
    """The tiles that the regions touch, and imagecodecs' function for them."""
    with openslide.OpenSlide(job.path) as slide, tifffile.TiffFile(job.path) as tif:
        size, factor = slide.level_dimensions[job.plan.level], job.plan.downsample
        page = next(p for p in tif.pages if p.is_tiled and (p.imagewidth, p.imagelength) == size)
        across, side = -(-page.imagewidth // page.tilewidth), 16 * job.plan.patch_level_px
        touched = set()
        for x, y in (job.corners / factor).astype(int):
            right, bottom = min(x + side, page.imagewidth), min(y + side, page.imagelength)
            for r in range(max(y, 0) // page.tilelength, -(-bottom // page.tilelength)):
                columns = range(max(x, 0) // page.tilewidth, -(-right // page.tilewidth))
                touched |= {r * across + c for c in columns}
        found = []
        for index in sorted(touched):
            tif.filehandle.seek(page.dataoffsets[index])
            found.append(tif.filehandle.read(page.databytecounts[index]))
        if page.compression != 7:
            return found, imagecodecs.jpeg2k_decode
        space = "YCBCR" if page.photometric == 6 else "RGB"
        options = {"tables": page.jpegtables, "colorspace": space, "outcolorspace": "RGB"}
        return found, partial(imagecodecs.jpeg8_decode, **options)


def rates(ways: dict[str, Callable[[], int]], rounds: int) -> dict[str, np.ndarray]:
    """Patches per second and per second of a core, of each, the best of some rounds of turns."""
    best = {name: np.zeros(2) for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            before, start = os.times(), time.monotonic()
            count = way()
            spent = np.array([time.monotonic() - start, sum(np.subtract(os.times(), before)[:4])])
            best[name] = np.maximum(best[name], count / spent)
    return best


def modelled(work: Work, threads: int, decoder: float, seconds: float) -> str:
    """Cells of the table with the model: d, e, p and their ratio."""
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    encoder = load_patch_encoder(PatchEncoderConfig(random=1))
    embedder = PatchEmbedder(encoder, "auto", device, threads)
    before = model_rate(embedder, 256, seconds)
    pipeline = pipeline_rate(embedder, "auto", [work.job], seconds)
    after = model_rate(embedder, 256, seconds)
    bare = (before + after) / 2
    ratio = pipeline / min(decoder, bare)
    return f"{decoder:.0f} | {bare:.2f} ({before:.2f}, {after:.2f}) | {pipeline:.2f} | {ratio:.3f}"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("slides", type=Path, nargs="+")
    most = len(os.sched_getaffinity(0))
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, most}))
    parser.add_argument("--regions", type=int, default=4)
    parser.add_argument("--copies", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--model", action="store_true", help="measure e and p, too")
    parser.add_argument("--seconds", type=float, default=20.0, help="for e and p each")
    args = parser.parse_args()
    models: list[str] = []
    print("| slide | µm/px | threads | a | b | c | d | r | s | c ÷ a | c ÷ b | c ÷ d | s ÷ r |")
    print("|---" * 13 + "|")
    for path in args.slides:
        work = prepared(path, args.regions, args.copies)
        pairs = zip(work.read("openslide", most), work.read("auto", most), strict=True)
        assert all(np.array_equal(one, other) for one, other in pairs)
        for threads in args.threads:
            s = rates(
                {
                    "a": partial(work.usual, threads),
                    "b": partial(work.ours, "openslide", threads),
                    "c": partial(work.ours, "auto", threads),
                    "d": partial(work.bare, threads),
                    "r": partial(work.trained, "openslide", threads),
                    "s": partial(work.trained, "auto", threads),
                },
                args.rounds,
            )
            pairs = [s["c"] / s["a"], s["c"] / s["b"], s["c"] / s["d"], s["s"] / s["r"]]
            row = [path.stem, f"{work.mpp:.3f}", f"{threads}"]
            row += [f"{one[0]:.0f}" for one in s.values()]
            row += [f"{clock:.2f} ({cores:.2f})" for clock, cores in pairs]
            print("|", " | ".join(row), "|", flush=True)
            if args.model:
                cells = modelled(work, threads, s["d"][0], args.seconds)
                models.append(f"| {path.stem} | {threads} | {cells} |")
    if args.model:
        print("\n| slide | threads | d | e | p | p ÷ min(d, e) |\n" + "|---" * 6 + "|")
        print("\n".join(models))
        print(f"\npeak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
