"""The vectors that a task's models see: the workflow's regions, or those of a file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from hipt.errors import HiptError
from hipt.geometry.grid import places
from hipt.layout import Results
from hipt.store.schemas import SLIDES
from hipt.store.shard import read_provenance
from hipt.store.tables import matrix, read_region_embeddings, read_table
from hipt.tasks.feature_columns import read_ids, read_places, read_vectors

APART = 1000.0
"""Region sides between the slides of one case: none is another's neighbour."""

RECENT = 32
"""Slides whose regions are kept: those of one case, in nearly all cohorts."""

Vectors = npt.NDArray[np.float32]  # [M, D]


class SlideRegions(NamedTuple):
    """The regions of one slide."""

    vectors: Vectors
    positions: npt.NDArray[np.float32] | None
    """(M, 2) x, y in sides of a region; None if the source does not say."""


class OwnFeatures:
    """What embed_regions made of the slides of the slide table.

    The slides that were asked for last are kept: all folds of all models ask for the regions of
    one slide before they come to the next.
    """

    def __init__(self, slides: Path) -> None:
        """Look at the slide table.

        Raises:
            HiptError: if it is absent, damaged, or of another version.
        """
        table = read_table(slides, SLIDES).select(["slide_id", "status", "content"]).to_pylist()
        self._results = Results(slides.parent)
        self._contents = {row["slide_id"]: row["content"] or "" for row in table}
        self._slides = sorted(row["slide_id"] for row in table if row["status"] == "ok")
        self.regions = lru_cache(RECENT)(self._regions)

    def slides(self) -> Sequence[str]:
        """The slides that went through every step, rising."""
        return self._slides

    def source(self, slide_id: str) -> str:
        """The fingerprint of the slide's file."""
        return read_provenance(self._results.shard("embed_regions", slide_id)).fingerprint

    def contents(self) -> Mapping[str, str]:
        """The marks of all slides in the slide table; see `hipt.cohort.same_content`."""
        return self._contents

    def _regions(self, slide_id: str) -> SlideRegions:
        """A slide's regions, in the order of its file; nobody may change them."""
        table = read_region_embeddings(self._results.shard("embed_regions", slide_id))
        corners = np.stack([table["x"].to_numpy(), table["y"].to_numpy()], 1)
        return SlideRegions(np.array(matrix(table["embedding"])), places(corners))


class FileFeatures:
    """A Parquet file with slide_id and embedding, and x and y if they are known."""

    def __init__(self, path: Path) -> None:
        """Read the file whole; its vectors stay in memory.

        Raises:
            HiptError: if it is absent, damaged, or a column or a number is missing.
        """
        table = read_table(path)
        for name in ("slide_id", "embedding"):
            if name not in table.column_names:
                names = ", ".join(table.column_names)
                raise HiptError(f"{path}: has no column '{name}' (found: {names})")
        self._vectors = read_vectors(path, table["embedding"])
        ids = read_ids(path, table["slide_id"])
        rows = pl.DataFrame({"slide_id": ids}).with_row_index("row")
        groups = rows.group_by("slide_id").agg(pl.col("row").sort()).sort("slide_id")
        self._rows = dict(zip(groups["slide_id"].to_list(), groups["row"].to_list(), strict=True))
        placed = {"x", "y"} <= set(table.column_names)
        columns = [read_places(path, name, table[name]) for name in "xy"] if placed else []
        self._corners = np.stack(columns, 1) if placed else None

    def slides(self) -> Sequence[str]:
        """The slides in the file, rising."""
        return list(self._rows)

    def source(self, slide_id: str) -> str:
        """sha256 of the slide's vectors."""
        return hashlib.sha256(self.regions(slide_id).vectors.tobytes()).hexdigest()

    def contents(self) -> Mapping[str, str]:
        """The digests of the vectors: equal ones come from equal pixels."""
        return {slide_id: self.source(slide_id) for slide_id in self._rows}

    def regions(self, slide_id: str) -> SlideRegions:
        """A slide's regions, in the order of the file."""
        rows = self._rows[slide_id]
        corners = None if self._corners is None else places(self._corners[rows])
        return SlideRegions(self._vectors[rows], corners)


Features = OwnFeatures | FileFeatures
"""Where the regions of slides come from."""


def features_of(file: str | None, slides: Path) -> Features:
    """The features of a task: those of a file, else the workflow's own.

    Raises:
        HiptError: if they cannot be read.
    """
    return OwnFeatures(slides) if file is None else FileFeatures(Path(file))


def bag(features: Features, slides: Sequence[str]) -> SlideRegions:
    """The regions of some slides together, e.g. of a case; their slides lie far apart."""
    parts = [features.regions(slide_id) for slide_id in slides]
    vectors = np.concatenate([part.vectors for part in parts])
    placed = [
        part.positions + np.float32(number * APART)
        for number, part in enumerate(parts)
        if part.positions is not None
    ]
    return SlideRegions(vectors, np.concatenate(placed) if len(placed) == len(parts) else None)
