"""Stage 1: one vector per patch, straight from the slides."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from hipt.config import EmbedPatchesSettings
from hipt.errors import SlideError
from hipt.io.checkpoints import load_patch_encoder
from hipt.io.devices import compute_device
from hipt.io.digests import weights_identity
from hipt.io.indices import BatchRun, Row, kept_facts, read_index
from hipt.io.progress import Progress
from hipt.io.regions import RegionPixels, RegionReader, SlideJob
from hipt.io.results import Results
from hipt.io.settings import read_settings, step_parser
from hipt.io.shards import Provenance, fingerprint
from hipt.io.sheets import read_sheet
from hipt.io.tables import MANIFEST, patch_embeddings_writer, read_table, vectors
from hipt.nn.encoders import choose_precision, inference
from hipt.steps import VERSION

log = logging.getLogger(__name__)

MINIBATCH = {"cpu": 16, "cuda": 256}
"""Patches per forward pass: 16 is fastest on a CPU (measured); a whole region on a GPU."""


@dataclass(frozen=True)
class _Work:
    """One slide: its row of the tile index, and what its shard must carry."""

    row: Row
    path: Path
    shard: Path
    fingerprint: str
    kept: Row | None

    @property
    def pending(self) -> bool:
        """Whether pixels have to be read."""
        return self.row["status"] == "ok" and self.kept is None


class _Embedder:
    """Model and reader of a batch, ready for its first pending slide."""

    def __init__(
        self, cfg: EmbedPatchesSettings, device: torch.device, reader: RegionReader
    ) -> None:
        encoder, self._weights = load_patch_encoder(cfg.patches)
        self._encoder = encoder.eval().to(device)
        self._device, self._reader = device, reader
        self._precision = choose_precision(cfg.precision, device)
        self.dim = encoder.dim

    def software(self) -> dict[str, str]:
        """What may show in the numbers."""
        return {
            "torch": torch.__version__,
            "device": self._device.type,
            "precision": self._precision,
            "weights": self._weights["name"],
        }

    def embed(self, region: RegionPixels) -> npt.NDArray[np.float16]:
        """One region's (patches, D) vectors."""
        pixels = torch.from_numpy(region.pixels).to(self._device)  # (P, px, px, 3) uint8
        with inference(self._precision, self._device):
            parts = [self._encoder(part) for part in pixels.split(MINIBATCH[self._device.type])]
        return torch.cat(parts).to(torch.float16).cpu().numpy()  # (P, D)


def run(tile: Path, out: Path, cfg: EmbedPatchesSettings, threads: int) -> None:
    """Embed the patches of one batch: a file of embeddings per slide, then the batch's index.

    The model is loaded when a slide needs it; one reader serves all slides and runs ahead over
    their borders. Minibatches never mix slides, so a slide's numbers do not depend on its batch.
    """
    torch.set_num_threads(threads)
    results = Results.of_index(out)
    works = list(_works(tile, results, cfg))
    pending = [work for work in works if work.pending]
    with BatchRun(out, len(works), cfg.on_slide_error) as batch, ExitStack() as stack:
        embedded = iter(())
        if pending:
            device = stack.enter_context(compute_device())
            reader = stack.enter_context(RegionReader(threads))
            embedded = _embedded(pending, results, cfg, _Embedder(cfg, device), reader)
        for work in works:
            if work.row["status"] != "ok":
                batch.carry(work.row)
                continue
            with batch.slide(work.row["slide_id"]) as facts:
                if work.pending:
                    next(embedded)
                facts |= {"fingerprint": work.fingerprint}
                facts |= _counts(work.shard)
                _refuse_damaged(PatchEmbeddings(work.shard), cfg)


def _works(tile: Path, results: Results, cfg: EmbedPatchesSettings) -> Iterator[_Work]:
    """The batch's slides that are still in the sheet."""
    weights = weights_identity("embed.patches", cfg.patches, results.digests)
    settings = cfg.patches.model_dump(exclude={"weights", "random", "max_unreadable"})
    paths = {row.slide_id: row.path for row in read_sheet(Path(cfg.sheet), cfg.root)}
    for row in read_index(tile):
        if row["slide_id"] not in paths:
            continue
        shard = results.shard("embed_patches", row["slide_id"])
        mark = fingerprint(
            step="embed_patches",
            version=VERSION["embed_patches"],
            settings=settings | {"precision": cfg.precision},
            weights=weights,
            manifest=row["fingerprint"],
        )
        yield _Work(row, paths[row["slide_id"]], shard, mark, kept_facts(shard, mark))
