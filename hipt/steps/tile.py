"""Manifests of regions and patches for a batch of slides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hipt.cohort.batch_run import BatchRun, Row, kept_facts, read_index
from hipt.cohort.headers import slide_plan
from hipt.config.command_line import read_settings, step_parser
from hipt.config.step_settings import TileSettings
from hipt.errors import SlideError
from hipt.exchange.feature_files import FeatureFiles
from hipt.exchange.foreign_features import (
    features_identity,
    read_patches,
    refuse_another_size,
    refuse_no_patch,
)
from hipt.geometry.grid import Grid, region_grid
from hipt.geometry.imported_grid import ImportedGrid, imported_grid
from hipt.geometry.resolution import Mpp, ReadPlan
from hipt.geometry.tissue_mask import TissueMask
from hipt.layout import Results
from hipt.pictures.drawing import draw_grid
from hipt.registry import version_of
from hipt.store.images import read_mask, read_rgb, write_jpeg
from hipt.store.provenance import Provenance, fingerprint
from hipt.store.schemas import MANIFEST
from hipt.store.tables import write_table

STEP = "tile"


def run(segment: Path, out: Path, cfg: TileSettings) -> None:
    """Lay the grid over the slides of one batch: a manifest each, then the batch's index."""
    results = Results.of_index(out)
    rows = read_index(segment)
    with BatchRun(out, len(rows), cfg.on_slide_error) as batch:
        for row in rows:
            if row["status"] != "ok":
                batch.carry(row)
                continue
            with batch.slide(row["slide_id"]) as facts:
                facts |= _tile(row, results, cfg)


def _tile(row: Row, results: Results, cfg: TileSettings) -> Row:
    """A slide's facts: its manifest is kept if it is the right one, else made."""
    slide_id = row["slide_id"]
    settings = cfg.model_dump(exclude={"on_slide_error", "features"})
    inputs = {"mask": row["fingerprint"]}
    if cfg.features is not None:
        inputs["features"] = features_identity(FeatureFiles.named(cfg.features), slide_id)
    mark = fingerprint(step=STEP, version=version_of(STEP), settings=settings, inputs=inputs)
    shard, overview = results.shard(STEP, slide_id), results.overview(STEP, slide_id)
    kept = kept_facts(shard, mark, [overview])
    if kept is not None:
        return kept
    mpp = Mpp(row["mpp"], row["mpp_source"])
    plan = slide_plan(mpp, row["downsamples"], cfg.mpp, cfg.mpp_tolerance, cfg.tile.patch_px)
    if cfg.features is None:
        grid, remark = _grid(row, plan, results, cfg), ""
    else:
        plan, fitted = _imported(row, plan, FeatureFiles.named(cfg.features), cfg)
        grid, remark = fitted.grid, fitted.remark
    facts = _facts(grid, plan, cfg) | {"fingerprint": mark}
    facts |= {"reason": remark} if remark else {}
    _draw(results, slide_id, row, grid, plan.patch_read_px * cfg.tile.grid)
    columns = {"slide_id": [slide_id] * facts["patches"], **grid.columns}
    provenance = Provenance(STEP, version_of(STEP), mark, settings, inputs, facts)
    write_table(shard, columns, MANIFEST, provenance)
    return facts


def _grid(row: Row, plan: ReadPlan, results: Results, cfg: TileSettings) -> Grid:
    """The grid over the tissue that was found.

    Raises:
        SlideError: `no_tissue`, if no region holds any.
    """
    mask = read_mask(results.shard("segment", row["slide_id"]))
    scale, bounds = row["mask_mpp"] / row["mpp"], tuple(row["bounds"])
    grid = region_grid(TissueMask(mask, scale, scale), bounds, plan, cfg.tile)
    if not grid.regions:
        x, y, width, height = bounds
        raise SlideError(
            "no_tissue",
            f"its tissue lies outside of what was scanned (x {x:,} to {x + width:,}, y {y:,} to "
            f"{y + height:,})",
        )
    return grid


def _imported(
    row: Row, plan: ReadPlan, files: FeatureFiles, cfg: TileSettings
) -> tuple[ReadPlan, ImportedGrid]:
    """The grid that fits imported patches, and the plan with their side.

    Raises:
        SlideError: if there are none, they cannot be read, or are of another size than wanted.
    """
    patches = read_patches(files, row["slide_id"])
    side, mpp = patches.side_px, patches.side_px * row["mpp"] / cfg.tile.patch_px
    refuse_another_size(side, row["mpp"], cfg.tile.patch_px * cfg.mpp, cfg.mpp_tolerance)
    refuse_no_patch(len(patches.coords))
    _refuse_elsewhere(patches.coords, side, row)
    level_px = round(side / plan.downsample)
    fitting = replace(plan, patch_level_px=level_px, patch_read_px=side, read_mpp=mpp)
    return fitting, imported_grid(patches.coords, side, tuple(row["bounds"]), cfg.tile)


def _refuse_elsewhere(coords: npt.NDArray[np.int64], side: int, row: Row) -> None:
    """Refuse patches of which none lies on the slide: they are of another one.

    Raises:
        SlideError: `unreadable`, with both places.
    """
    size = np.array([row["width_px"], row["height_px"]])
    if ((coords + side > 0) & (coords < size)).all(1).any():
        return
    (left, top), (right, bottom) = coords.min(0).tolist(), coords.max(0).tolist()
    raise SlideError(
        "unreadable",
        f"its imported features lie outside of the slide: their patches begin at x {left:,} to "
        f"{right:,} and y {top:,} to {bottom:,}, the slide has {size[0]:,} x {size[1]:,} px",
    )


def _facts(grid: Grid, plan: ReadPlan, cfg: TileSettings) -> Row:
    """What the index says of a slide."""
    tissue = grid.columns["tissue"]
    return {
        "read_level": plan.level,
        "downsample": float(plan.downsample),
        "read_mpp": plan.read_mpp,
        "read_px": plan.patch_read_px,
        "regions": grid.regions,
        "patches": len(tissue),
        "tissue_patches": int((tissue >= cfg.tile.min_tissue).sum()),
        "tissue_in_regions": grid.tissue_in_regions,
    }


def _draw(results: Results, slide_id: str, row: Row, grid: Grid, side: int) -> None:
    """The overview with the regions on it."""
    overview = read_rgb(results.overview("segment", slide_id))
    scale = overview.shape[1] / row["width_px"]
    columns = grid.columns
    first = columns["patch"] == 0
    corners = zip(columns["region_x"][first], columns["region_y"][first], strict=True)
    boxes = [(x * scale, y * scale, side * scale, side * scale) for x, y in corners]
    write_jpeg(results.overview(STEP, slide_id), draw_grid(overview, boxes))


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: the segment index, the settings, the index to make."""
    parser = step_parser(STEP, __doc__)
    parser.add_argument("--segment", type=Path, required=True, help="the batch's segment index")
    args = parser.parse_args(argv)
    run(args.segment, args.out, read_settings(STEP, TileSettings, args.cfg))
