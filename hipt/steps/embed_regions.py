"""Stage 2: one vector per region, from the grids of patch vectors on disk."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from hipt.cohort.batch_run import BatchRun, Row, kept_provenance, read_index
from hipt.config.command_line import read_settings, step_parser
from hipt.config.step_settings import EmbedRegionsSettings
from hipt.embedding.devices import choose_precision
from hipt.embedding.precisions import accepted
from hipt.embedding.region_means import region_mean
from hipt.embedding.weights_files import load_region_encoder
from hipt.embedding.weights_identity import weights_identity
from hipt.errors import SlideError
from hipt.layout import Results
from hipt.nn.encoders import embedded
from hipt.nn.vit import ViT
from hipt.registry import version_of
from hipt.store.finite import Broken
from hipt.store.provenance import Provenance, fingerprint
from hipt.store.schemas import region_embeddings_schema
from hipt.store.tables import PatchEmbeddings, vectors, write_table

log = logging.getLogger(__name__)

STEP = "embed_regions"

AT_ONCE = 64
"""Regions in memory; never of two slides."""

MINIBATCH = 8
"""Regions per forward pass."""

DEVICE = torch.device("cpu")
"""A region is 1.7 GFLOP after 3,100 GFLOP of stage 1: no GPU is asked for."""


def run(patches: Path, out: Path, cfg: EmbedRegionsSettings, threads: int) -> None:
    """Embed the regions of one batch: a table of embeddings per slide, then the batch's index."""
    torch.set_num_threads(1)  # each of the threads computes minibatches of its own
    rows = read_index(patches)
    embedder = _Embedder(cfg, Results.of_index(out), threads)
    with BatchRun(out, len(rows), cfg.on_slide_error) as batch:
        for row in rows:
            if row["status"] != "ok":
                batch.carry(row)
                continue
            kept = embedder.kept(row)
            if kept is None:
                embedder.load(row["dim"])  # what fails here is no slide's fault
            with batch.slide(row["slide_id"]) as facts:
                facts |= embedder.made(row) if kept is None else kept


class _Embedder:
    """The model of a batch, loaded when a slide needs it."""

    def __init__(self, cfg: EmbedRegionsSettings, results: Results, threads: int) -> None:
        self._cfg, self._results, self._threads = cfg, results, threads
        self._mean = cfg.regions.pool == "mean"
        plain = {"pool": "mean"}
        self._common: Row = (
            plain if self._mean else cfg.regions.model_dump(exclude={"weights", "random"})
        )
        self._common = self._common | {"grid": cfg.tile.grid}
        self._weights = weights_identity("embed.regions", cfg.regions, results.digests)
        self._precisions = ("fp32",) if self._mean else accepted(cfg.precision)
        self._precision = "fp32" if self._mean else choose_precision(cfg.precision, DEVICE)
        self._in_dim = 0

    @cached_property
    def _model(self) -> ViT:
        return load_region_encoder(self._cfg.regions, self._in_dim)

    @property
    def _dim(self) -> int:
        """Width of a region's vector."""
        return self._in_dim if self._mean else self._cfg.regions.vit_shape.dim

    def load(self, in_dim: int) -> None:
        """Load the model, for patch vectors of the first slide's width.

        Raises:
            HiptError: if its weights cannot be loaded, or are for vectors of another width.
        """
        self._in_dim = self._in_dim or in_dim
        if not self._mean:
            _ = self._model

    def _inputs(self, row: Row) -> dict[str, str]:
        """Digests of what a slide's vectors are made from."""
        return {"patches": row["fingerprint"], "weights": self._weights}

    def _settings(self, precision: str) -> Row:
        """What decides the vectors beside weights and patch vectors."""
        return self._common | {"precision": precision}

    def _mark(self, row: Row, precision: str) -> str:
        """The fingerprint of a slide's shard that was made in a precision."""
        facts = {"settings": self._settings(precision), "inputs": self._inputs(row)}
        return fingerprint(step=STEP, version=version_of(STEP), **facts)

    def kept(self, row: Row) -> Row | None:
        """A slide's facts, if its shard is a right one."""
        marks = [self._mark(row, precision) for precision in self._precisions]
        provenance = kept_provenance(self._results.shard(STEP, row["slide_id"]), marks)
        return None if provenance is None else dict(provenance.facts)

    def made(self, row: Row) -> Row:
        """A slide's facts, its shard being made."""
        inputs, mark = self._inputs(row), self._mark(row, self._precision)
        settings = self._settings(self._precision)
        made: Row = {"fingerprint": mark, "regions": row["regions"]}
        made |= {"dim": self._dim, "region_precision": self._precision}
        software = {"torch": torch.__version__, "device": "cpu", "precision": self._precision}
        provenance = Provenance(STEP, version_of(STEP), mark, settings, inputs, made, software)
        grids = PatchEmbeddings(self._results.shard("embed_patches", row["slide_id"]))
        if grids.dim != self._in_dim:
            raise SlideError(
                "unreadable",
                f"its patch vectors have {grids.dim} numbers, those of the batch's other slides "
                f"{self._in_dim}; import features of one encoder",
            )
        shard = self._results.shard(STEP, row["slide_id"])
        self._write(shard, row["slide_id"], grids, provenance)
        return made

    def _write(
        self, shard: Path, slide_id: str, grids: PatchEmbeddings, provenance: Provenance
    ) -> None:
        """One slide's table, one row per region."""
        heads = [grids.region(i).slice(0, 1) for i in range(len(grids))]  # each region's corner
        parts = [
            self._embed(grids, range(start, min(start + AT_ONCE, len(grids))))
            for start in range(0, len(grids), AT_ONCE)
        ]
        embedding, broken = np.concatenate(parts), Broken()
        for region, vector in enumerate(embedding):
            broken.add(vector[None], region)
        broken.refuse("float32", "region")
        columns = {
            "slide_id": [slide_id] * len(grids),
            "region": [head["region"][0].as_py() for head in heads],
            "x": [head["x"][0].as_py() for head in heads],
            "y": [head["y"][0].as_py() for head in heads],
            "tissue": np.array([np.mean(grids.region(i)["tissue"]) for i in range(len(grids))]),
            "embedding": vectors(embedding),
        }
        schema = region_embeddings_schema(self._dim)
        write_table(shard, columns, schema, provenance)

    def _embed(self, grids: PatchEmbeddings, regions: range) -> npt.NDArray[np.float32]:
        """(N, D) vectors of some regions."""
        if self._mean:
            return np.stack([region_mean(grids, region) for region in regions])
        side = self._cfg.tile.grid
        stack = np.stack([grids.grid(i) for i in regions])  # (N, T, C)
        x = torch.from_numpy(stack).float().transpose(1, 2)  # (N, C, T)
        x = x.reshape(len(stack), -1, side, side)
        output = embedded(self._model, x, MINIBATCH, self._precision, self._threads)  # (N, D)
        return np.asarray(output.float())


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: the embed_patches index, the settings, the index to make."""
    parser = step_parser(STEP, __doc__)
    parser.add_argument("--patches", type=Path, required=True, help="the embed_patches index")
    parser.add_argument("--threads", type=int, default=1, help="threads to compute with")
    args = parser.parse_args(argv)
    run(args.patches, args.out, read_settings(STEP, EmbedRegionsSettings, args.cfg), args.threads)
