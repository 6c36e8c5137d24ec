"""Tissue masks, contours and overviews of a batch of slides."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hipt.config import SegmentSettings
from hipt.core.geometry import Mpp, resolve_mpp
from hipt.core.tissue import contours, find_tissue
from hipt.errors import HiptError, SlideError
from hipt.io.batches import in_batch, read_ledger
from hipt.io.images import (
    draw_contours,
    read_annotation_mask,
    shrink,
    write_contours,
    write_jpeg,
    write_mask,
)
from hipt.io.indices import BatchRun, kept_facts
from hipt.io.results import Results
from hipt.io.settings import read_settings
from hipt.io.sheets import SlideRow, read_sheet
from hipt.io.shards import KEY, Provenance, fingerprint
from hipt.io.slides import Slide, SlideInfo, identity, open_slide
from hipt.steps import VERSION

log = logging.getLogger(__name__)


def run(out: Path, cfg: SegmentSettings) -> None:
    """Segment the slides of one batch: mask, contours, overview each; then the batch's index."""
    results = Results.of_index(out)
    rows = in_batch(read_ledger(results.batches), out.stem, read_sheet(Path(cfg.sheet), cfg.root))
    with BatchRun(out, len(rows), cfg.on_slide_error) as batch:
        for row in rows:
            with batch.slide(row.slide_id) as facts:
                _segment(row, results, cfg, facts)
                if not facts["tissue_mm2"]:
                    raise SlideError("no_tissue", "no tissue was found on the slide")


def _segment(row: SlideRow, results: Results, cfg: SegmentSettings, facts: dict[str, Any]) -> None:
    """One slide: keep its shard if it is the right one, else make it; fill in the facts."""
    if row.exclude:
        raise SlideError("excluded", "the sheet excludes it")
    with open_slide(row.path) as slide:
        facts |= _header(slide.info)
        mpp = _mpp(row, slide.info, cfg)
        facts |= {"mpp": mpp.value, "mpp_source": mpp.source, "note": mpp.note}
        made_from = {
            "slide": identity(row.path),
            "mask": identity(row.mask) if row.mask else "",
            "mpp": repr(mpp.value),
        }
        shard = results.shard("segment", row.slide_id)
        mark = fingerprint(
            step="segment",
            version=VERSION["segment"],
            settings=cfg.segment.model_dump(),
            made_from=made_from,
        )
        others = [results.contours(row.slide_id), results.overview("segment", row.slide_id)]
        kept = kept_facts(shard, mark, others)
        if kept is not None:
            facts |= kept
            return
        ...
