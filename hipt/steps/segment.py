"""Tissue masks, contours and overviews of a batch of slides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hipt.cohort.batch_run import BatchRun, Row, kept_facts
from hipt.cohort.headers import header_note, joined, slide_mpp
from hipt.cohort.ledger import in_batch, read_ledger
from hipt.cohort.same_content import content_mark
from hipt.cohort.sheet import SlideRow, read_sheet
from hipt.config.command_line import read_settings, step_parser
from hipt.config.step_settings import SegmentSettings
from hipt.errors import HiptError, SlideError
from hipt.exchange.annotations import OutsideMask, read_outside_mask, write_contours
from hipt.exchange.features_alone import FeaturesAlone, slide_identity, slide_or_features
from hipt.geometry.frame import Frame
from hipt.geometry.tissue import Tissue, contours, find_tissue, tissue_mm2
from hipt.layout import Results
from hipt.pictures.drawing import draw_contours, shrunk
from hipt.registry import version_of
from hipt.slides.companions import with_companions
from hipt.slides.identity import identity
from hipt.slides.pixel_kind import nothing_found, picture_note
from hipt.slides.slide import Slide, SlideInfo
from hipt.store.images import write_jpeg, write_mask
from hipt.store.provenance import KEY, Provenance, fingerprint

STEP = "segment"

OVERVIEW_PX = 1600
"""Longest side of an overview."""

NOTED_INK = 0.05
"""Above this share of what is stained, ink is worth a note."""


def run(out: Path, cfg: SegmentSettings) -> None:
    """Segment the slides of one batch: mask, contours, overview each; then the batch's index."""
    results = Results.of_index(out)
    rows = in_batch(
        read_ledger(results.batches),
        out.stem,
        read_sheet(Path(cfg.sheet), cfg.root, missing=cfg.missing),
    )
    with BatchRun(out, len(rows), cfg.on_slide_error) as batch:
        for row in rows:
            with batch.slide(row.slide_id) as facts:
                if row.exclude:
                    raise SlideError("excluded", "the sheet excludes it")
                with slide_or_features(row, cfg.features) as slide:
                    facts |= _header(slide.info)
                    own, there = slide_identity(slide), isinstance(slide, Slide)
                    facts["content"] = with_companions(row.path, own) if there else ""
                    facts |= _segment(slide, row, own, facts["content"], results, cfg)
                if not facts["tissue_mm2"]:
                    raise SlideError("no_tissue", facts["reason"] or nothing_found(facts["note"]))


def _segment(
    slide: Slide | FeaturesAlone,
    row: SlideRow,
    own: str,
    content: str,
    results: Results,
    cfg: SegmentSettings,
) -> Row:
    """A slide's facts: its files are kept if they are the right ones, else made.

    Args:
        slide: the open slide, or what stands for it.
        row: its row of the sheet.
        own: digest of its file.
        content: digest of its content, files beside it included.
        results: where its files go.
        cfg: the settings.
    """
    mpp = slide_mpp(slide.info, row, cfg.default_mpp)
    settings = cfg.segment.model_dump()
    inputs = {"slide": own, "mpp": repr(mpp.value)}
    mask_digest = _mask_identity(row.mask) if row.mask else ""
    inputs["mask"] = f"{mask_digest} {cfg.mask_origin} {cfg.pictures_show}" if row.mask else ""
    mark = fingerprint(step=STEP, version=version_of(STEP), settings=settings, inputs=inputs)
    shard, outline = results.shard(STEP, row.slide_id), results.contours(row.slide_id)
    overview = results.overview(STEP, row.slide_id)
    row_facts: Row = {"mpp": mpp.value, "mpp_source": mpp.source}
    row_facts["content"] = content_mark(content, mask_digest)
    kept = kept_facts(shard, mark, [outline, overview])
    if kept is not None:
        return kept | row_facts | {"note": _note(header_note(slide.info, mpp), kept)}
    reduction = max(1.0, cfg.segment.mask_mpp / mpp.value)
    thumbnail, scale, most_opaque = slide.thumbnail(reduction)
    seen, there = "", isinstance(slide, Slide)
    if there:
        seen = picture_note(thumbnail, slide.info.pixels, most_opaque, row.mask is not None)
    outside = _outside_mask(thumbnail, scale, slide.info, row, cfg)
    if outside is not None:
        tissue = Tissue(outside.mask, 0.0)
    elif isinstance(slide, FeaturesAlone):
        tissue = Tissue(slide.mask((len(thumbnail), thumbnail.shape[1]), scale), 0.0)
    else:
        tissue = find_tissue(thumbnail, mpp.value * scale, cfg.segment)
    mask = tissue.mask
    facts: Row = {
        "reason": outside.reason if outside else "",
        "note": joined(seen, outside.note if outside else ""),
        "fingerprint": mark,
        "mask_source": "file" if row.mask else "found" if there else "features",
        "mask_mpp": mpp.value * scale,
        "tissue_mm2": tissue_mm2(mask, mpp.value * scale),
        "tissue_fraction": float(mask.mean()),
        "ink_fraction": tissue.ink_fraction,
    }
    shapes, picture = contours(mask), shrunk(thumbnail, OVERVIEW_PX)
    write_jpeg(overview, draw_contours(picture, shapes, picture.shape[1] / mask.shape[1]))
    write_contours(outline, shapes, scale, slide.info.bounds)
    provenance = Provenance(STEP, version_of(STEP), mark, settings, inputs, facts)
    write_mask(shard, mask, {KEY: provenance.to_json()})
    return facts | row_facts | {"note": _note(header_note(slide.info, mpp), facts)}


def _note(of_header: str, facts: Row) -> str:
    """Remarks on a slide: its header, picture, mask, and stain that may have been taken as ink."""
    ink, taken = facts["ink_fraction"], ""
    if ink > NOTED_INK:
        taken = (
            f"{ink:.0%} of what is stained was taken as pen marks and left out; if it is stain, "
            "name a mask in the sheet or set segment.ink_od to 9"
        )
    return joined(of_header, facts["note"], taken)


def _header(info: SlideInfo) -> Row:
    """What the index says of a slide's header."""
    return {
        "note": header_note(info),
        "vendor": info.vendor,
        "objective": info.objective,
        "width_px": info.width_px,
        "height_px": info.height_px,
        "downsamples": list(info.downsamples),
        "bounds": list(info.bounds),
    }


def _outside_mask(
    thumbnail: npt.NDArray[np.uint8],
    scale: float,
    info: SlideInfo,
    row: SlideRow,
    cfg: SegmentSettings,
) -> OutsideMask | None:
    """The sheet's mask; None where it names none."""
    if row.mask is None:
        return None
    size = info.width_px, info.height_px
    frame = Frame(*size, info.bounds, cfg.mask_origin, cfg.pictures_show)
    height, width = thumbnail.shape[:2]
    try:
        return read_outside_mask(row.mask, (height, width), scale, frame)
    except HiptError as error:
        raise SlideError("unreadable", f"its mask cannot be used: {error}") from None


def _mask_identity(mask: Path) -> str:
    """A digest of the sheet's mask file."""
    try:
        return identity(mask)
    except SlideError as error:
        raise SlideError("unreadable", f"its mask cannot be used: {error.reason}") from None


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: the settings, the index to make."""
    args = step_parser(STEP, __doc__).parse_args(argv)
    run(args.out, read_settings(STEP, SegmentSettings, args.cfg))
