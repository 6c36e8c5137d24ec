"""Stage 2: one vector per region, from the grids of patch vectors on disk."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from hipt.cohort.batch_run import BatchRun, Row, kept_provenance, read_index
from hipt.config.command_line import add_engine, engine_of, read_settings, step_parser
from hipt.config.config import EngineSetting
from hipt.config.step_settings import EmbedRegionsSettings
from hipt.embedding.engines.choice import Task, Trying, Wanted, chosen_engine
from hipt.embedding.engines.engine import Engine, Network
from hipt.embedding.engines.samples import grid_samples
from hipt.embedding.precisions import Precision, accepted
from hipt.embedding.region_means import region_mean
from hipt.embedding.weights_files import load_region_encoder
from hipt.embedding.weights_identity import weights_identity
from hipt.errors import SlideError
from hipt.layout import Results
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


def run(
    patches: Path,
    out: Path,
    cfg: EmbedRegionsSettings,
    threads: int,
    engine: EngineSetting = "auto",
) -> None:
    """Embed the regions of one batch: a table of embeddings per slide, then the batch's index."""
    torch.set_num_threads(1)  # each of the threads computes minibatches of its own
    rows = read_index(patches)
    wanted = Wanted(engine, cfg.precision)
    embedder = _Embedder(cfg, wanted, Results.of_index(out), threads)
    fine = [row for row in rows if row["status"] == "ok"]
    with BatchRun(out, len(rows), cfg.on_slide_error) as batch:
        for row in rows:
            if row["status"] != "ok":
                batch.carry(row)
                continue
            kept = embedder.kept(row)
            if kept is None:
                embedder.load(row["dim"], fine)  # what fails here is no slide's fault
            with batch.slide(row["slide_id"]) as facts:
                facts |= embedder.made(row) if kept is None else kept


class _Embedder:
    """The model of a batch, loaded when a slide needs it."""

    def __init__(
        self, cfg: EmbedRegionsSettings, wanted: Wanted, results: Results, threads: int
    ) -> None:
        self._cfg, self._wanted, self._results, self._threads = cfg, wanted, results, threads
        self._engine: Engine | None = None
        self._mean = cfg.regions.pool == "mean"
        network: Row = cfg.regions.model_dump(exclude={"weights", "random"})
        self._common = ({"pool": "mean"} if self._mean else network) | {"grid": cfg.tile.grid}
        self._weights = weights_identity("embed.regions", cfg.regions, results.digests)
        self._precisions = ("fp32",) if self._mean else accepted(cfg.precision)
        self._in_dim = 0

    @property
    def _dim(self) -> int:
        """Width of a region's vector."""
        return self._in_dim if self._mean else self._cfg.regions.vit_shape.dim

    def load(self, in_dim: int, rows: Sequence[Row]) -> None:
        """Load the model, for vectors of the first slide's width, and choose what computes it.

        Args:
            in_dim: width of the patch vectors.
            rows: the slides whose regions engines are tried on.

        Raises:
            HiptError: if its weights cannot be loaded, or are for vectors of another width.
        """
        self._in_dim = self._in_dim or in_dim
        if self._mean or self._engine is not None:
            return
        network = Network.of_regions(load_region_encoder(self._cfg.regions, self._in_dim))
        side = self._cfg.tile.grid
        example = torch.zeros(1, self._in_dim, side, side)
        task = Task(network, example, DEVICE, self._threads, MINIBATCH)
        identity = {"settings": self._common, "weights": self._weights, "in_dim": self._in_dim}
        trying = Trying(
            STEP, lambda: grid_samples(self._first(rows)), identity, self._results.engines
        )
        choice = chosen_engine(task, self._wanted, trying)
        for line in choice.lines:
            log.info("engine: %s", line)
        self._engine = choice.engine

    def _first(self, rows: Sequence[Row]) -> Iterator[torch.Tensor]:
        """(C, h, w) grid after grid of the slides; those that cannot be read are left out."""
        for row in rows:
            with suppress(Exception):  # it is said where the slide is embedded
                grids = PatchEmbeddings(self._results.shard("embed_patches", row["slide_id"]))
                if grids.dim == self._in_dim:
                    yield from (self._grids(grids, [region])[0] for region in range(len(grids)))

    def _inputs(self, row: Row) -> dict[str, str]:
        """Digests of what a slide's vectors are made from."""
        return {"patches": row["fingerprint"], "weights": self._weights}

    @property
    def _precision(self) -> Precision:
        """What is computed in, once the model is loaded."""
        return self._engine.precision if self._engine else "fp32"

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
        engine = self._engine.software if self._engine else {"torch": torch.__version__}
        software = engine | {"device": "cpu", "precision": self._precision}
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
        if self._engine is None:
            return np.stack([region_mean(grids, region) for region in regions])
        return self._engine.vectors(self._grids(grids, regions)).numpy()

    def _grids(self, grids: PatchEmbeddings, regions: Sequence[int]) -> torch.Tensor:
        """(N, C, h, w) patch vectors of some regions, float32."""
        side = self._cfg.tile.grid
        stack = np.stack([grids.grid(i) for i in regions])  # (N, T, C)
        x = torch.from_numpy(stack).float().transpose(1, 2)  # (N, C, T)
        return x.reshape(len(stack), -1, side, side)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: the embed_patches index, the settings, the index to make."""
    parser = step_parser(STEP, __doc__)
    parser.add_argument("--patches", type=Path, required=True, help="the embed_patches index")
    parser.add_argument("--threads", type=int, default=1, help="threads to compute with")
    add_engine(parser)
    args = parser.parse_args(argv)
    cfg = read_settings(STEP, EmbedRegionsSettings, args.cfg)
    run(args.patches, args.out, cfg, args.threads, engine_of(args))
