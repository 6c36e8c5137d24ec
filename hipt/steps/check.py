"""Look before a long run: sheet, labels, every header, weights, device, disk, hours."""

from __future__ import annotations

import argparse
import itertools
import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from hipt.cohort.failures import in_one_line
from hipt.cohort.folder import departed
from hipt.cohort.ledger import read_ledger
from hipt.cohort.masks import missing_masks
from hipt.cohort.same_files import content_marks, copies
from hipt.cohort.sheet import SlideRow, read_with_remarks
from hipt.cohort.survey import Header, grid_of, headers, job_of, spread
from hipt.cohort.unknown import unknown_cells
from hipt.config.command_line import whole_config
from hipt.config.config import Config, PatchEncoderConfig, RegionEncoderConfig
from hipt.config.trained import Stage, resolved, trained
from hipt.embedding.background import choose
from hipt.embedding.contract import Patches, contract, notes, refuse_unstated_side
from hipt.embedding.devices import compute_device, device_name
from hipt.embedding.embedder import PatchEmbedder
from hipt.embedding.encoder_input import encoder_input
from hipt.embedding.engines.choice import Trying, Wanted
from hipt.embedding.engines.samples import most_shown
from hipt.embedding.packaged import weights_file
from hipt.embedding.rates import model_rate
from hipt.embedding.recorded_input import card_text
from hipt.embedding.trial import input_text, tried
from hipt.embedding.weights_files import load_patch_encoder, load_region_encoder
from hipt.embedding.weights_identity import weights_identity
from hipt.errors import SlideError, some_of
from hipt.exchange.clam_ids import misread_ids, warning_of
from hipt.exchange.feature_files import FeatureFiles
from hipt.exchange.feature_survey import survey_features
from hipt.exchange.features_alone import slide_or_features
from hipt.exchange.foreign_features import features_width
from hipt.geometry.grid import Grid
from hipt.layout import Results
from hipt.machine import Granted, unset_variables, usable_cores
from hipt.nn.encoders import PatchEncoder
from hipt.planning.labels import Labels
from hipt.pretraining.corpus_choice import chosen
from hipt.progress import rate_text, say, size_text, time_text
from hipt.slides.direct import Opener
from hipt.slides.region_reader import Pixels, RegionReader
from hipt.slides.slide import SlideInfo
from hipt.tasks.beforehand import outlooks, raise_first

LISTED = 10
"""Most reasons that are given per status, and most slides that are named per reason."""

SAMPLED = 3
"""Slides on which tissue is sought and a region is read."""

MEASURED_S = 5.0
"""Seconds for which the model is measured."""

BYTES_PER_SLIDE = 400_000
"""Mask, contours and two overviews (measured: 150 to 600 kB)."""

BYTES_PER_PATCH = 90
"""Manifest row and columns beside the vector (measured)."""

FOR_TRIALS = "for trials, not for results"

TRAINED_LATER = "trained from the slides first, for which no time is counted here"


@dataclass(frozen=True)
class Sample:
    """What a short try on a few slides found."""

    patches_per_mm2: float
    """Patches per mm2 of scanned area."""
    computed: float
    """Share of the patches that the model is asked for."""
    segment_s: float
    """Seconds per slide for tissue and grid."""
    read_per_s: float
    """Patches read per second on all threads."""
    direct: int
    """Slides whose tiles are decoded directly."""
    slides: int
    """Slides that were tried."""
    pixels: list[Pixels]
    """(P, px, px, 3) patches of each region that was read."""


def run(config: Config, threads: int) -> None:
    """Print what a run would meet and what it would take.

    Raises:
        HiptError: if the sheet or the weights are not usable.
    """
    torch.set_num_threads(1)  # each of the threads computes minibatches of its own
    for problem in unset_variables():
        say("machine", problem)
    given, results = config.slides, Results(Path(config.results))
    sheet = Path(given.sheet)
    features = config.embed.patches.features
    rows, remarks = read_with_remarks(
        sheet, given.root, given.case_from, given.missing, path_needed=features is None
    )
    done = _done(rows, results)
    cases, sites = len({r.case_id for r in rows}), len({r.site for r in rows if r.site})
    say("sheet", f"{config.slides.sheet}: {len(rows):,} slides, {cases:,} cases, {sites:,} sites")
    known = read_ledger(results.batches).batch_of
    for remark in (*remarks, *departed(sheet, known, (row.slide_id for row in rows))):
        say("", remark)
    say("", f"{len(done):,} have embeddings already; `snakemake -n` says which jobs will run")
    marks = content_marks(rows)
    look_at_labels(config, rows, marks)
    if "clam" in config.export.formats and (warning := warning_of(misread_ids(rows))):
        say("export", f"clam: {warning}")
    seen = list(headers(rows, config, lambda row: _info(row, features)))
    _say_headers(seen)
    for remark in copies(marks):
        say("content", remark)
    encoder = load_weights(config)
    fine = [h for h in seen if h.status == "ok"]
    if encoder is None:
        fine = _say_features(fine, [row.slide_id for row in rows], config)
    fine = [h for h in fine if h.row.slide_id not in done]
    if encoder is None:
        say("to do", f"{len(fine):,} x slide; patches are imported, none is computed")
        return
    sample = _sample(fine, config, threads) if fine else None
    rate = _say_device(encoder, sample, config, threads)
    if sample is not None:
        _say_costs(fine, sample, rate, encoder.dim, config)
    elif fine:
        say("to do", f"{len(fine):,} x slide; none of those that were tried can be read")


def _say_device(
    encoder: PatchEncoder, sample: Sample | None, config: Config, threads: int
) -> float:
    """What computes patches, by which engine and how fast: patches per second.

    Args:
        encoder: with its weights.
        sample: whose patches engines are tried on.
        config: the whole config.
        threads: to compute with on a CPU.
    """
    pixels, px = sample.pixels if sample else [], config.tile.patch_px
    wanted = Wanted(config.embed.engine, config.embed.precision)
    trying = Trying("embed_patches", lambda: most_shown(pixels), {})
    with compute_device(Granted(setting=config.device)) as device:
        embedder = PatchEmbedder.chosen(encoder, wanted, device, threads, trying, px)
        rate = model_rate(embedder, px, MEASURED_S)
    cores = f", {threads} threads" if device.type == "cpu" else ""
    name = f"{device_name(device)}{cores}, {embedder.precision} by {embedder.engine.name}"
    say("device", f"{name}: {rate_text(rate)} patches/s")
    for number, line in enumerate(embedder.choice.lines):
        say("" if number else "engines", line)
    return rate


def look_at_labels(config: Config, rows: Sequence[SlideRow], marks: Mapping[str, str]) -> None:
    """Say what the sheet, its masks and all labels come to, as the plan of a run sees them.

    Args:
        config: of the run.
        rows: the sheet.
        marks: what tells the content of slides that may be another one's copy.

    Raises:
        HiptError: if one of them cannot be used; all tasks are said before.
    """
    for sentence in (*unknown_cells(rows), missing_masks(rows)):
        if sentence:
            say("", sentence)
    Labels.read(config, rows)
    for stage in trained(config):
        chosen(rows, getattr(config.pretrain, stage).corpus)
    tasks = list(outlooks(config, rows, marks))
    for task in tasks:
        lines = (f"cannot run: {task.error}",) if task.error else task.sentences
        for number, line in enumerate(lines):
            say("" if number else "task", f"  {line}" if number else f"{task.name}: {line}")
    raise_first(tasks)


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
        say("weights", f"embed.patches: {named['patches']}, no model")
        width = features_width(FeatureFiles.named(patches.features))
        encoder, models = None, dict[Stage, nn.Module]()
    else:
        encoder = load_patch_encoder(patches)
        width, models = encoder.dim, {"patches": encoder}
    if regions.pool == "mean":
        say("weights", "embed.regions: none, the mean of a region's patch vectors by their tissue")
    elif width is not None:
        models["regions"] = load_region_encoder(regions, width)
    for stage, model in models.items():
        parameters = sum(p.numel() for p in model.parameters())
        part = getattr(model, "weights_part", "")
        taken = f", taken from {part}" if part else ""
        say("weights", f"embed.{stage}: {named[stage]}{taken}, {parameters:,} parameters")
    if encoder is not None:
        mark = weights_identity("embed.patches", patches)
        _say_input(patches, encoder, Patches(config.tile.patch_px, config.mpp, mark))
    return encoder


def _say_input(cfg: PatchEncoderConfig, encoder: PatchEncoder, patches: Patches) -> None:
    """What stage 1 takes and gives, what its card asks for, and what to know of it.

    Raises:
        HiptError: if nothing states what it takes, or it gives no vector of numbers.
    """
    given = encoder_input(cfg)
    refuse_unstated_side(cfg, given, patches.px)
    say("input", f"embed.patches: {input_text(given, patches.px)}")
    if card := contract(cfg, given, patches):
        verdict = "; see the notes" if card["deviations"] else "; it is given that"
        say("card", f"{card['encoder']}: asks for {card_text(card['requested'])}{verdict}")
    for note in notes(cfg, given, patches):
        say("", f"NOTE: {note}")
    say("vectors", f"embed.patches: {tried(encoder, patches.px)}")


def _named(section: str, cfg: PatchEncoderConfig | RegionEncoderConfig) -> str:
    """Which weights a section names."""
    mark = weights_identity(section, cfg)
    if file := weights_file(cfg) if isinstance(cfg, PatchEncoderConfig) else cfg.weights:
        return f"{file} (sha256 {mark[:12]})"
    return f"{mark}: {FOR_TRIALS}" if mark.startswith("random:") else mark


def _done(rows: Sequence[SlideRow], results: Results) -> set[str]:
    """Slides whose region embeddings are there."""
    last = "embed_regions"
    there = {path.name for path in (results.root / last).glob("*")}
    return {row.slide_id for row in rows if results.shard(last, row.slide_id).name in there}


def _info(row: SlideRow, features: str | None) -> SlideInfo:
    """What a slide's header says, or its imported features where it is not there."""
    with slide_or_features(row, features) as slide:
        return slide.info


def _say_headers(seen: Sequence[Header]) -> None:
    """Counts per status with the first slides of each, and per resolution."""
    _say_statuses("headers", seen)
    plans = Counter((f"{h.mpp:.3g}", f"{h.plan.read_mpp:.3g}") for h in seen if h.plan)
    for (native, read), count in plans.most_common():
        say("mpp", f"{count:,} x {native} um/px, read at {read} um/px")


def _say_statuses(label: str, seen: Sequence[Header]) -> None:
    """Counts per status, those in order first, with the first slides of each."""
    counts = Counter(h.status for h in seen)
    for status, count in sorted(counts.items(), key=lambda pair: (pair[0] != "ok", -pair[1])):
        say(label if status == "ok" or "ok" not in counts else "", f"{count:,} {status}")
        slides_of: dict[str, list[str]] = defaultdict(list)
        for header in seen:
            if header.status == status and header.reason:
                slides_of[header.reason].append(header.row.slide_id)
        for reason, slides in itertools.islice(slides_of.items(), LISTED):
            say("", f"  {some_of(slides, LISTED)}: {reason}")
        if len(slides_of) > LISTED:
            say("", f"  and {len(slides_of) - LISTED:,} other reasons")


def _say_features(fine: Sequence[Header], known: Sequence[str], config: Config) -> list[Header]:
    """What the files of imported features promise; the slides whose features fit.

    Args:
        fine: slides whose own headers are in order.
        known: the slide_ids of the whole sheet.
        config: the whole config.
    """
    survey = survey_features(fine, known, config)
    fit = [slide for slide in survey.slides if slide.status == "ok"]
    head = f"{len(fit):,} of {len(fine):,} slides have a file that fits"
    say("features", f"{head}, {survey.patches:,} patches")
    _say_statuses("", [slide for slide in survey.slides if slide.status != "ok"])
    if len(survey.widths) > 1:
        widths = ", ".join(f"{n:,} x {dim}" for dim, n in survey.widths.most_common())
        say("", f"vectors of several widths: {widths}; features of one encoder are needed")
    if survey.strangers:
        some = some_of(survey.strangers, LISTED)
        say("", f"files of no slide of the sheet: {len(survey.strangers):,} ({some})")
    return fit


def _sample(fine: Sequence[Header], config: Config, threads: int) -> Sample | None:
    """Seek tissue and read a region on a few slides, small and large ones; None if none allows."""
    start, chosen, grids = time.monotonic(), list[Header](), list[Grid]()
    for header in spread(fine, SAMPLED):
        with _troubled(header.row.slide_id):
            grids.append(grid_of(header, config))
            chosen.append(header)
    if not chosen:
        return None
    segment_s = (time.monotonic() - start) / len(chosen)
    given = config.tile.grid**2, config.embed.patches.background
    choices = [choose(grid.columns["tissue"], grid.columns["inside"], *given) for grid in grids]
    patches = sum(choice.wanted.size for choice in choices)
    computed = sum(choice.work for choice in choices)
    read, reading_s, direct, pixels = 0, 1e-9, 0, list[Pixels]()
    opener = Opener.of_regions(config.slides.reader)
    jobs = (job_of(header, grid, config, 1) for header, grid in zip(chosen, grids, strict=True))
    with RegionReader(threads, opener=opener) as reader:
        start = time.monotonic()
        for job, regions in reader.stream(jobs):
            with _troubled(job.slide_id):
                for region in regions:
                    read += len(region.readable)
                    direct += region.reader == "direct"
                    pixels.append(region.shown)
        reading_s += time.monotonic() - start
    area_mm2 = sum(header.area_mm2 for header in chosen)
    share, per_mm2 = computed / max(patches, 1), patches / area_mm2
    return Sample(per_mm2, share, segment_s, read / reading_s, direct, len(chosen), pixels)


@contextmanager
def _troubled(slide_id: str) -> Iterator[None]:
    """A slide at trial: what ends it is said, as the run will say it, and ends nothing else."""
    try:
        yield
    except SlideError as error:
        say("trial", f"{slide_id}: {error.status}: {error.reason}")
    except Exception as error:  # noqa: BLE001 (no slide ends the check)
        say("trial", f"{slide_id}: failed: {in_one_line(error)}")


def _say_costs(
    fine: Sequence[Header], sample: Sample, rate: float, dim: int, config: Config
) -> None:
    """Patches to embed, hours and disk, from the sample."""
    patches = sample.patches_per_mm2 * sum(header.area_mm2 for header in fine)
    if not patches:
        say("to do", f"{len(fine):,} x slide; no tissue was found on those that were tried")
        return
    computed = patches * sample.computed
    embed_h = computed / min(rate, sample.read_per_s) / 3600
    hours = embed_h + sample.segment_s * len(fine) / 3600
    slower = "the model" if rate < sample.read_per_s else "reading"
    tried = f"tried on {sample.slides} of them, {sample.direct} decoded directly"
    say("reading", f"{rate_text(sample.read_per_s)} patches/s, {tried}")
    of_them = f"about {patches:,.0f} patches, {computed:,.0f} of them to be computed"
    say("to do", f"{len(fine):,} x slide, {of_them}; {slower} sets the pace")
    say("time", f"about {time_text(hours)} on this machine, one job at a time")
    needed = patches * (2 * dim + BYTES_PER_PATCH) + len(fine) * BYTES_PER_SLIDE
    folder = Path(config.results).absolute()
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    verdict = "" if needed < free else ": NOT ENOUGH, free some or set results: to another disk"
    say("disk", f"about {size_text(needed)} to write, {size_text(free)} free{verdict}")


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: the config."""
    parser = argparse.ArgumentParser(prog="hipt check", description=__doc__)
    parser.add_argument("--cfg", default="config/config.yaml", help="a config file, or JSON")
    parser.add_argument("--weights", action="store_true", help="look at the weights alone")
    cores = usable_cores()
    parser.add_argument("--threads", type=int, default=cores, help="threads to measure with")
    args = parser.parse_args(argv)
    config = whole_config(args.cfg)
    if args.weights:
        load_weights(config)
    else:
        run(config, args.threads)
