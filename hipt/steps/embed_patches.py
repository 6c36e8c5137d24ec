"""Stage 1: one vector per patch, straight from the slides."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from hipt.cohort.batch_run import BatchRun, Row, kept_provenance, read_index
from hipt.cohort.headers import read_plan
from hipt.cohort.sheet import read_sheet
from hipt.config.command_line import (
    add_device,
    add_engine,
    add_reader,
    engine_of,
    granted_of,
    read_settings,
    reader_of,
    step_parser,
)
from hipt.config.config import EngineSetting, Reader
from hipt.config.step_settings import EmbedPatchesSettings
from hipt.embedding.background import Choice, Completion, choose
from hipt.embedding.contract import CHOSEN, Patches, contract, refuse_unstated_side
from hipt.embedding.devices import compute_device, device_name
from hipt.embedding.embedder import PatchEmbedder
from hipt.embedding.encoder_input import encoder_input
from hipt.embedding.engines.choice import Trying, Wanted
from hipt.embedding.engines.samples import patch_samples
from hipt.embedding.precisions import accepted
from hipt.embedding.timm_revision import config_digest
from hipt.embedding.weights_files import load_patch_encoder
from hipt.embedding.weights_identity import weights_identity
from hipt.errors import SlideError
from hipt.exchange.feature_files import FeatureFiles
from hipt.exchange.imported_patches import write_imported
from hipt.layout import Results
from hipt.machine import ONE_GPU, Granted
from hipt.progress import Progress
from hipt.registry import version_of
from hipt.slides.direct import Opener
from hipt.slides.identity import identity
from hipt.slides.region_reader import FIRST, FailedJob, RegionPixels, RegionReader, SlideJob
from hipt.store.finite import MOST_FLOAT16, Broken
from hipt.store.provenance import Provenance, fingerprint
from hipt.store.schemas import MANIFEST, patch_embeddings_schema
from hipt.store.shard import read_provenance
from hipt.store.tables import PatchEmbeddings, patch_embeddings_writer, read_table, vectors

log = logging.getLogger(__name__)

STEP = "embed_patches"

IMPORTED = ""
"""In place of a precision where no vector is computed."""


@dataclass(frozen=True)
class _Work:
    """One slide: its row of the tile index, and the shard that it must have."""

    row: Row
    path: Path
    manifest: Path
    shard: Path
    mask: Path
    """The shard of segment, which knows the slide's file as it was then."""
    makings: Mapping[str, Provenance]
    """How the shard may be made, by precision; by nothing where vectors are imported."""
    pending: bool
    """Whether it has to be made."""


def run(  # noqa: PLR0913 (one for each of the command line)
    tile: Path,
    out: Path,
    cfg: EmbedPatchesSettings,
    threads: int,
    reader: Reader = "openslide",
    granted: Granted = ONE_GPU,
    engine: EngineSetting = "auto",
) -> None:
    """Embed the patches of one batch: a file of embeddings per slide, then the batch's index.

    The model is loaded when a slide needs it; one reader serves all slides and runs ahead over
    their borders. Minibatches never mix slides, so a slide's numbers do not depend on its batch.
    Imported vectors are taken from their files instead.

    Args:
        tile: the batch's tile index.
        out: the index to make.
        cfg: the settings.
        threads: to read and compute with.
        reader: who reads patches; the vectors are the same.
        granted: what to compute on.
        engine: what computes; vectors of one precision are the same.
    """
    torch.set_num_threads(1)  # each of the threads computes minibatches of its own
    results, opener = Results.of_index(out), Opener.of_regions(reader)
    works = list(_works(tile, results, cfg))
    imported = FeatureFiles.named(cfg.patches.features) if cfg.patches.features else None
    pending = [] if imported else [work for work in works if work.pending]
    with BatchRun(out, len(works), cfg.on_slide_error) as batch, ExitStack() as stack:
        if pending:
            device = stack.enter_context(compute_device(granted))
            encoder = load_patch_encoder(cfg.patches)
            trying = _trying(pending, cfg, RegionReader(threads, opener=opener), results)
            wanted, px = Wanted(engine, cfg.precision), cfg.tile.patch_px
            embedder = PatchEmbedder.chosen(encoder, wanted, device, threads, trying, px)
            for line in embedder.choice.lines:
                log.info("engine: %s", line)
            where = device_name(device), embedder.precision, embedder.engine.name
            log.info("computing on %s in %s by %s", *where)
            for deviation in _contract(pending[0], embedder, cfg).get("deviations", ()):
                log.warning("%s", deviation)
            ahead = stack.enter_context(embedder.reader(reader))
            progress = Progress(sum(work.row["patches"] for work in pending), "patches")
            stream = ahead.stream(_jobs(pending, cfg))
        for work in works:
            if work.row["status"] != "ok":
                batch.carry(work.row)
                continue
            with batch.slide(work.row["slide_id"]) as facts:
                if not work.row["regions"]:
                    raise SlideError("no_tissue", "its manifest holds no region")
                if work.pending and imported:
                    count = cfg.tile.grid**2
                    made = work.makings[IMPORTED]
                    write_imported(imported, work.manifest, work.shard, made, count)
                elif work.pending:
                    _, regions = next(stream)
                    _write(work, embedder, cfg, _watched(regions, work, progress, ahead))
                made = read_provenance(work.shard)
                facts |= {"fingerprint": made.fingerprint, "reader": made.software.get("reader")}
                facts |= {"precision": made.settings.get("precision")}
                facts |= _counted(PatchEmbeddings(work.shard), cfg)
        if pending:
            log.info("%s", progress.summary(ahead.waited_s))


def _trying(
    pending: Sequence[_Work],
    cfg: EmbedPatchesSettings,
    reader: RegionReader,
    results: Results,
) -> Trying:
    """Engines are tried on patches of the first slides."""

    def patches() -> torch.Tensor:
        with reader as ahead:
            return patch_samples(_jobs(pending, cfg), ahead)

    made = next(iter(pending[0].makings.values()))
    settings = {name: x for name, x in made.settings.items() if name != "precision"}
    identity = {"settings": settings, "weights": made.inputs["weights"], "px": cfg.tile.patch_px}
    return Trying(STEP, patches, identity, results.engines)


def _contract(work: _Work, embedder: PatchEmbedder, cfg: EmbedPatchesSettings) -> Row:
    """What the card of the encoder asks for, and what it gets of a slide's patches."""
    mpp = read_provenance(work.manifest).settings["mpp"]
    weights = work.makings[embedder.precision].inputs["weights"]
    patches = Patches(cfg.tile.patch_px, mpp, weights)
    return contract(cfg.patches, embedder.encoder.given, patches)


def _write(
    work: _Work,
    embedder: PatchEmbedder,
    cfg: EmbedPatchesSettings,
    regions: Iterator[RegionPixels],
) -> None:
    """A slide's file of embeddings, one record batch per region."""
    manifest = read_table(work.manifest, MANIFEST)
    schema = patch_embeddings_schema(embedder.encoder.dim)
    first = list(itertools.islice(regions, 1))
    reader = {"reader": first[0].reader} if first else {}  # the first tells who reads the slide
    card = _contract(work, embedder, cfg)
    facts, software = {"contract": card} if card else {}, embedder.software | reader
    made = replace(work.makings[embedder.precision], facts=facts, software=software)
    choice, broken = _choice(manifest, cfg), Broken()
    completion, count = Completion(choice), cfg.tile.grid**2
    with patch_embeddings_writer(work.shard, schema, made) as writer:
        for part, wanted in embedder.embedded(itertools.chain(first, regions)):
            region = part.region
            if region == FIRST:
                completion.learn(wanted, part.readable)
                continue
            embedding, readable = completion.completed(region, wanted, part.readable)
            broken.add(embedding, region)
            rows = manifest.slice(region * count, count).to_batches()[0]
            known = {name: rows[name] for name in schema.names if name in rows.schema.names}
            columns = known | {"readable": readable, "computed": choice.computed[region]}
            columns |= {"embedding": vectors(embedding)}
            writer.write_batch(
                pa.record_batch([columns[name] for name in schema.names], schema=schema)
            )
        broken.refuse(f"{MOST_FLOAT16} (float16)", "region", "patch")
        _say_how_alike(work.row["slide_id"], choice, completion)
        _refuse_another_slide(work)  # before the file gets its name


def _say_how_alike(slide_id: str, choice: Choice, completion: Completion) -> None:
    """Whether one mean may stand for a slide's patches without tissue, to this encoder."""
    if choice.samples:
        spread = completion.sampled.value / (completion.wanted.value or 1.0)
        text = "%s: %d sampled patches without tissue lie %.2f times as far apart as those with it"
        log.info(text, slide_id, choice.samples, spread)


def _works(tile: Path, results: Results, cfg: EmbedPatchesSettings) -> Iterator[_Work]:
    """The batch's slides that are still in the sheet."""
    weights = weights_identity("embed.patches", cfg.patches, results.digests)
    settings = _settings(cfg)
    paths = {
        row.slide_id: row.path for row in read_sheet(Path(cfg.sheet), cfg.root, missing=cfg.missing)
    }
    for row in read_index(tile):
        slide_id = row["slide_id"]
        if slide_id not in paths:
            continue
        inputs = {"manifest": row["fingerprint"] or "", "weights": weights}
        makings = {name: _making(made, inputs) for name, made in settings.items()}
        marks = [made.fingerprint for made in makings.values()]
        shard = results.shard(STEP, slide_id)
        yield _Work(
            row=row,
            path=paths[slide_id],
            manifest=results.shard("tile", slide_id),
            shard=shard,
            mask=results.shard("segment", slide_id),
            makings=makings,
            pending=bool(row["regions"]) and kept_provenance(shard, marks) is None,
        )


def _settings(cfg: EmbedPatchesSettings) -> dict[str, Row]:
    """What decides the vectors beside weights and manifest, by the precision of the computation.

    The values count, whoever says them: config, weights file, a published encoder's card or timm.
    Nothing does, where they are imported.
    """
    if cfg.patches.features is not None:
        return {IMPORTED: {}}
    given = encoder_input(cfg.patches)
    refuse_unstated_side(cfg.patches, given, cfg.tile.patch_px)
    left_out = {"weights", "random", "max_unreadable", "features", *CHOSEN}
    common = cfg.patches.model_dump(exclude=left_out)
    common |= {"encoder": cfg.patches.architecture, "encoder_args": cfg.patches.arguments}
    common |= given.identity | config_digest(cfg.patches)
    return {precision: common | {"precision": precision} for precision in accepted(cfg.precision)}


def _making(settings: Row, inputs: Mapping[str, str]) -> Provenance:
    """What a shard made so carries."""
    mark = fingerprint(step=STEP, version=version_of(STEP), settings=settings, inputs=inputs)
    return Provenance(STEP, version_of(STEP), mark, settings, inputs)


def _jobs(works: Iterable[_Work], cfg: EmbedPatchesSettings) -> Iterator[SlideJob | FailedJob]:
    """What the reader has to know about slides; what fails here ends a slide, and no other."""
    for work in works:
        try:
            job: SlideJob | FailedJob = _job(work, cfg)
        except Exception as error:  # noqa: BLE001 (raised where the slide's regions are asked for)
            job = FailedJob(work.row["slide_id"], error)
        yield job


def _job(work: _Work, cfg: EmbedPatchesSettings) -> SlideJob:
    """What the reader has to know about a slide."""
    manifest, plan = read_table(work.manifest, MANIFEST), read_plan(work.row, cfg.tile.patch_px)
    choice = _choice(manifest, cfg)
    places = np.stack([manifest[axis].to_numpy() for axis in "xy"], 1)
    corners = places[:: cfg.tile.grid**2]  # the first patch of each region
    first = places[choice.first] if len(choice.first) else None
    slide_id, grid = work.row["slide_id"], cfg.tile.grid
    return SlideJob(slide_id, work.path, plan, grid, corners, choice.wanted, first)


def _choice(manifest: pa.Table, cfg: EmbedPatchesSettings) -> Choice:
    """Which patches of a slide are embedded."""
    tissue, inside = (manifest[name].to_numpy() for name in ("tissue", "inside"))
    return choose(tissue, inside, cfg.tile.grid**2, cfg.patches.background)


def _watched(
    regions: Iterable[RegionPixels], work: _Work, progress: Progress, reader: RegionReader
) -> Iterator[RegionPixels]:
    """The regions, with a line of progress now and then."""
    for region in regions:
        yield region
        count = 0 if region.region == FIRST else len(region.readable)
        progress.add(count, work.row["slide_id"], reader.waited_s, len(region.pixels))


def _refuse_another_slide(work: _Work) -> None:
    """Refuse vectors of a file that is not the one whose fingerprint they would carry.

    Raises:
        SlideError: `missing` or `unreadable`, if the slide was changed after it was segmented.
        HiptError: if segment's file has gone, so that nobody can tell.
    """
    if identity(work.path) != read_provenance(work.mask).inputs["slide"]:
        raise SlideError(
            "unreadable", f"{work.path}: has changed since it was segmented; run again"
        )


def _counted(shard: PatchEmbeddings, cfg: EmbedPatchesSettings) -> Row:
    """A slide's counts.

    Raises:
        SlideError: `damaged`, if too many of its tissue patches could not be read.
    """
    batches = [shard.region(i) for i in range(len(shard))]
    readable, computed = (
        np.concatenate([b[name].to_numpy(zero_copy_only=False) for b in batches])
        for name in ("readable", "computed")
    )
    if cfg.patches.features is not None:
        readable[:] = True  # nobody failed to read what was not imported
    tissue = np.concatenate([b["tissue"].to_numpy() for b in batches]) >= cfg.tile.min_tissue
    lost, total = int((tissue & ~readable).sum()), int(tissue.sum())
    if lost > cfg.patches.max_unreadable * total:
        raise SlideError(
            "damaged",
            f"{lost} of {total} tissue patches lie on tiles that cannot be decoded "
            f"(embed.patches.max_unreadable is {cfg.patches.max_unreadable:.0%})",
        )
    return {
        "regions": len(shard),
        "patches": len(readable),
        "computed_patches": int(computed.sum()),
        "unreadable_patches": int((~readable).sum()),
        "dim": shard.dim,
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: the tile index, the settings, the index to make."""
    parser = step_parser(STEP, __doc__)
    parser.add_argument("--tile", type=Path, required=True, help="the batch's tile index")
    parser.add_argument("--threads", type=int, default=1, help="threads to read and compute with")
    add_reader(parser)
    add_device(parser)
    add_engine(parser)
    args = parser.parse_args(argv)
    cfg = read_settings(STEP, EmbedPatchesSettings, args.cfg)
    given = reader_of(args), granted_of(args), engine_of(args)
    run(args.tile, args.out, cfg, args.threads, *given)
