"""The vectors that a task's models see: the workflow's regions, or those of a file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from hipt.core.grid import places
from hipt.errors import HiptError
from hipt.io.provenances import read_provenance
from hipt.io.results import Results
from hipt.io.tables import list_size, matrix, read_table, refuse_other_schema
from hipt.store.schemas import SLIDES, region_embeddings_schema

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


class Features(Protocol):
    """Where the regions of slides come from."""

    def slides(self) -> Sequence[str]:
        """The slides that have regions, rising."""

    def source(self, slide_id: str) -> str:
        """A name of the slide's content: another content, another name."""

    def regions(self, slide_id: str) -> SlideRegions:
        """A slide's regions."""


class OwnFeatures:
    """What embed_regions made of the slides of the slide table."""

    def __init__(self, slides: Path) -> None:
        """Look at the slide table.

        Raises:
            HiptError: if it is absent, damaged, or of another version.
        """
        table = read_table(slides, SLIDES).select(["slide_id", "status", "regions"]).to_pylist()
        self._results = Results(slides.parent)
        self._slides = sorted(row["slide_id"] for row in table if row["status"] == "ok")

    def slides(self) -> Sequence[str]:
        """The slides that went through every step, rising."""
        return self._slides

    def source(self, slide_id: str) -> str:
        """The fingerprint of the slide's file."""
        return read_provenance(self._results.shard("embed_regions", slide_id)).fingerprint

    def regions(self, slide_id: str) -> SlideRegions:
        """A slide's regions, in the order of its file."""
        path = self._results.shard("embed_regions", slide_id)
        table = read_table(path)
        wanted = region_embeddings_schema(list_size(table.schema, "embedding"))
        refuse_other_schema(path, table.schema, wanted)
        corners = np.stack([table["x"].to_numpy(), table["y"].to_numpy()], 1)
        return SlideRegions(np.array(matrix(table["embedding"])), places(corners))


class RecentFeatures:
    """Features of which the slides that were asked for last are kept.

    All folds of all models ask for the regions of one slide before they come to the next.
    """

    def __init__(self, features: Features) -> None:
        self._features = features
        self._regions = lru_cache(RECENT)(features.regions)

    def slides(self) -> Sequence[str]:
        """The slides that have regions, rising."""
        return self._features.slides()

    def source(self, slide_id: str) -> str:
        """A name of the slide's content."""
        return self._features.source(slide_id)

    def regions(self, slide_id: str) -> SlideRegions:
        """A slide's regions; nobody may change them."""
        return self._regions(slide_id)


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
                found = ", ".join(table.column_names)
                raise HiptError(f"{path}: has no column '{name}' (found: {found})")
        self._vectors = _vectors(path, table["embedding"])
        ids = _ids(path, table["slide_id"])
        rows = pl.DataFrame({"slide_id": ids}).with_row_index("row")
        groups = rows.group_by("slide_id").agg(pl.col("row").sort()).sort("slide_id")
        self._rows = dict(zip(groups["slide_id"].to_list(), groups["row"].to_list(), strict=True))
        placed = {"x", "y"} <= set(table.column_names)
        columns = [_numbers(path, name, table[name]) for name in "xy"] if placed else []
        self._corners = np.stack(columns, 1) if placed else None

    def slides(self) -> Sequence[str]:
        """The slides in the file, rising."""
        return list(self._rows)

    def source(self, slide_id: str) -> str:
        """sha256 of the slide's vectors."""
        return hashlib.sha256(self.regions(slide_id).vectors.tobytes()).hexdigest()

    def regions(self, slide_id: str) -> SlideRegions:
        """A slide's regions, in the order of the file."""
        rows = self._rows[slide_id]
        corners = None if self._corners is None else places(self._corners[rows])
        return SlideRegions(self._vectors[rows], corners)


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
    placed = list(_apart(parts))
    return SlideRegions(vectors, np.concatenate(placed) if len(placed) == len(parts) else None)


def _apart(parts: Sequence[SlideRegions]) -> Iterator[npt.NDArray[np.float32]]:
    """The positions of each part that has some, moved by its number."""
    for number, part in enumerate(parts):
        if part.positions is not None:
            yield part.positions + np.float32(number * APART)


def _ids(path: Path, column: pa.ChunkedArray) -> pl.Series:
    """(N,) the ids as text.

    Raises:
        HiptError: if there is none in a row, or they cannot be text.
    """
    try:
        ids = pl.Series(pl.from_arrow(column)).cast(pl.String)
    except pl.exceptions.PolarsError as error:
        problem = f"holds {column.type}, no text ({error})"
        raise HiptError.at(path, problem, column="slide_id") from None
    if ids.null_count():
        raise HiptError(f"{path}, column 'slide_id': empty in {ids.null_count()} rows")
    return ids


def _numbers(path: Path, name: str, column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """(N,) numbers.

    Raises:
        HiptError: if one is missing, not finite, or none.
    """
    if _are_numbers(column.type) and not column.null_count:
        values = column.to_numpy().astype(np.float64)
        if np.isfinite(values).all():
            return np.asarray(values)
    problem = f"holds {column.type} that is not a finite number in every row; mend it, or leave"
    raise HiptError.at(path, f"{problem} x and y out", column=name)


def _are_numbers(kind: pa.DataType) -> bool:
    """Whether a type is one of numbers."""
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _vectors(path: Path, column: pa.ChunkedArray) -> Vectors:
    """(N, D) numbers of lists of one length.

    Raises:
        HiptError: if they are no lists of numbers of one length, or a number is not finite.
    """
    flat = column.combine_chunks()
    lengths = pl.from_arrow(flat).list.len() if pa.types.is_list(flat.type) else None  # type: ignore[union-attr]
    if lengths is not None and lengths.n_unique() == 1 and not flat.null_count:
        flat = flat.cast(pa.list_(flat.type.value_type, int(lengths[0])))
    listed = pa.types.is_fixed_size_list(flat.type) and flat.type.list_size > 0
    if not listed or flat.null_count or not _are_numbers(flat.type.value_type):
        raise HiptError(
            f"{path}, column 'embedding': holds {column.type}; needed are lists of numbers, all of "
            "one length, one per region"
        )
    with np.errstate(over="ignore"):  # said below
        values = np.asarray(matrix(flat), np.float32)
    wrong = np.flatnonzero(~np.isfinite(values).all(1))
    if wrong.size:
        raise HiptError(
            f"{path}, row {wrong[0] + 1}, column 'embedding': holds a number that is not finite; "
            "make these features again"
        )
    return values
