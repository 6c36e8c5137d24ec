"""How well heatmaps find what was labelled: per slide, the AUC of each map among its patches."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from hipt.cohort.sheet import read_sheet
from hipt.config.command_line import read_settings, step_parser
from hipt.config.recorded import settings_of
from hipt.config.step_settings import AgreementSettings
from hipt.errors import HiptError
from hipt.geometry.label_map import UNLABELLED
from hipt.heatmaps.table import read_maps
from hipt.layout import Results
from hipt.registry import version_of
from hipt.stats.metrics import auc
from hipt.store.provenance import made_by
from hipt.store.schemas import AGREEMENT
from hipt.store.shard import files_mark
from hipt.store.tables import Row, write_rows
from hipt.tasks.labels.label_maps import target_maps
from hipt.tasks.labels.probe_items import patch_counts, slides_in_order

log = logging.getLogger(__name__)

STEP = "agreement"

MOSTLY = 0.5
"""A patch is positive if more than this share of its labelled pixels is of the target."""


def run(slides: Path, out: Path, cfg: AgreementSettings) -> None:
    """Write the agreement of every map with the label maps.

    Slides without a positive patch, or with nothing else, have no AUC and are left out.

    Raises:
        HiptError: if no slide has both a map and a label map, or a label map is damaged.
    """
    sheet = read_sheet(Path(cfg.sheet), cfg.root, missing=cfg.missing)
    results = Results(slides.parent)
    maps = target_maps(sheet, cfg.labels, cfg.target)
    shown = [
        row
        for row in slides_in_order(slides)
        if row["slide_id"] in maps and results.shard("attend", row["slide_id"]).exists()
    ]
    rows = [line for row in shown for line in _lines(row, maps[row["slide_id"]], results, cfg)]
    if not rows:
        raise HiptError(
            f"attend.labels: no slide with heatmaps has both target ({list(cfg.target)}) and other "
            f"patches on its map in {cfg.labels}; name more slides in attend.slides"
        )
    inputs = {
        "maps": files_mark(results.shard("attend", row["slide_id"]) for row in shown),
        "labels": files_mark(maps[row["slide_id"]] for row in shown),
    }
    made = made_by((STEP, version_of(STEP)), settings_of(cfg), inputs)
    write_rows(out, rows, AGREEMENT, made)
    table = pl.DataFrame(rows)
    for name, value in table.group_by("map", maintain_order=True).agg(pl.mean("auc")).iter_rows():
        log.info("%s: mean AUC %.3f", name, value)


def _lines(row: Row, path: Path, results: Results, cfg: AgreementSettings) -> Iterator[Row]:
    """The lines of one slide with its label map."""
    counts = patch_counts(row, path, results, cfg.pictures_show)  # (N, 256)
    counts[:, UNLABELLED] = 0
    labelled = counts.sum(1)
    of_target = counts[:, list(cfg.target)].sum(1)
    inside = labelled > 0
    positive = (of_target > MOSTLY * labelled)[inside]
    if positive.all() or not positive.any():
        return
    slide = read_maps(results.shard("attend", row["slide_id"]))
    for name, values in {**slide.maps, **slide.heads}.items():
        score = values[inside].astype(np.float64)
        yield {
            "slide_id": row["slide_id"],
            "case_id": row["case_id"],
            "map": name,
            "auc": auc(positive.astype(np.int64), np.stack([-score, score], 1)),
            "positive": int(positive.sum()),
            "patches": len(positive),
        }


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: the slide table, the settings, the table to make."""
    parser = step_parser(STEP, __doc__)
    parser.add_argument("--slides", type=Path, required=True, help="the slide table")
    args = parser.parse_args(argv)
    run(args.slides, args.out, read_settings(STEP, AgreementSettings, args.cfg))
