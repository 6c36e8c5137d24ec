"""What frozen features know of labels: neighbours and linear models of other cases."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from hipt.cohort.headers import read_plan
from hipt.cohort.sheet import read_sheet
from hipt.config.command_line import read_settings, step_parser
from hipt.config.config import PatchEncoderConfig, ProbeConfig, RegionEncoderConfig
from hipt.config.recorded import settings_of
from hipt.config.step_settings import ProbeSettings
from hipt.embedding.weights_files import load_patch_encoder, load_region_encoder
from hipt.errors import HiptError
from hipt.layout import Results
from hipt.nn.encoders import embedded, inference
from hipt.progress import Progress
from hipt.registry import version_of
from hipt.slides.region_reader import RegionReader, SlideJob
from hipt.stats.knn import knn_predict, standardised
from hipt.stats.linear_probe import Judged, judged, linear_hits, possible_fractions
from hipt.store.provenance import Provenance, made_by
from hipt.store.schemas import MANIFEST, PROBE
from hipt.store.shard import file_mark, files_mark
from hipt.store.tables import PatchEmbeddings, Row, matrix, read_table, write_rows
from hipt.tasks.inputs import slide_inputs
from hipt.tasks.labels.label_maps import class_names, label_maps, slide_labels
from hipt.tasks.labels.probe_items import (
    Items,
    arranged_regions,
    labelled_patches,
    labelled_regions,
    slides_in_order,
)

log = logging.getLogger(__name__)

STEP = "probe"

MINIBATCH = 16
"""Patches or regions per forward pass."""

DEVICE = torch.device("cpu")
"""A few thousand patches: no GPU is asked for."""

RANDOM_SEED = 1000
"""Added to the probe's seed: the weights of the random networks."""

E = TypeVar("E", PatchEncoderConfig, RegionEncoderConfig)
Floats = npt.NDArray[np.floating[Any]]  # [N, D]
Hits = npt.NDArray[np.float64]
"""(N,) whether an item's class is found, or how often, 0 to 1."""


def run(slides: Path, out: Path, cfg: ProbeSettings, threads: int) -> None:
    """Write how well labels are found, per level and kind of features.

    Raises:
        HiptError: if nothing is labelled, or all of it is of one class or one case.
    """
    torch.set_num_threads(1)  # each of the threads computes minibatches of its own
    if not (cfg.probe.labels or cfg.probe.column):
        raise HiptError(
            "probe: nothing is labelled; name a folder of label maps (probe.labels), or a column "
            "of the sheet (probe.column)"
        )
    results, rows = Results(slides.parent), slides_in_order(slides)
    sheet = read_sheet(Path(cfg.sheet), cfg.root, cfg.case_from, cfg.missing)
    labels = _Labels(
        label_maps(sheet, cfg.probe.labels), slide_labels(sheet, cfg.probe.column, cfg.missing)
    )
    lines = [
        *_patch_lines(rows, labels, results, cfg, threads),
        *_region_lines(rows, labels, results, cfg),
    ]
    write_rows(out, lines, PROBE, _provenance(rows, labels, results, cfg))


class _Labels(NamedTuple):
    """What is to be found, as far as somebody asks for it."""

    maps: Mapping[str, Path]
    """Label map by slide."""
    of_column: Mapping[str, str]
    """Value of the sheet's column by slide."""


def _provenance(
    rows: Sequence[Row], labels: _Labels, results: Results, cfg: ProbeSettings
) -> Provenance:
    """What decides the table: labels, maps, and every slide's vectors."""
    of_column = labels.of_column
    named = [(row["slide_id"], row["case_id"], of_column.get(row["slide_id"])) for row in rows]
    shards = {
        row["slide_id"]: " ".join(
            file_mark(results.shard(step, row["slide_id"]))
            for step in ("embed_patches", "embed_regions")
        )
        for row in rows
    }
    inputs = slide_inputs(named, shards, imported=False)
    known = [row["slide_id"] for row in rows if row["slide_id"] in labels.maps]
    inputs["maps"] = files_mark(labels.maps[slide_id] for slide_id in known)
    software = {"torch": torch.__version__, "device": DEVICE.type, "precision": "fp32"}
    return made_by((STEP, version_of(STEP)), settings_of(cfg), inputs, software)


def _patch_lines(
    rows: Sequence[Row], labels: _Labels, results: Results, cfg: ProbeSettings, threads: int
) -> Iterator[Row]:
    """The lines of the patch level; none if no label maps are named."""
    if not cfg.probe.labels:
        return
    names = class_names(cfg.probe.labels)
    labelled = labelled_patches(rows, labels.maps, names, results, cfg.pictures_show)
    items = labelled.drawn(cfg.probe.most_patches, cfg.probe.seed)
    _look_at(items, f"probe.labels: patches on the maps of {cfg.probe.labels}")
    features = {"trained": _embedded(items, partial(_patch_vectors, results))}
    features |= _of_pixels(items, results, cfg, threads)
    yield from _scored("patch", "class of the label map", items, features, cfg.probe)


def _region_lines(
    rows: Sequence[Row], labels: _Labels, results: Results, cfg: ProbeSettings
) -> Iterator[Row]:
    """The lines of the region level: arrangement on the maps, then the column; as far as named."""
    if cfg.probe.labels:
        arranged = arranged_regions(rows, labels.maps, results, cfg.tile.grid**2, cfg.pictures_show)
        what = f"probe.labels: regions on the maps of {cfg.probe.labels}"
        if len(np.unique(arranged.label)) > 1:
            yield from _of_regions("arrangement on the label map", what, arranged, results, cfg)
        else:
            log.info("%s are all arranged alike: nothing to ask", what)
    if cfg.probe.column:
        arranged = labelled_regions(rows, labels.of_column)
        what = f"probe.column: regions with a value in column '{cfg.probe.column}'"
        yield from _of_regions(cfg.probe.column, what, arranged, results, cfg)


def _of_regions(
    task: str, what: str, labelled: Items, results: Results, cfg: ProbeSettings
) -> Iterator[Row]:
    items = labelled.drawn(cfg.probe.most_patches, cfg.probe.seed)
    _look_at(items, what)
    features = {"trained": _embedded(items, partial(_region_vectors, results))}
    features |= _of_grids(items, results, cfg)
    yield from _scored("region", task, items, features, cfg.probe)


def _look_at(items: Items, what: str) -> None:
    """Refuse what nothing can be learned from; say what there is."""
    kinds, counts = np.unique(items.label, return_counts=True)
    cases, groups = (len(np.unique(of_item)) for of_item in (items.case, items.group))
    if len(kinds) < 2 or groups < 2:
        raise HiptError(
            f"{what} are of {len(kinds)} classes and {cases} cases; label at least two of each"
            + (", that do not share a slide" if groups < cases else "")
        )
    for kind, count in zip(kinds.tolist(), counts.tolist(), strict=True):
        of_kind = len(np.unique(items.case[items.label == kind]))
        log.info("class %s: %d items, %d cases", items.names.get(kind, str(kind)), count, of_kind)


def _scored(
    level: str, task: str, items: Items, features: Mapping[str, Floats], cfg: ProbeConfig
) -> Iterator[Row]:
    """A line per method, fraction of the training part, and kind of features; trained ones first.

    Nothing is learned of an item from its own case, nor from one that holds the same slide under
    another name.
    """
    classes = len(np.unique(items.label))
    facts = {
        "level": level,
        "task": task,
        "chance": 1 / classes,
        "items": len(items.label),
        "classes": classes,
        "cases": len(np.unique(items.case)),
    }
    for method, fraction, hits in _asked(items, list(features.values()), cfg):
        results = judged(hits, items.label, items.group, cfg.seed)
        for name, result in zip(features, results, strict=True):
            what = f"{level}, {task}, {name}, {method} {100 * fraction:g} %"
            score = result.balanced_accuracy
            log.info("%s: %.3f (chance %.3f)", what, score, facts["chance"])
            own = {"features": name, "method": method, "fraction": fraction}
            yield facts | own | _known(result, first=result is results[0])


def _asked(
    items: Items, features: Sequence[Floats], cfg: ProbeConfig
) -> Iterator[tuple[str, float, list[Hits]]]:
    """Each method with its fraction of the training part, and what it finds by each features."""
    label, group = items.label, items.group
    keys = (standardised(values) for values in features)
    answers = (knn_predict(key, key, label, cfg.k, exclude=(group, group)) for key in keys)
    yield "knn", 1.0, [(answer == label).astype(np.float64) for answer in answers]
    fractions = possible_fractions(label, group, cfg.train_fractions)
    for fraction in sorted({*cfg.train_fractions} - {*fractions}):
        log.info("no linear model of %g %%: too few items or cases", 100 * fraction)
    for fraction in fractions:
        hits = [linear_hits(values, label, group, fraction, cfg.seed) for values in features]
        yield "linear", fraction, hits


def _known(result: Judged, *, first: bool) -> Row:
    """What is a number; the first kind of features is not compared with itself."""
    numbers = {name: None if np.isnan(x) else x for name, x in result._asdict().items()}
    compared = ("difference", "difference_low", "difference_high", "p")
    return numbers | dict.fromkeys(compared) if first else numbers


def _of_pixels(
    items: Items, results: Results, cfg: ProbeSettings, threads: int
) -> dict[str, Floats]:
    """What pixels give: a random network's vectors; means and deviations of R, G, B.

    Imported vectors are of no network that is known here; nor need their slides be there.
    """
    imported = cfg.patches.features is not None
    absent = [row["slide_id"] for row, _ in items.by_slide() if not Path(row["path"]).exists()]
    if imported and absent:
        log.info("no colours to compare with: %d slides are not there", len(absent))
        return {}
    encoder = None if imported else load_patch_encoder(_unlearned(cfg.patches, cfg.probe.seed))
    vectors, colours = [], []
    progress = Progress(len(items.label), "patches")
    with RegionReader(threads, depth=2 * threads * MINIBATCH) as reader:
        jobs = (_job(row, places, results, cfg) for row, places in items.by_slide())
        for job, patches in reader.stream(jobs):
            while batch := [patch.pixels for patch in islice(patches, threads * MINIBATCH)]:
                pixels = np.concatenate(batch)  # [B, px, px, 3]
                colours.append(np.hstack([pixels.mean((1, 2)), pixels.std((1, 2))]))
                if encoder is not None:
                    x = torch.from_numpy(pixels)
                    vectors.append(embedded(encoder, x, MINIBATCH, "fp32", threads).numpy())
                progress.add(len(pixels), job.slide_id, reader.waited_s)
    log.info("%s", progress.summary(reader.waited_s))
    network = {"random network": np.concatenate(vectors)} if vectors else {}
    return {**network, "mean colour": np.concatenate(colours)}


def _job(row: Row, places: Sequence[int], results: Results, cfg: ProbeSettings) -> SlideJob:
    """What the reader has to know to read single patches: each is a region of one."""
    manifest = read_table(results.shard("tile", row["slide_id"]), MANIFEST).take(list(places))
    facts = {**row, "read_px": manifest["read_px"][0].as_py()}
    corners = np.stack([manifest["x"].to_numpy(), manifest["y"].to_numpy()], 1)
    plan = read_plan(facts, cfg.tile.patch_px)
    return SlideJob(row["slide_id"], Path(row["path"]), plan, 1, corners)


def _of_grids(items: Items, results: Results, cfg: ProbeSettings) -> dict[str, Floats]:
    """What grids of patch vectors give: a random stage 2's vectors, if there is one; means."""
    side, model = cfg.tile.grid, None
    unlearned = _unlearned(cfg.regions, cfg.probe.seed) if cfg.regions.pool is None else None
    vectors, means = [], []
    for row, places in items.by_slide():
        embeddings = PatchEmbeddings(results.shard("embed_patches", row["slide_id"]))
        if unlearned is not None:
            model = model or load_region_encoder(unlearned, embeddings.dim)
        for start in range(0, len(places), MINIBATCH):
            grids = np.stack([embeddings.grid(p) for p in places[start : start + MINIBATCH]])
            x = torch.from_numpy(grids).float()  # (B, T, C)
            means.append(x.mean(1).numpy())
            if model is not None:
                with inference("fp32", DEVICE):
                    grid = x.transpose(1, 2).reshape(len(x), -1, side, side)
                    vectors.append(model(grid).numpy())
    network = {"random network": np.concatenate(vectors)} if vectors else {}
    return {**network, "mean of patches": np.concatenate(means)}


def _patch_vectors(results: Results, row: Row, places: Sequence[int]) -> Floats:
    """(n, D) vectors of some patches of a slide, from disk."""
    embeddings = PatchEmbeddings(results.shard("embed_patches", row["slide_id"]))
    size = len(embeddings.region(0))
    return np.stack([embeddings.grid(place // size)[place % size] for place in places])


def _region_vectors(results: Results, row: Row, places: Sequence[int]) -> Floats:
    """(n, D) vectors of some regions of a slide, from disk."""
    table = read_table(results.shard("embed_regions", row["slide_id"]))
    return np.asarray(matrix(table["embedding"])[list(places)])


def _embedded(items: Items, vectors: Callable[[Row, Sequence[int]], Floats]) -> Floats:
    """(N, D) vectors of all items."""
    return np.concatenate([vectors(row, places) for row, places in items.by_slide()])


def _unlearned(cfg: E, seed: int) -> E:
    """The same architecture with random weights."""
    return cfg.model_copy(update={"weights": None, "random": seed + RANDOM_SEED})


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: the slide table, the settings, the table to make."""
    parser = step_parser(STEP, __doc__)
    parser.add_argument("--slides", type=Path, required=True, help="the slide table")
    parser.add_argument("--threads", type=int, default=1, help="threads to read and compute with")
    args = parser.parse_args(argv)
    run(args.slides, args.out, read_settings(STEP, ProbeSettings, args.cfg), args.threads)
