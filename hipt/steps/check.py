"""Look before a long run: sheet, every header, weights, device, disk, hours."""

from __future__ import annotations

import argparse
import itertools
import logging
import os
import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from hipt.config import Config, PatchEncoderConfig, RegionEncoderConfig
from hipt.core.geometry import ReadPlan
from hipt.core.grid import Grid, TissueMask, region_grid
from hipt.core.tissue import find_tissue
from hipt.errors import SlideError, Status
from hipt.io.checkpoints import load_patch_encoder, load_region_encoder
from hipt.io.devices import compute_device
from hipt.io.digests import weights_identity
from hipt.io.direct import Opener
from hipt.io.feature_files import FeatureFiles
from hipt.io.foreign_features import features_width
from hipt.io.headers import slide_mpp, slide_plan
from hipt.io.models import Stage, resolved, trained
from hipt.io.progress import Progress
from hipt.io.regions import RegionReader, SlideJob
from hipt.io.results import Results
from hipt.io.settings import parse_json, read_config
from hipt.io.sheets import SlideRow, read_sheet
from hipt.io.slides import open_slide
from hipt.nn.encoders import PatchEncoder, choose_precision, embedded

log = logging.getLogger(__name__)

HEADERS_AT_ONCE = 8
"""Files opened side by side: on network disks, waiting is all that opening is."""

LISTED = 10
"""Most reasons that are given per status, and most slides that are named per reason."""

SAMPLED = 3
"""Slides on which tissue is sought and a region is read."""

MEASURED_PATCHES = 64
"""Patches that are embedded to learn the rate."""

MEASURED_AT_ONCE = 16
"""Patches per forward pass."""

BYTES_PER_SLIDE = 400_000
"""Mask, contours and two overviews (measured: 150 to 600 kB)."""

BYTES_PER_PATCH = 90
"""Manifest row and columns beside the vector (measured)."""

FOR_TRIALS = "for trials, not for results"

TRAINED_LATER = "trained from the slides first, for which no time is counted here"


@dataclass(frozen=True)
class Header:
    """What a slide's header promises."""

    row: SlideRow
    status: Status
    reason: str = ""
    mpp: float = 0.0
    area_mm2: float = 0.0
    """Area of the scanned part, glass included."""
    plan: ReadPlan | None = None


@dataclass(frozen=True)
class Sample:
    """What a short try on a few slides found."""

    patches_per_mm2: float
    """Patches per mm2 of scanned area."""
    segment_s: float
    """Seconds per slide for tissue and grid."""
    read_per_s: float
    """Patches read per second on all threads."""
    direct: int
    """Slides whose tiles are decoded directly."""


def run(config: Config, threads: int) -> None:
    """Print what a run would meet and what it would take.

    Raises:
        HiptError: if the sheet or the weights are not usable.
    """
    torch.set_num_threads(1)  # each of the threads computes minibatches of its own
    rows = read_sheet(Path(config.slides.sheet), config.slides.root, config.slides.case_from)
    done = _done(rows, Results(Path(config.results)))
    cases, sites = len({r.case_id for r in rows}), len({r.site for r in rows if r.site})
    _say("sheet", f"{config.slides.sheet}: {len(rows):,} slides, {cases:,} cases, {sites:,} sites")
    _say("", f"{len(done):,} have embeddings already; `snakemake -n` says which jobs will run")
    headers = list(_headers(rows, config))
    _say_headers(headers)
    encoder = load_weights(config)
    fine = [h for h in headers if h.status == "ok" and h.row.slide_id not in done]
    if encoder is None:
        _say("to do", f"{len(fine):,} x slide; patches are imported, none is computed")
        return
    with compute_device() as device:
        rate = _model_rate(encoder.to(device), config, device, threads)
    if fine:
        _say_costs(fine, _sample(fine, config, threads), rate, encoder.dim, config)


def load_weights(config: Config) -> PatchEncoder | None:
    """The patch encoder, None where patches are imported; both encoders' weights are named.

    Random weights stand for those that the run will train.

    Raises:
        HiptError: if a file is absent, damaged, or of another architecture.
    """
    later = {stage for stage, path in trained(config).items() if not path.exists()}
    embed, stand_in = resolved(config).embed, {"weights": None, "random": 0}
    patches = embed.patches.model_copy(update=stand_in if "patches" in later else {})
    regions = embed.regions.model_copy(update=stand_in if "regions" in later else {})
    sections: dict[Stage, PatchEncoderConfig | RegionEncoderConfig]
    sections = {"patches": patches, "regions": regions}
    named = {
        stage: TRAINED_LATER if stage in later else _named(f"embed.{stage}", section)
        for stage, section in sections.items()
    }
    if patches.features is not None:
        _say("weights", f"embed.patches: {named['patches']}, no model")
        width = features_width(FeatureFiles.named(patches.features))
        encoder, models = None, dict[Stage, nn.Module]()
    else:
        encoder = load_patch_encoder(patches)
        width, models = encoder.dim, {"patches": encoder}
    if width is not None:
        models["regions"] = load_region_encoder(regions, width)
    for stage, model in models.items():
        parameters = sum(p.numel() for p in model.parameters())
        _say("weights", f"embed.{stage}: {named[stage]}, {parameters:,} parameters")
    return encoder


def _named(section: str, cfg: PatchEncoderConfig | RegionEncoderConfig) -> str:
    """Which weights a section names."""
    mark = weights_identity(section, cfg)
    if cfg.weights:
        return f"{cfg.weights} (sha256 {mark[:12]})"
    return f"{mark}: {FOR_TRIALS}" if mark.startswith("random:") else mark


def _say(head: str, text: str) -> None:
    """One line of the answer."""
    print(f"{head:10}{text}", flush=True)  # noqa: T201


def _done(rows: Sequence[SlideRow], results: Results) -> set[str]:
    """Slides whose region embeddings are there."""
    last = "embed_regions"
    there = {path.name for path in (results.root / last).glob("*")}
    return {row.slide_id for row in rows if results.shard(last, row.slide_id).name in there}


def _headers(rows: Sequence[SlideRow], config: Config) -> Iterator[Header]:
    """Every slide's header, in order."""
    progress = Progress(len(rows), "headers")
    with ThreadPoolExecutor(HEADERS_AT_ONCE) as pool:
        for header in pool.map(lambda row: _header(row, config), rows):
            progress.add(1, header.row.slide_id)
            yield header


def _header(row: SlideRow, config: Config) -> Header:
    """What one slide would end as, as far as its header tells."""
    if row.exclude:
        return Header(row, "excluded")
    try:
        with open_slide(row.path) as slide:
            info = slide.info
        mpp = slide_mpp(info, row, config.slides.default_mpp)
        tolerance, patch_px = config.slides.mpp_tolerance, config.tile.patch_px
        plan = slide_plan(mpp.value, info.downsamples, config.mpp, tolerance, patch_px)
    except SlideError as error:
        return Header(row, error.status, error.reason)
    area_mm2 = info.bounds[2] * info.bounds[3] * mpp.value**2 / 1e6
    return Header(row, "ok", mpp.note, mpp.value, area_mm2, plan)


def _say_headers(headers: Sequence[Header]) -> None:
    """Counts per status with the first slides of each, and per resolution."""
    for status, count in Counter(h.status for h in headers).most_common():
        _say("headers" if status == "ok" else "", f"{count:,} {status}")
        said: dict[str, list[str]] = defaultdict(list)
        for header in headers:
            if header.status == status and header.reason:
                said[header.reason].append(header.row.slide_id)
        for reason, slides in itertools.islice(said.items(), LISTED):
            more = f" and {len(slides) - LISTED:,} more" if len(slides) > LISTED else ""
            _say("", f"  {', '.join(slides[:LISTED])}{more}: {reason}")
        if len(said) > LISTED:
            _say("", f"  and {len(said) - LISTED:,} other reasons")
    plans = Counter((f"{h.mpp:.3g}", f"{h.plan.read_mpp:.3g}") for h in headers if h.plan)
    for (native, read), count in plans.most_common():
        _say("mpp", f"{count:,} x {native} um/px, read at {read} um/px")


def _sample(fine: Sequence[Header], config: Config, threads: int) -> Sample:
    """Seek tissue and read a region on a few slides, small and large ones."""
    by_area = sorted(fine, key=lambda h: h.area_mm2)
    places = np.linspace(0, len(by_area) - 1, min(SAMPLED, len(by_area)) + 2)[1:-1]
    chosen = [by_area[round(place)] for place in places]
    start, grids = time.monotonic(), [_grid(header, config) for header in chosen]
    segment_s = (time.monotonic() - start) / len(chosen)
    patches = sum(len(grid.columns["patch"]) for grid in grids)
    read, reading_s, direct = 0, 1e-9, 0
    opener = Opener.of_regions(config.slides.reader)
    with RegionReader(threads, opener=opener) as reader:
        start = time.monotonic()
        for _, regions in reader.stream(map(_job, chosen, grids, [config] * len(chosen))):
            for region in regions:  # one of each slide
                read += len(region.readable)
                direct += region.reader == "direct"
        reading_s += time.monotonic() - start
    area_mm2 = sum(header.area_mm2 for header in chosen)
    return Sample(patches / area_mm2, segment_s, read / reading_s, direct)


def _grid(header: Header, config: Config) -> Grid:
    """The regions of a slide."""
    assert header.plan is not None
    with open_slide(header.row.path) as slide:
        thumbnail, scale = slide.thumbnail(max(1.0, config.segment.mask_mpp / header.mpp))
        bounds = slide.info.bounds
    mask = find_tissue(thumbnail, header.mpp * scale, config.segment)
    return region_grid(TissueMask(mask, scale, scale), bounds, header.plan, config.tile)


def _job(header: Header, grid: Grid, config: Config) -> SlideJob:
    """The first region of a slide, to be read."""
    assert header.plan is not None
    corners = np.stack([grid.columns[name] for name in ("region_x", "region_y")], 1)[:1]
    return SlideJob(header.row.slide_id, header.row.path, header.plan, config.tile.grid, corners)


def _model_rate(encoder: PatchEncoder, config: Config, device: torch.device, threads: int) -> float:
    """Patches that the model embeds per second."""
    size = config.tile.patch_px
    shape = MEASURED_PATCHES, size, size, 3
    batch = torch.zeros(shape, dtype=torch.uint8, device=device)
    precision = choose_precision(config.embed.precision, device)
    embedded(encoder, batch[:MEASURED_AT_ONCE], MEASURED_AT_ONCE, precision, 1)  # is no measure
    start = time.monotonic()
    embedded(encoder, batch, MEASURED_AT_ONCE, precision, threads).sum().item()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    rate = MEASURED_PATCHES / (time.monotonic() - start)
    cores = f", {threads} threads" if device.type == "cpu" else ""
    _say("device", f"{name}{cores}, {precision}: {rate:,.1f} patches/s")
    return rate


def _say_costs(
    fine: Sequence[Header], sample: Sample, rate: float, dim: int, config: Config
) -> None:
    """Patches to embed, hours and disk, from the sample."""
    patches = sample.patches_per_mm2 * sum(header.area_mm2 for header in fine)
    embed_h = patches / min(rate, max(sample.read_per_s, 1e-9)) / 3600 if patches else 0.0
    hours = embed_h + sample.segment_s * len(fine) / 3600
    slower = "the model" if rate < sample.read_per_s else "reading"
    tried = f"tried on {min(SAMPLED, len(fine))} of them, {sample.direct} decoded directly"
    _say("reading", f"{sample.read_per_s:,.1f} patches/s, {tried}")
    _say("to do", f"{len(fine):,} x slide, about {patches:,.0f} patches; {slower} sets the pace")
    _say("time", f"about {_hours(hours)} on this machine, one job at a time")
    needed = patches * (2 * dim + BYTES_PER_PATCH) + len(fine) * BYTES_PER_SLIDE
    folder = Path(config.results).absolute()
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    verdict = "" if needed < free else ": NOT ENOUGH, free some or set results: to another disk"
    _say("disk", f"about {_size(needed)} to write, {_size(free)} free{verdict}")


def _hours(hours: float) -> str:
    """A time as people say it."""
    return f"{hours * 60:,.0f} min" if hours < 2 else f"{hours:,.1f} h"


def _size(size: float) -> str:
    """Bytes as people say them."""
    return f"{size / 1e6:,.0f} MB" if size < 1e9 else f"{size / 1e9:,.1f} GB"


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: the config."""
    parser = argparse.ArgumentParser(prog="hipt check", description=__doc__)
    parser.add_argument("--cfg", default="config/config.yaml", help="a config file, or JSON")
    parser.add_argument("--weights", action="store_true", help="look at the weights alone")
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--threads", type=int, default=cores, help="threads to measure with")
    args = parser.parse_args(argv)
    if args.cfg.lstrip().startswith("{"):
        config = parse_json(Config, args.cfg, "config")
    else:
        config = read_config(Path(args.cfg))
    if args.weights:
        load_weights(config)
    else:
        run(config, args.threads)
