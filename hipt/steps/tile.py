"""Manifests of regions and patches for a batch of slides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hipt.core.geometry import ReadPlan
from hipt.core.grid import Grid, TissueMask, region_grid
from hipt.io.headers import slide_plan
from hipt.io.images import draw_grid, read_mask, read_rgb, write_jpeg
from hipt.io.indices import BatchRun, Row, kept_facts, read_index
from hipt.io.results import Results
from hipt.io.settings import read_settings, step_parser
from hipt.io.shards import Provenance, fingerprint
from hipt.io.tables import MANIFEST, write_table
from hipt.steps import VERSION
from hipt.told import TileSettings

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
    settings = cfg.model_dump(exclude={"on_slide_error"})
    inputs = {"mask": row["fingerprint"]}
    mark = fingerprint(step=STEP, version=VERSION[STEP], settings=settings, inputs=inputs)
    shard, overview = results.shard(STEP, slide_id), results.overview(STEP, slide_id)
    kept = kept_facts(shard, mark, [overview])
    if kept is not None:
        return kept
    plan = slide_plan(row["mpp"], row["downsamples"], cfg.mpp, cfg.mpp_tolerance, cfg.tile.patch_px)
    mask = read_mask(results.shard("segment", slide_id))
    scale = row["mask_mpp"] / row["mpp"]
    grid = region_grid(TissueMask(mask, scale, scale), tuple(row["bounds"]), plan, cfg.tile)
    facts = _facts(grid, plan, cfg) | {"fingerprint": mark}
    _draw(results, slide_id, row, grid, plan.patch_read_px * cfg.tile.grid)
    columns = {"slide_id": [slide_id] * facts["patches"], **grid.columns}
    provenance = Provenance(STEP, VERSION[STEP], mark, settings, inputs, facts)
    write_table(shard, columns, MANIFEST, provenance)
    return facts


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
