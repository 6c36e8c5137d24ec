"""How two files of the same name differ in what they say: their values, column by column."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError, safe_open

EQUAL = "equal content, written differently"

_ROWS = 1 << 16
"""Rows that are compared at once."""


def compared(old: Path, new: Path) -> str:
    """The difference between two files in words: EQUAL, or the first part with other values.

    Of numbers the largest absolute difference. Empty for files other than Parquet, Arrow
    and safetensors.

    Raises:
        OSError, ValueError: if one of them cannot be read.
    """
    if new.suffix == ".safetensors":
        return _tensors(old, new)
    if new.suffix not in (".parquet", ".arrow"):
        return ""
    schemas = [_schema(path) for path in (old, new)]
    if not schemas[0].equals(schemas[1], check_metadata=False):
        return f"other columns: {_columns(schemas[0])} -> {_columns(schemas[1])}"
    differences = []
    for name in schemas[0].names:
        before, after = (_column(path, name) for path in (old, new))
        if len(before) != len(after):
            return f"{len(before)} rows -> {len(after)}"
        if text := _values(before, after):
            differences.append(f"column '{name}': {text}")
    return "; ".join(differences) or EQUAL


def _schema(path: Path) -> pa.Schema:
    if path.suffix == ".arrow":
        return pa.ipc.open_file(pa.memory_map(str(path))).schema
    return pq.read_schema(path)


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)


def _column(path: Path, name: str) -> pa.ChunkedArray:
    """One column; of an Arrow file mapped, not read."""
    if path.suffix == ".arrow":
        return pa.ipc.open_file(pa.memory_map(str(path))).read_all()[name]
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        return file.read([name])[name]


def _values(old: pa.ChunkedArray, new: pa.ChunkedArray) -> str:
    """How two columns of one type and length differ; nothing where they are equal."""
    largest, count = 0.0, 0
    for a, b in _windows(old, new):
        if a.equals(b):
            continue
        if not _numeric(a.type):
            count += 1
            continue
        largest = max(largest, _largest(_flat(a), _flat(b)))
    if count:
        return "other values"
    return f"largest absolute difference {largest:.3g}" if largest > 0 else ""


def _windows(old: pa.ChunkedArray, new: pa.ChunkedArray) -> Iterator[tuple[pa.Array, pa.Array]]:
    """The same rows of both, some at a time."""
    for start in range(0, len(old), _ROWS):
        a, b = (pa.concat_arrays(column.slice(start, _ROWS).chunks) for column in (old, new))
        yield a, b


def _numeric(kind: pa.DataType) -> bool:
    """Whether a column holds numbers, or equally long lists of them."""
    inner = kind.value_type if pa.types.is_fixed_size_list(kind) else kind
    return bool(pa.types.is_floating(inner) or pa.types.is_integer(inner))


def _flat(array: pa.Array) -> npt.NDArray[np.float64]:
    """All numbers; null becomes NaN."""
    flat = array.flatten() if pa.types.is_fixed_size_list(array.type) else array
    return np.asarray(flat.to_numpy(zero_copy_only=False), np.float64)


def _largest(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    """The largest absolute difference; infinite where only one is a number."""
    if a.shape != b.shape:
        return float("inf")
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    apart = np.abs(a[~same] - b[~same])
    return float(np.where(np.isnan(apart), np.inf, apart).max(initial=0.0))


def _tensors(old: Path, new: Path) -> str:
    """How the tensors of two files differ."""
    try:
        with safe_open(old, framework="pt") as before, safe_open(new, framework="pt") as after:
            if set(before.keys()) != set(after.keys()):
                return "other tensors"
            largest = 0.0
            for name in sorted(before.keys()):
                a, b = (side.get_tensor(name).double().numpy().ravel() for side in (before, after))
                largest = max(largest, _largest(a, b))
    except SafetensorError as error:
        raise ValueError(str(error)) from None
    return f"tensors: largest absolute difference {largest:.3g}" if largest else EQUAL
