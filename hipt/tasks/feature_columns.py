"""Columns of a features file, whoever wrote it: ids, places and vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from hipt.errors import HiptError

VECTORS = "embedding"
"""The column with the vectors."""

_LISTS = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)


def read_ids(path: Path, column: pa.ChunkedArray) -> pl.Series:
    """(N,) the ids as text, however they are encoded.

    Raises:
        HiptError: if a row has none, or they cannot be text.
    """
    try:
        ids = pl.Series(pl.from_arrow(column)).cast(pl.String)
    except pl.exceptions.PolarsError as error:
        problem = f"holds {column.type}, no text ({error})"
        raise HiptError.at(path, problem, column="slide_id") from None
    if ids.null_count():
        row = int(ids.is_null().arg_max() or 0) + 1
        problem = f"is empty, as in {ids.null_count():,} rows in all"
        raise HiptError.at(path, problem, row=row, column="slide_id")
    return ids


def read_places(path: Path, name: str, column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """(N,) numbers.

    Raises:
        HiptError: if the column holds none, or a row has none that is finite.
    """
    what = "mend it, or leave x and y out"
    if not _are_numbers(column.type):
        raise HiptError.at(path, f"holds {column.type}, no numbers; {what}", column=name)
    values = column.to_numpy().astype(np.float64)  # nulls become nan
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        problem = f"is not a finite number; {what}"
        raise HiptError.at(path, problem, row=int(wrong[0]) + 1, column=name)
    return np.asarray(values)


def read_vectors(path: Path, column: pa.ChunkedArray) -> npt.NDArray[np.float32]:
    """(N, D) numbers of lists of one length: variable, large or of fixed size.

    Raises:
        HiptError: if they are no lists of numbers of one length, naming the row that is another,
            is empty, or holds a number that is missing or not finite.
    """
    kind = column.type
    if not any(is_kind(kind) for is_kind in _LISTS) or not _are_numbers(kind.value_type):
        raise HiptError.at(
            path,
            f"holds {kind}; needed are lists of numbers, all of one length, one per region",
            column=VECTORS,
        )
    dim = _length(path, column)
    filled, start = np.empty((len(column), dim), np.float32), 0
    for chunk in column.chunks:  # together they could be more than a list's 32 bits can count
        numbers = chunk.flatten()
        with np.errstate(over="ignore"):  # named below
            values = numbers.to_numpy(zero_copy_only=False).astype(np.float32)  # nulls become nan
        filled[start : start + len(chunk)] = values.reshape(len(chunk), dim)
        start += len(chunk)
    wrong = np.flatnonzero(~np.isfinite(filled).all(1))
    if wrong.size:
        problem = "holds a number that is not finite, or is missing; make these features again"
        raise HiptError.at(path, problem, row=int(wrong[0]) + 1, column=VECTORS)
    return filled


def _length(path: Path, column: pa.ChunkedArray) -> int:
    """How many numbers every row has."""
    if not len(column):
        raise HiptError(f"{path}: has no rows")
    lengths = pc.list_value_length(column).to_numpy()  # null: nan
    first = lengths[0]
    wrong = np.flatnonzero(~(lengths == first) | ~(lengths > 0))
    if not wrong.size:
        return int(first)
    place = int(wrong[0])
    length = lengths[place]
    if np.isnan(length):
        problem = "is empty; leave the row out, or make its features again"
    elif not length:
        problem = "is a list without numbers; leave the row out, or make its features again"
    else:
        problem = (
            f"has {int(length)} numbers, where row 1 has {int(first)}; all rows need vectors of "
            "one length"
        )
    raise HiptError.at(path, problem, row=place + 1, column=VECTORS)


def _are_numbers(kind: pa.DataType) -> bool:
    """Whether a type is one of numbers."""
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))
