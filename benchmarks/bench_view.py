"""The viewer of 10,678 slides: its table, tiles, neighbours, memory, each beside a bare bound.

    python benchmarks/bench_view.py SLIDE... [--folder DIR] [--slides 10678] [--regions 433506]

Results are simulated in DIR (kept for another run) by the store's own writers: a slide table, a
file of region vectors per slide, one manifest of 41 regions under all names. The first rows are the
real SLIDEs. `hipt view` runs in a process of its own; what is printed is in milliseconds:

page        the table of all slides, packed, as a browser gets it
tile        tiles at random levels and places of slides that are open, none of them twice; bound:
            the same rectangle by OpenSlide's read_region and PIL's JPEG, in this process
20 readers  the same with 20 of them at once
neighbours  twelve neighbours of random regions; bound: the bare product of all vectors with one

by the clock (50 %, 95 %), and as CPU per answer, which other work disturbs less. Tiles and the bare
read once more in this process, all three by the CPU of the thread that makes them.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import openslide

from hipt.layout import Results
from hipt.store.schemas import MANIFEST, SLIDES, region_embeddings_schema
from hipt.store.tables import vectors, write_rows, write_table
from hipt.view.slides import Slides

WIDTH, GRID, MOST_REGIONS = 192, 16, 41
TILE_PX, READERS = 254, 20


def simulate(folder: Path, paths: Sequence[Path], slides: int, regions: int) -> Results:
    """Results of so many slides, whose regions are as many in all; the first ones are real."""
    results = Results(folder / "results")
    config = folder / "config.yaml"
    if results.slides.exists():
        return results
    config.write_text("{}\n")
    rng = np.random.default_rng(0)
    counts = rng.multinomial(regions, np.full(slides, 1 / slides))
    centres = rng.normal(size=(64, WIDTH)).astype(np.float32)
    results.root.mkdir(parents=True)
    manifest = results.root / "manifest.parquet"
    write_manifest(manifest, int(counts.max()))
    results.shard("tile", "a").parent.mkdir()
    schema, rows = region_embeddings_schema(WIDTH), []
    for i, count in enumerate(counts.tolist()):
        slide_id = f"TCGA-{i // 2:05d}-{i % 2}"
        values = centres[rng.integers(0, 64, count)] + rng.normal(size=(count, WIDTH)) / 2
        number = np.arange(count)
        columns = {
            "slide_id": [slide_id] * count,
            "region": number.astype(np.int32),
            "x": number % 8 * 4096,
            "y": number // 8 * 4096,
            "tissue": np.ones(count, np.float32),
            "embedding": vectors(values.astype(np.float32)),
        }
        write_table(results.shard("embed_regions", slide_id), columns, schema)
        results.shard("tile", slide_id).hardlink_to(manifest)
        path = paths[i] if i < len(paths) else folder / f"{slide_id}.svs"
        head = {"slide_id": slide_id, "case_id": slide_id[:10], "site": "", "path": str(path)}
        head |= {"batch": "b0000", "status": "ok", "reason": "", "note": ""}
        facts = {"mpp": 0.5, "tissue_mm2": 4.2 * count, "regions": count, "patches": 256 * count}
        rows.append(dict.fromkeys(SLIDES.names) | head | facts)
    write_rows(results.slides, rows, SLIDES)
    return results


def write_manifest(path: Path, regions: int) -> None:
    """A manifest of so many regions."""
    region = np.repeat(np.arange(regions), GRID**2)
    patch = np.tile(np.arange(GRID**2), regions)
    x, y = region % 8 * 4096, region // 8 * 4096
    ones = np.ones(len(region), np.float32)
    columns = {
        **{"slide_id": ["a"] * len(region), "region": region.astype(np.int32)},
        **{"patch": patch.astype(np.int16), "region_x": x, "region_y": y},
        **{"x": x + patch % GRID * 256, "y": y + patch // GRID * 256},
        **{"read_px": np.full(len(region), 256), "tissue": ones, "region_tissue": ones},
        "inside": ones,
    }
    write_table(path, columns, MANIFEST)


class Server:
    """A `hipt view` of the simulated results."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "hipt", "view", "--port", "0"]
        command += ["--cfg", str(folder / "config.yaml"), "--results", str(folder / "results")]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        found = re.match(r"(http://[^/]*)/", self.process.stdout.readline())
        assert found
        self.address = found[1]

    def get(self, path: str, **query: object) -> bytes:
        """The body of an answer, packed where it came so."""
        headers = {"Accept-Encoding": "gzip"} if path == "/api/cohort" else {}
        request = urllib.request.Request(f"{self.address}{path}?{urlencode(query)}", None, headers)
        with urllib.request.urlopen(request) as answer:
            body: bytes = answer.read()
        return body

    def cpu_s(self) -> float:
        """Seconds of CPU so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def mib(self, kind: str) -> float:
        """Memory: `VmRSS`, what it holds now, or `VmHWM`, the most that it held."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"{kind}:\s+(\d+) kB", status)
        assert found
        return int(found[1]) / 1024


def timed(
    calls: Sequence[Callable[[], object]],
    readers: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Milliseconds of each call by a clock, so many at once."""

    def one(call: Callable[[], object]) -> float:
        start = clock()
        call()
        return 1000 * (clock() - start)

    with ThreadPoolExecutor(readers) as pool:
        return list(pool.map(one, calls))


def line(name: str, took: Sequence[float], cpu_s: float, note: str = "") -> None:
    """A row of the table."""
    half, most = np.percentile(took, [50, 95])
    print(f"{name:22}{half:9.1f}{most:9.1f}{1000 * cpu_s / len(took):9.1f}  {note}", flush=True)


def places(paths: Sequence[Path], seed: int) -> Iterator[tuple[int, int, int, int]]:
    """Slide, level, column and row of random tiles of the four finest levels, none twice."""
    rng, seen = random.Random(seed), set()
    sizes = [openslide.OpenSlide(path).dimensions for path in paths]
    while True:
        which = rng.randrange(len(paths))
        last = int(np.ceil(np.log2(max(sizes[which]))))
        level = rng.randint(last - 3, last)
        step = TILE_PX << (last - level)
        place = (which, level, *(rng.randrange(-(-side // step)) for side in sizes[which]))
        if place not in seen:
            seen.add(place)
            yield place


def bare(handle: openslide.OpenSlide, level: int, column: int, row: int) -> bytes:
    """A tile as OpenSlide reads it and PIL packs it, made small by nothing better than reduce."""
    last = int(np.ceil(np.log2(max(handle.dimensions))))
    scale = 1 << (last - level)
    best = handle.get_best_level_for_downsample(scale * 1.01)
    side = round(TILE_PX * scale / handle.level_downsamples[best])
    corner = column * TILE_PX * scale, row * TILE_PX * scale
    picture = handle.read_region(corner, best, (side, side)).convert("RGB")
    if (factor := side // TILE_PX) > 1:
        picture = picture.reduce(factor)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def measured(server: Server, name: str, calls: Sequence[Callable[[], object]], readers: int = 1,
             note: str = "") -> None:  # fmt: skip
    """Ask, and print a row."""
    start = server.cpu_s()
    took = timed(calls, readers)
    line(name, took, server.cpu_s() - start, note)


def main() -> None:
    """Simulate, serve, ask."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("slide", nargs="+", type=Path)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--slides", type=int, default=10_678)
    parser.add_argument("--regions", type=int, default=433_506)
    parser.add_argument("--tiles", type=int, default=300)
    args = parser.parse_args()
    folder = args.folder or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    paths = [path.resolve() for path in args.slide]
    simulate(folder, paths, args.slides, args.regions)
    ids = [f"TCGA-{i // 2:05d}-{i % 2}" for i in range(len(paths))]
    print(f"{'':22}{'50 %':>9}{'95 %':>9}{'CPU':>9}  ms; load {os.getloadavg()[0]:.1f}")
    started = time.perf_counter()
    server = Server(folder)
    try:
        first = timed([lambda: server.get("/api/cohort")])[0]
        print(f"started in {time.perf_counter() - started:.1f} s; first page after {first:.0f} ms")
        size = len(server.get("/api/cohort")) / 1e6
        measured(server, "page", [lambda: server.get("/api/cohort")] * 10, note=f"{size:.2f} MB")
        query = {"slide": ids[0], "region": 0}
        while not json.loads(server.get("/api/neighbours", **query))["exact"]:
            time.sleep(1)
        waited = time.perf_counter() - started
        print(f"vectors in memory after {waited:.0f} s, {server.cpu_s():.0f} of CPU")
        print(f"memory {server.mib('VmRSS'):.0f} MiB")
        tiles(server, paths, ids, args.tiles)
        neighbours(server, args.slides, args.regions)
        print(f"memory {server.mib('VmRSS'):.0f} MiB, at most {server.mib('VmHWM'):.0f}")
    finally:
        server.process.terminate()
        server.process.wait()


def tiles(server: Server, paths: Sequence[Path], ids: Sequence[str], count: int) -> None:
    """Tiles, one reader and many, beside the bare read."""
    at = places(paths, 1)
    for i in ids:
        server.get("/tile", slide=i, level=9, x=0, y=0)
    handles = [openslide.OpenSlide(path) for path in paths]
    some = list(itertools.islice(at, count))

    def ask(place: tuple[int, int, int, int]) -> Callable[[], object]:
        which, level, x, y = place
        return lambda: server.get("/tile", slide=ids[which], level=level, x=x, y=y)

    measured(server, "tile", [ask(place) for place in some])
    start = time.process_time()
    bares = [partial(bare, handles[place[0]], *place[1:]) for place in some]
    took = timed(bares)
    line("  bare read and JPEG", took, time.process_time() - start)
    for name, calls in {"tile": own_tiles(paths, some), "bare": bares}.items():
        took = timed(calls, clock=time.thread_time)
        line(f"  {name}, CPU in a thread", took, sum(took) / 1000)
    measured(server, "tile, kept", [ask(place) for place in some[-100:]])
    for _ in range(2):
        many = [ask(place) for place in itertools.islice(at, count)]
        measured(server, f"tile, {READERS} readers", many, READERS)
        print(f"memory {server.mib('VmRSS'):.0f} MiB")


def own_tiles(
    paths: Sequence[Path], some: Sequence[tuple[int, int, int, int]]
) -> list[Callable[[], object]]:
    """The same tiles without a server, from slides that are open."""
    slides = Slides()
    rows = [{"slide_id": path.stem, "path": str(path)} for path in paths]
    for row in rows:
        slides.open(row)
    return [partial(slides.tile, rows[which], level, x, y) for which, level, x, y in some]


def neighbours(server: Server, slides: int, regions: int) -> None:
    """Neighbours of random regions, beside the bare product."""
    rng = random.Random(2)
    ids = [f"TCGA-{i // 2:05d}-{i % 2}" for i in rng.sample(range(slides), 40)]

    def ask(slide: str) -> Callable[[], object]:
        return lambda: server.get("/api/neighbours", slide=slide, region=rng.randrange(20))

    measured(server, "neighbours", [ask(slide) for slide in ids])
    values = np.random.default_rng(0).normal(size=(regions, WIDTH)).astype(np.float32)
    start = time.process_time()
    took = timed([lambda: values @ values[7]] * 40)
    line("  bare product", took, time.process_time() - start)


if __name__ == "__main__":
    main()
