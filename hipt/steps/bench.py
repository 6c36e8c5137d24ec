"""How fast this machine reads and embeds slides of a sheet, what binds, and hours for all of them.

Rates in patches per second, each by itself and then together: the decoder alone, on tiles in
memory; the reader, from slide to patches; the model, on patches in its device's memory; and the
pipeline from slides to vectors; and what they mean in tissue and slides, engine by engine, with and
without patches of glass. Random weights stand for the model's: they are as fast.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import math
import resource
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from hipt.cohort.sheet import read_sheet
from hipt.cohort.survey import Header, grid_of, headers, job_of, spread
from hipt.config.command_line import whole_config
from hipt.config.config import Config, Reader
from hipt.embedding.background import Background
from hipt.embedding.devices import choose_precision, compute_device, device_name
from hipt.embedding.embedder import PatchEmbedder
from hipt.embedding.engines.engine import EngineName
from hipt.embedding.engines.on_openvino import NotConvertedError, openvino_is_there
from hipt.embedding.rates import (
    endless,
    flops_per_patch,
    model_rate,
    pipeline_rate,
    product_rate,
    rate_of,
    regions_of,
)
from hipt.embedding.throughput import BACKGROUNDS, NIGHT_H, Workload
from hipt.embedding.weights_files import load_patch_encoder
from hipt.errors import HiptError
from hipt.geometry.grid import Grid
from hipt.machine import Granted, usable_cores
from hipt.nn.encoders import Precision
from hipt.progress import rate_text, say, size_text, time_text
from hipt.slides.direct import DirectSlide, Opener, RawTiles
from hipt.slides.region_reader import RegionReader, SlideJob
from hipt.slides.tiled_tiff import TileError

SLIDES, REGIONS, SECONDS = 3, 8, 5.0

NOTICED_S = 0.5
"""A first reading that waits less for the disk says nothing of it."""


@dataclass(frozen=True)
class Sample:
    """A slide to measure with."""

    header: Header
    job: SlideJob
    grid: Grid


@dataclass(frozen=True)
class Reading:
    """A slide's rates."""

    patches: int
    """Of the regions that are read."""
    decoder: float
    """0 where OpenSlide reads the slide, whose decoder cannot be had alone."""
    first: float
    """Reader, when the regions are read for the first time."""
    second: float
    """Reader, for the second time, with as much to open and to allocate."""
    reader: float
    """Reader, from then on."""
    read_by: str

    @property
    def disk(self) -> float:
        """What the disk gives, where most of the first time was spent waiting for it; else inf."""
        second_s = self.patches / self.second
        waited_s = self.patches / self.first - second_s
        return self.patches / waited_s if waited_s > max(NOTICED_S, second_s) else math.inf

    def row(self, sample: Sample) -> tuple[str, ...]:
        """Cells of the table."""
        share = f"{self.reader / self.decoder:.2f}" if self.decoder else "-"
        decoder = rate_text(self.decoder) if self.decoder else "-"
        cells = self.read_by, decoder, rate_text(self.reader), share, rate_text(self.first)
        return sample.job.slide_id, f"{sample.header.mpp:.3g}", *cells


TISSUE_HEAD = (
    "engine",
    "background",
    "patches/s",
    "mm2 of tissue/h",
    f"slides per night of {NIGHT_H} h",
)

HEAD = ("slide", "um/px", "read by", "decoder", "reader", "of decoder", "first time")


def run(config: Config, threads: int, slides: int, regions: int, seconds: float) -> None:
    """Measure, and print what was found.

    Args:
        config: as for the workflow.
        threads: to read with, and on a CPU to compute with.
        slides: how many are tried, small and large ones.
        regions: of each, at most.
        seconds: that each rate is measured for, at least.

    Raises:
        HiptError: if there is nothing to measure with.
    """
    if config.embed.patches.features is not None:
        raise HiptError(
            "embed.patches.features: patches are imported, there is no model to measure"
        )
    torch.set_num_threads(1)  # each of the threads computes minibatches of its own
    sheet = config.slides
    rows = read_sheet(Path(sheet.sheet), sheet.root, sheet.case_from, sheet.missing)
    fine = [header for header in headers(rows, config) if header.status == "ok"]
    tried = spread(fine, slides)
    samples = [_sample(header, config, regions) for header in tried]
    work = Workload.of([(one.header, one.grid) for one in samples], fine, config.tile)
    samples = [sample for sample in samples if len(sample.job.corners)]
    if not samples:
        raise HiptError(
            f"{config.slides.sheet}: none of the {len(tried)} slides that were tried can be "
            "embedded; `hipt check` says why"
        )
    say("sheet", f"{config.slides.sheet}: {len(rows):,} slides, {len(fine):,} can be embedded")
    say("measured", f"at most {regions} regions each of {len(samples)} slides, {threads} threads")
    readings = [_reading(sample, config.slides.reader, threads, seconds) for sample in samples]
    rows_of = zip(readings, samples, strict=True)
    _say_table(HEAD, [reading.row(sample) for reading, sample in rows_of], left=(0, 2))
    stand_in = config.embed.patches.model_copy(update={"weights": None, "random": 0})
    with compute_device(Granted(setting=config.device)) as device:
        embedder = PatchEmbedder(load_patch_encoder(stand_in), "fp32", device, threads)
        models = _models(embedder, config, seconds)
        rates = _Rates.measured(readings, models, samples, config, seconds)
        _say_rates(rates, models, config.tile.patch_px)
    _say_pace(rates, threads)
    _say_tissue(rates, models, work)
    _say_time(rates, work, config.embed.patches.background)


@dataclass(frozen=True)
class _Model:
    """The model by one engine in one precision."""

    embedder: PatchEmbedder
    rate: float
    """Patches per second."""

    @property
    def on_cpu(self) -> bool:
        """Whether it computes where slides are read."""
        return self.embedder.device.type == "cpu"

    @property
    def how(self) -> str:
        """`bf16 by openvino`."""
        return f"{self.embedder.precision} by {self.embedder.engine.name}"


@dataclass(frozen=True)
class _Rates:
    """Patches per second of all slides that were tried together."""

    decoder: float
    disk: float
    """inf where it was not what was waited for."""
    reader: float
    model: float
    pipeline: float

    @classmethod
    def measured(
        cls,
        readings: Sequence[Reading],
        models: Sequence[_Model],
        samples: Sequence[Sample],
        config: Config,
        seconds: float,
    ) -> _Rates:
        """The slides' rates together, the first model's and the pipeline's."""
        jobs = [sample.job for sample in samples]
        pipeline = pipeline_rate(models[0].embedder, config.slides.reader, jobs, seconds)
        return cls(
            _together([reading.decoder for reading in readings]),
            _together([reading.disk for reading in readings]),
            _together([reading.reader for reading in readings]),
            models[0].rate,
            pipeline,
        )

    def of(self, model: _Model) -> float:
        """The pipeline's rate with another model, as far as the rates of both alone tell it."""
        alone, first = (self._alone(one, model.on_cpu) for one in (model.rate, self.model))
        return min(self.pipeline * alone / first, self.disk)

    def _alone(self, model: float, on_cpu: bool) -> float:
        """Of reading and a model: one after the other where they share the cores, else at once."""
        return 1 / (1 / model + 1 / self.reader) if on_cpu else min(model, self.reader)

    @property
    def bound(self) -> float:
        """The slower of model and decoder; of model and reader where no decoder can be had."""
        return min(self.model, self.decoder or self.reader)


def _models(embedder: PatchEmbedder, config: Config, seconds: float) -> list[_Model]:
    """The model by every engine in every precision; the one that a run would choose first."""
    device, setting, px = embedder.device, config.embed, config.tile.patch_px
    on_openvino = device.type == "cpu" and openvino_is_there()
    engines: list[EngineName] = ["openvino", "torch"] if on_openvino else ["torch"]
    precisions: tuple[Precision, ...] = ("fp32", "bf16")
    models = []
    for name, precision in itertools.product(engines, precisions):
        with contextlib.suppress(NotConvertedError):
            one = embedder.otherwise(name, precision, px)
            models.append(_Model(one, model_rate(one, px, seconds)))
    chosen, named = choose_precision(setting.precision, device), setting.engine

    def rank(model: _Model) -> tuple[bool, bool, float]:
        made = model.embedder
        other_engine = named != "auto" and made.engine.name != named
        return made.precision != chosen, other_engine, -model.rate

    return sorted(models, key=rank)


def _sample(header: Header, config: Config, regions: int) -> Sample:
    """A slide, its tissue sought."""
    grid = grid_of(header, config)
    return Sample(header, job_of(header, grid, config, regions), grid)


def _reading(sample: Sample, reader: Reader, threads: int, seconds: float) -> Reading:
    """Measure a slide without a model."""
    read_by: list[str] = []

    def read(jobs: Iterable[SlideJob]) -> Iterator[int]:
        with RegionReader(threads, opener=Opener.of_regions(reader)) as regions:
            for region in regions_of(regions, jobs):
                read_by.append(region.reader)
                yield len(region.readable)

    first, second = (rate_of(read([sample.job]), math.inf) for _ in range(2))
    warm = rate_of(read(endless([sample.job])), seconds)
    patches = len(sample.job.corners) * sample.job.grid**2
    raw = _raw(sample.job, Opener.of_regions(reader))
    decoder = rate_of(_decoded(raw, patches, threads), seconds) if raw and raw.data else 0.0
    return Reading(patches, decoder, first, second, warm, read_by[0])


def _raw(job: SlideJob, opener: Opener) -> RawTiles | None:
    """The tiles that a slide's regions touch; None where OpenSlide reads them."""
    side_px = job.grid * job.plan.patch_level_px
    with opener(job.path) as slide:
        if not isinstance(slide, DirectSlide):
            return None
        corners = [(int(x), int(y)) for x, y in job.corners]
        return slide.raw(job.plan.level, corners, side_px)


def _decoded(raw: RawTiles, patches: int, threads: int) -> Iterator[int]:
    """Decodes all tiles over and over; the patches that they make, each time."""

    def decode(data: Sequence[bytes]) -> None:
        out = np.empty(raw.level.shape, np.uint8)
        for tile in data:
            with contextlib.suppress(TileError):
                raw.level.decode(tile, out)

    parts = [raw.data[k::threads] for k in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        while True:
            list(pool.map(decode, parts))
            yield patches


def _together(rates: Sequence[float]) -> float:
    """The rate of equally many patches of each; 0 where one has none, inf where none binds."""
    if not all(rates):
        return 0.0
    spent = sum(1 / rate for rate in rates)
    return len(rates) / spent if spent else math.inf


def _say_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], left: tuple[int, ...], label: str = ""
) -> None:
    """A table; columns of names stand left, numbers right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for line, row in enumerate((head, *rows)):
        cells = [
            cell.ljust(w) if i in left else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        say("" if line else label, "  ".join(cells).rstrip())


def _say_rates(rates: _Rates, models: Sequence[_Model], patch_px: int) -> None:
    """Rates of all slides together."""
    first, embedder = models[0], models[0].embedder
    of = f", {rates.reader / rates.decoder:.2f} of the decoder alone" if rates.decoder else ""
    say("reader", f"{rate_text(rates.reader)} patches/s{of}")
    device, flops = embedder.device, flops_per_patch(embedder.encoder, patch_px)
    cores = f" with {embedder.threads} threads" if device.type == "cpu" else ""
    torch.set_num_threads(embedder.threads)  # one product after the other, on all of them
    share = rates.model * flops / product_rate(device, embedder.precision)
    torch.set_num_threads(1)
    where = f"on {device_name(device)}{cores}, {first.how}"
    text = f"{flops / 1e9:.3g} GFLOP each, {share:.0%} of a large matrix product by torch"
    say("model", f"{rate_text(rates.model)} patches/s {where}; {text}")
    for other in models[1:]:
        say("", f"{rate_text(other.rate)} patches/s in {other.how}")
    if device.type == "cpu":
        say("", "`hipt check` tries on patches whether their vectors agree with torch's in fp32")
    memory = size_text(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    if device.type == "cuda":
        memory += f", {size_text(torch.cuda.max_memory_allocated(device))} on the GPU"
    binds = "decoder" if rates.decoder else "reader"
    of = f"{rates.pipeline / rates.bound:.2f} of the slower of {binds} and model"
    say("pipeline", f"{rate_text(rates.pipeline)} patches/s, {of}; memory {memory}")


def _say_pace(rates: _Rates, threads: int) -> None:
    """What binds, and what would help."""
    ratio = rates.reader / rates.model
    if ratio >= 1:
        say("pace", f"the model sets it: reading alone is {rate_text(ratio)} times as fast")
    else:
        cores = math.ceil(threads / ratio)
        say("pace", f"reading sets it: about {cores:,} cores would keep this model busy")
    if rates.disk < rates.pipeline:
        say("", f"but the disk gives {rate_text(rates.disk)} patches/s, less than all else takes")


def _say_tissue(rates: _Rates, models: Sequence[_Model], work: Workload) -> None:
    """Tissue and slides, by engine and by what becomes of patches without tissue."""
    rows = []
    for model, background in itertools.product(models, BACKGROUNDS):
        rate = rates.of(model)
        mm2, slides = work.mm2_per_h(rate, background), work.slides_per_night(rate, background)
        rows.append((model.how, background, rate_text(rate), rate_text(mm2), rate_text(slides)))
    _say_table(TISSUE_HEAD, rows, left=(0, 1), label="tissue")
    saved = 1 - work.computed["sample"] / work.computed["embed"]
    say("", f"`embed.patches.background: sample` leaves out {saved:.0%} of the patches")


def _say_time(rates: _Rates, work: Workload, background: Background) -> None:
    """Hours of stage 1 for all slides."""
    hours = work.hours(min(rates.pipeline, rates.disk), background)
    text = f"about {work.computed[background]:,.0f} of {work.patches:,.0f} patches"
    of = f"of {work.slides:,} slides, background: {background}"
    say("time", f"about {time_text(hours)} to embed {text} {of}, one job at a time")


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: the config, and how much to try."""
    parser = argparse.ArgumentParser(
        prog="hipt bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cfg", default="config/config.yaml", help="a config file, or JSON")
    cores = usable_cores()
    parser.add_argument("--threads", type=int, default=cores, help="threads to measure with")
    parser.add_argument("--slides", type=int, default=SLIDES, help="slides that are tried")
    parser.add_argument("--regions", type=int, default=REGIONS, help="regions of each, at most")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each rate, at least")
    args = parser.parse_args(argv)
    for name in ("threads", "slides", "regions"):
        if getattr(args, name) < 1:
            raise HiptError(f"--{name}: must be 1 or more, got {getattr(args, name)}")
    run(whole_config(args.cfg), args.threads, args.slides, args.regions, args.seconds)
