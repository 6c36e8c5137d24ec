"""Heatmaps of whole slides from what is on disk: where stage 2 and the tasks' models look."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from hipt.cohort.batch_run import BatchRun, Row, kept_facts, read_index
from hipt.cohort.headers import read_plan
from hipt.cohort.sheet import read_sheet
from hipt.config.command_line import read_settings, step_parser
from hipt.config.step_settings import AttendSettings
from hipt.embedding.region_means import tissue_shares
from hipt.embedding.weights_files import load_patch_encoder, load_region_encoder
from hipt.embedding.weights_identity import weights_identity
from hipt.geometry.lattice import lattice, windows
from hipt.heatmaps.cells import RegionAt, cell_maps
from hipt.heatmaps.chosen import read_mapped
from hipt.heatmaps.components import principal_components
from hipt.heatmaps.draw import draw, draw_closer
from hipt.heatmaps.scales import AVERAGE
from hipt.heatmaps.table import SlideMaps, companions, listed, write_maps
from hipt.layout import Results
from hipt.nn.attribution import contributions, mean_contributions, window_attention
from hipt.nn.encoders import PatchEncoder
from hipt.nn.vit import ViT
from hipt.registry import version_of
from hipt.store.provenance import Provenance, fingerprint
from hipt.store.schemas import MANIFEST
from hipt.store.tables import PatchEmbeddings, read_table
from hipt.tasks.views import TaskView, task_views

log = logging.getLogger(__name__)

STEP = "attend"

Floats = npt.NDArray[np.float32]


def run(
    regions: Path, out: Path, cfg: AttendSettings, chosen: Collection[str] | None, threads: int
) -> None:
    """Map the chosen slides of one batch (None: all): tables and pictures, then its index."""
    torch.set_num_threads(1)  # more would add up in another order
    results = Results.of_index(out)
    rows = [r for r in _facts(regions, results) if chosen is None or r["slide_id"] in chosen]
    viewer = _Viewer(cfg, results, threads)
    with BatchRun(out, len(rows), cfg.on_slide_error) as batch:
        for row in rows:
            if row["status"] != "ok":
                batch.carry(row)
                continue
            viewer.load(row["patches_dim"])  # what fails here is no slide's fault
            with batch.slide(row["slide_id"]) as facts:
                facts |= viewer.facts(row)


def _facts(regions: Path, results: Results) -> Iterator[Row]:
    """What the steps so far say of the batch's slides; the verdict is the last step's."""
    steps = ("segment", "tile", "embed_patches")
    known: dict[str, Row] = {}
    for step in steps:
        for row in read_index(results.index(step, regions.stem)):
            known.setdefault(row["slide_id"], {}).update(row)
    for row in read_index(regions):
        patches = known.get(row["slide_id"], {})
        made = {f"patches_{name}": patches.get(name) for name in ("fingerprint", "dim")}
        yield {**patches, **row, **made}


class _Viewer:
    """The networks that are looked into, loaded when there is a slide."""

    def __init__(self, cfg: AttendSettings, results: Results, threads: int) -> None:
        self._cfg, self._results, self._threads = cfg, results, threads
        self._mean = cfg.regions.pool == "mean"
        self._settings: Row = cfg.regions.model_dump(exclude={"weights", "random"})
        self._settings |= {"grid": cfg.tile.grid, "shifts": cfg.shifts, "cells": cfg.cells}
        self._weights = weights_identity("embed.regions", cfg.regions, results.digests)
        self._in_dim = 0

    @cached_property
    def _model(self) -> ViT:
        model = load_region_encoder(self._cfg.regions, self._in_dim)
        return model.requires_grad_(requires_grad=False)  # gradients are of inputs alone

    @cached_property
    def _views(self) -> Sequence[TaskView]:
        viewed = self._cfg.viewed
        return list(task_views(viewed, self._results.slides)) if viewed else []

    def load(self, in_dim: int) -> None:
        """Load the networks, for patch vectors of the first slide's width.

        Raises:
            HiptError: if their weights or the fits of the tasks cannot be loaded.
        """
        self._in_dim = self._in_dim or in_dim
        _ = self._views if self._mean else (self._model, self._views)
        if self._cfg.cells:
            _ = self._encoder, self._paths

    def facts(self, row: Row) -> Row:
        """A slide's facts: its files are kept if they are the right ones, else made."""
        slide_id = row["slide_id"]
        views = [view for view in self._views if view.knows(slide_id)]
        inputs = {"patches": row["patches_fingerprint"], "weights": self._weights}
        inputs |= {view.name: view.digest(slide_id) for view in views}
        settings = self._settings
        mark = fingerprint(step=STEP, version=version_of(STEP), settings=settings, inputs=inputs)
        shard = self._results.shard(STEP, slide_id)
        before = listed(shard)
        kept = kept_facts(shard, mark, before)
        if kept is not None:
            return kept
        maps = self._maps(row, views)
        draw(maps, row, self._results)
        closer = self._look_closer(row, maps, self._results.maps(slide_id))
        made: Row = {"fingerprint": mark, "regions": row["regions"], "maps": list(maps.maps)}
        made |= {"patches": len(maps.attention), "heads": maps.attention.shape[1]}
        made |= {"closer": closer}
        software = {"torch": torch.__version__, "device": "cpu", "precision": "fp32"}
        provenance = Provenance(STEP, version_of(STEP), mark, settings, inputs, made, software)
        write_maps(shard, maps, provenance)
        for path in set(before) - set(companions(shard, made)):
            path.unlink(missing_ok=True)  # a map that is asked for no more
        return made

    def _maps(self, row: Row, views: Sequence[TaskView]) -> SlideMaps:
        slide_id, grid = row["slide_id"], self._cfg.tile.grid
        manifest = read_table(self._results.shard("tile", slide_id), MANIFEST)
        embeddings = PatchEmbeddings(self._results.shard("embed_patches", slide_id))
        vectors, shares = _vectors(embeddings), _shares(embeddings)
        computed = pa.chunked_array(
            [embeddings.region(i)["computed"] for i in range(len(embeddings))]
        )
        manifest = manifest.append_column(
            pa.field("computed", pa.bool_(), nullable=False), computed
        )
        maps: dict[str, Floats]
        if self._mean:
            attention = vectors.new_zeros(len(vectors), 0)
            maps = principal_components(vectors, shares.flatten())
        else:
            corners = np.stack([manifest["x"].to_numpy(), manifest["y"].to_numpy()], 1)
            places = lattice(corners, row["read_px"])
            moved = range(0, grid, grid // self._cfg.shifts)
            squares = torch.from_numpy(np.concatenate([windows(places, grid, s) for s in moved]))
            attention = window_attention(self._model, vectors, squares)  # (N, H)
            maps = {AVERAGE: attention.mean(1).numpy()}
        ends: dict[str, tuple[str, str]] = {}
        for view in views:
            maps |= self._attended(view, slide_id, attention)
            for answer, gradient in view.gradients(slide_id).items():
                name = f"{view.name}.contribution{answer}"
                ends[name] = view.ends(answer)
                maps[name] = self._contributions(vectors, shares, gradient).numpy()
        return SlideMaps(slide_id, manifest, attention.numpy(), maps, ends)

    def _contributions(self, vectors: Tensor, shares: Tensor, gradient: Tensor) -> Tensor:
        """(N,) how far each patch moves an answer, through stage 2 or the mean."""
        if self._mean:
            return mean_contributions(vectors, shares, gradient)
        return contributions(self._model, vectors, self._regions(len(vectors)), gradient)

    def _attended(self, view: TaskView, slide_id: str, attention: Tensor) -> dict[str, Floats]:
        """Where a slide model looks: among regions, and together with stage 2; none without."""
        shares = view.attention(slide_id)
        if shares is None:
            return {}
        patches = self._regions(len(attention))  # (R, T)
        maps = {f"{view.name}.region": shares.repeat_interleave(patches.shape[1]).numpy()}
        if self._mean:
            return maps
        inside = attention.mean(1)[patches]  # (R, T)
        product = shares[:, None] * inside / inside.sum(1, keepdim=True)
        return maps | {f"{view.name}.product": product.flatten().numpy()}

    def _regions(self, patches: int) -> Tensor:
        """(R, T) the patches of each region."""
        return torch.arange(patches).view(-1, self._cfg.tile.grid**2)

    def _look_closer(self, row: Row, slide_maps: SlideMaps, folder: Path) -> list[int]:
        """Draw the cells of some regions; which."""
        if not self._cfg.cells:
            return []
        order = np.argsort(-self._order_of_regions(slide_maps), kind="stable")
        chosen = [int(region) for region in order[: self._cfg.cells]]
        grid, plan = self._cfg.tile.grid, read_plan(row, self._cfg.tile.patch_px)
        for region in chosen:
            x, y = (slide_maps.manifest[axis][region * grid**2].as_py() for axis in "xy")
            at = RegionAt(slide_maps.slide_id, self._paths[slide_maps.slide_id], plan, grid, x, y)
            maps = cell_maps(self._encoder, self._model, at, self._cfg.shifts, self._threads)
            path = folder / f"region_{region}.png"
            side_um = plan.read_mpp * plan.patch_px * grid
            draw_closer(maps, path, f"{slide_maps.slide_id}, region {region}", side_um)
            log.info("%s: region %d looked at closer", slide_maps.slide_id, region)
        return chosen

    def _order_of_regions(self, maps: SlideMaps) -> Floats:
        """(R,) the attention of the first slide model that has some, else tissue."""
        of_regions = (values for name, values in maps.maps.items() if name.endswith(".region"))
        tissue = maps.manifest["tissue"].to_numpy()
        values = next(of_regions, tissue)
        return np.asarray(values.reshape(-1, self._cfg.tile.grid**2).mean(1))

    @cached_property
    def _encoder(self) -> PatchEncoder:
        return load_patch_encoder(self._cfg.patches).requires_grad_(requires_grad=False)

    @cached_property
    def _paths(self) -> Mapping[str, Path]:
        """The file of every slide."""
        rows = read_sheet(Path(self._cfg.sheet), self._cfg.root, missing=self._cfg.missing)
        return {row.slide_id: row.path for row in rows}


def _vectors(embeddings: PatchEmbeddings) -> Tensor:
    """(N, C) all patches of a slide."""
    grids = [embeddings.grid(i) for i in range(len(embeddings))]
    return torch.from_numpy(np.concatenate(grids).astype(np.float32))


def _shares(embeddings: PatchEmbeddings) -> Tensor:
    """(R, T) what each patch counts in the mean of its region."""
    return torch.from_numpy(
        np.stack([tissue_shares(embeddings, i) for i in range(len(embeddings))])
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: the embed_regions index, the settings, the slides, the index to make."""
    parser = step_parser(STEP, __doc__)
    parser.add_argument("--regions", type=Path, required=True, help="the embed_regions index")
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--slides", nargs="*", help="slide_ids; without: all of the batch")
    chosen.add_argument("--listed", type=Path, help="a CSV with the slide_ids of all batches")
    parser.add_argument("--threads", type=int, default=1, help="threads to read pixels with")
    args = parser.parse_args(argv)
    cfg = read_settings(STEP, AttendSettings, args.cfg)
    slides = read_mapped(args.listed) if args.listed else args.slides
    run(args.regions, args.out, cfg, slides, args.threads)
