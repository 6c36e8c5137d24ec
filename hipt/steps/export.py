"""Embeddings in the files of other tools: TRIDENT, CLAM, STAMP, and HIPT's own bags."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from hipt.cohort.batch_run import Row
from hipt.cohort.failures import OneSlide, refuse_many
from hipt.cohort.sheet import read_sheet
from hipt.config.command_line import read_settings, step_parser
from hipt.config.step_settings import ExportSettings
from hipt.errors import HiptError
from hipt.exchange.clam_ids import misread_ids, warning_of
from hipt.exchange.formats import FORMATS
from hipt.exchange.lists import write_lists
from hipt.exchange.slide import ExportedSlide, Scale, encoder_name
from hipt.exchange.tree import Entry, ExportTree
from hipt.layout import Results
from hipt.progress import Progress
from hipt.registry import version_of
from hipt.store.provenance import fingerprint
from hipt.store.schemas import EXPORT, SLIDES
from hipt.store.shard import read_provenance
from hipt.store.tables import PatchEmbeddings, read_table, write_rows

log = logging.getLogger(__name__)

STEP = "export"

MADE_FROM = ("tile", "embed_patches", "embed_regions")
"""The steps whose shards are exported."""

NOTHING = Entry("", {}, {"patches": 0, "regions": 0})
"""What was exported of a slide that cannot be."""


def run(slides: Path, out: Path, name: str, cfg: ExportSettings) -> None:
    """Bring one format's tree up to date with the shards, then list what lies in it.

    A slide whose files are there and of the right fingerprint is kept; files of slides that are no
    longer exported are deleted. A slide that cannot be exported is a line with the reason.
    """
    results = Results(slides.parent)
    tree = ExportTree(results.export(name))
    rows: list[Row] = read_table(slides, SLIDES).to_pylist()
    exporter = _Exporter(name, tree, results, cfg, _dim(rows, results))
    progress, lines = Progress(len(rows), "slides"), list[Row]()
    for row in rows:
        if exporter.takes(row):
            trace = results.traceback(f"{STEP}/{out.stem}", row["slide_id"])
            at_work = OneSlide(row["slide_id"], trace, out, cfg.on_slide_error == "stop")
            try:
                lines.append(_line(row["slide_id"], exporter.entry(row)))
            except Exception as error:  # noqa: BLE001 (no slide ends the others)
                lines.append(_line(row["slide_id"], NOTHING) | at_work.ended(error))
                log.warning("%s: %s", row["slide_id"], lines[-1]["reason"])
            else:
                at_work.succeeded()
        progress.add(1, row["slide_id"])
    refuse_many(lines, f"export {name} failed")
    exported = {line["slide_id"] for line in lines if line["status"] == "ok"}
    gone = tree.remove_others(exported)
    sheet = read_sheet(Path(cfg.sheet), cfg.root, cfg.case_from, cfg.missing)
    listed_rows = [row for row in sheet if row.slide_id in exported]
    write_lists(name, tree.root, listed_rows)
    misread = misread_ids(listed_rows) if name == "clam" else {}
    if misread:
        log.warning("%s: %s", name, warning_of(misread))
    filled = _filled_notes(name, [row for row in rows if row["slide_id"] in exported], cfg)
    if filled:
        log.warning("%s: %d slides, as %s: %s", name, len(filled), *next(iter(filled.items())))
    noted = [line | {"note": _note(line["slide_id"], misread, filled)} for line in lines]
    write_rows(out, noted, EXPORT)
    listed = {line["slide_id"] for line in lines}
    left = Counter(row["status"] for row in rows if row["slide_id"] not in listed)
    left["failed"] += len(lines) - len(exported)
    log.info("%s: %d slides, %d of them written now", name, len(exported), exporter.written)
    if +left:
        log.info("left out: %s", ", ".join(f"{n} {status}" for status, n in (+left).items()))
    if gone:
        log.info("deleted files of %d slides that are no longer exported", len(gone))


class _Exporter:
    """Writes the slides of one format."""

    def __init__(
        self, name: str, tree: ExportTree, results: Results, cfg: ExportSettings, dim: int | None
    ) -> None:
        self._name, self._tree, self._results, self._dim = name, tree, results, dim
        encoder, least = encoder_name(cfg.patches, name, dim or 0), cfg.min_patch_tissue
        self._scale = Scale(cfg.mpp, cfg.tile.patch_px, encoder, dim or 0, least)
        self.written = 0

    def takes(self, row: Row) -> bool:
        """Whether a slide has files in this format."""
        if row["status"] == "no_tissue":
            return FORMATS[self._name].keeps_empty and self._dim is not None
        return bool(row["status"] == "ok")

    def entry(self, row: Row) -> Entry:
        """A slide's entry: its files are kept if they are the right ones, else written."""
        slide = self._slide(row)
        kept = self._tree.kept(slide.slide_id, slide.fingerprint)
        if kept is not None:
            return kept
        self._tree.remove(slide.slide_id)
        files, patches = FORMATS[self._name].write(self._tree.root, slide, self._scale)
        self.written += 1
        counts = {"patches": patches, "regions": row["regions"] or 0}
        return self._tree.remember(slide.slide_id, slide.fingerprint, files, counts)

    def _slide(self, row: Row) -> ExportedSlide:
        """A slide as the format's writer needs it."""
        slide_id, tissue = row["slide_id"], row["status"] == "ok"
        shards = {s: self._results.shard(s, slide_id) for s in MADE_FROM} if tissue else {}
        made = {step: read_provenance(shard) for step, shard in shards.items()}
        place = {name: row[name] for name in ("mpp", "width_px", "height_px", "bounds")}
        if tissue:
            place |= {"level": row["read_level"], "downsample": row["downsample"]}
            place |= {"read_px": made["tile"].facts["read_px"]}
        else:
            side = round(self._scale.patch_px * self._scale.mpp / row["mpp"])
            place |= {"level": 0, "downsample": 1.0, "read_px": side}
        inputs = {step: provenance.fingerprint for step, provenance in made.items()}
        facts = {"format": self._name, "scale": vars(self._scale), "place": place}
        return ExportedSlide(
            slide_id=slide_id,
            **place,
            fingerprint=fingerprint(step=STEP, version=version_of(STEP), inputs=inputs, **facts),
            patches=shards.get("embed_patches"),
            regions=self._results.shard("embed_regions", slide_id),
            contours=self._results.contours(slide_id),
        )


def _filled_notes(name: str, rows: Sequence[Row], cfg: ExportSettings) -> dict[str, str]:
    """By slide, what becomes of patches whose vectors were not computed; none where it has none.

    Args:
        name: the format.
        rows: of the slide table, of slides that are exported.
        cfg: the settings.
    """
    if cfg.patches.features is not None or (name != "hipt" and cfg.min_patch_tissue > 0):
        return {}
    fate = "have the mean of others" if name == "hipt" else "have no vector of their own: left out"
    return {
        row["slide_id"]: f"{filled:,} of {row['patches']:,} patches {fate} (background: sample)"
        for row in rows
        if (filled := (row["patches"] or 0) - (row["computed_patches"] or 0))
    }


def _note(slide_id: str, *notes: Mapping[str, str]) -> str:
    """All that is noted of a slide."""
    return "; ".join(of_slides[slide_id] for of_slides in notes if slide_id in of_slides)


def _dim(rows: Sequence[Row], results: Results) -> int | None:
    """Width of a patch's vector, from the first slide that tells; None where none does."""
    for row in rows:
        if row["status"] == "ok":
            with suppress(HiptError):
                return PatchEmbeddings(results.shard("embed_patches", row["slide_id"])).dim
    return None


def _line(slide_id: str, entry: Entry) -> Row:
    """A slide's line of the list of what was exported."""
    made = {"fingerprint": entry.fingerprint, "files": sorted(entry.sizes)}
    return {"slide_id": slide_id, "status": "ok", "reason": "", **entry.counts, **made}


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: the slide table, the format, the settings, the list to make."""
    parser = step_parser(STEP, __doc__)
    parser.add_argument("--slides", type=Path, required=True, help="the slide table")
    parser.add_argument("--format", choices=tuple(FORMATS), required=True, help="whose files")
    args = parser.parse_args(argv)
    cfg = read_settings(STEP, ExportSettings, args.cfg)
    run(args.slides, args.out, args.format, cfg)
