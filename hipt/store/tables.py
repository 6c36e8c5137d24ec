"""Parquet and Arrow files, their columns checked when written and when read.

Manifests and tables are Parquet (zstd). Patch embeddings are Arrow IPC files, one record batch per
region, memory-mapped: a region's grid is read without the rest of its slide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from hipt.errors import HiptError
from hipt.store.checksums import ChecksumWriter, first_damaged
from hipt.store.provenance import KEY, Provenance
from hipt.store.schemas import patch_embeddings_schema, region_embeddings_schema
from hipt.store.whole import whole

Row = dict[str, Any]
"""A row of a table, by column."""

DAMAGED = (pa.ArrowException, OSError, ValueError, LookupError, SystemError)
"""What Arrow raises while it reads a damaged file."""


def vectors(values: npt.NDArray[np.generic]) -> pa.FixedSizeListArray:
    """An (N, D) array as a column of N lists of D numbers, without a copy of the numbers."""
    n, dim = values.shape
    flat = pa.array(np.ascontiguousarray(values).reshape(n * dim))
    kind = pa.list_(pa.field("item", flat.type, nullable=False), dim)
    return pa.FixedSizeListArray.from_arrays(flat, type=kind)


def matrix(column: pa.ChunkedArray | pa.FixedSizeListArray) -> npt.NDArray[Any]:
    """A column of equally long lists as an (N, D) array; no copy where Arrow allows it."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return np.asarray(array.flatten()).reshape(len(array), array.type.list_size)


def list_size(schema: pa.Schema, name: str) -> int:
    """How long a column's lists are; 1 where it has none, or there is no such column."""
    kinds = [field.type for field in schema if field.name == name]
    return int(getattr(kinds[0], "list_size", 1)) if kinds else 1


def write_table(
    path: Path,
    columns: Mapping[str, object] | pa.Table,
    schema: pa.Schema,
    provenance: Provenance | None = None,
) -> None:
    """Write one Parquet file, whole or not at all.

    Raises:
        ValueError, TypeError: if the columns do not fit the schema.
    """
    names = columns.column_names if isinstance(columns, pa.Table) else list(columns)
    _refuse_other_names(names, schema)
    table = columns if isinstance(columns, pa.Table) else pa.table(dict(columns), schema=schema)
    with whole(path) as part:
        pq.write_table(
            table.cast(schema).replace_schema_metadata(_metadata(provenance)),
            part,
            compression="zstd",
            store_schema=True,
            write_page_checksum=True,
        )


def write_rows(
    path: Path,
    rows: Sequence[Mapping[str, Any]],
    schema: pa.Schema,
    provenance: Provenance | None = None,
) -> None:
    """Write one Parquet file from rows; a column that a row lacks is null there.

    Raises:
        ValueError, TypeError: if the rows do not fit the schema.
    """
    _refuse_other_names([*schema.names, *(name for row in rows for name in row)], schema)
    table = pa.Table.from_pylist([dict(row) for row in rows], schema=schema)
    write_table(path, table, schema, provenance)


def read_table(
    path: Path, schema: pa.Schema | None = None, names: Sequence[str] | None = None
) -> pa.Table:
    """Read one Parquet file and check its columns.

    Args:
        path: the file.
        schema: what its columns have to be; None: whatever they are.
        names: the columns that are read; None: all.

    Raises:
        HiptError: if it is absent, damaged, or not of the schema.
    """
    try:
        # Not pq.read_table: it imports pandas, which takes longer than most tables.
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            columns, table = file.schema_arrow, file.read(names)
        table.validate(full=True)  # texts that are none, too
    except FileNotFoundError:
        raise HiptError(f"{path}: not there; the step that makes it has to run first") from None
    except DAMAGED as error:
        raise HiptError(
            f"{path}: not readable as Parquet ({_short(error)}); delete it, and it is made again"
        ) from None
    if schema is not None:
        refuse_other_schema(path, columns, schema)
    return table


def read_region_embeddings(path: Path) -> pa.Table:
    """A slide's table of region embeddings, whatever their width.

    Raises:
        HiptError: if it is absent, damaged, or of another version.
    """
    table = read_table(path)
    wanted = region_embeddings_schema(list_size(table.schema, "embedding"))
    refuse_other_schema(path, table.schema, wanted)
    return table


@contextmanager
def patch_embeddings_writer(
    path: Path, schema: pa.Schema, provenance: Provenance
) -> Iterator[ChecksumWriter]:
    """Write a slide's patch embeddings region by region; the file appears when all are written."""
    schema = schema.with_metadata(_metadata(provenance))
    with (
        whole(path) as part,
        pa.OSFile(str(part), "wb") as sink,
        pa.ipc.new_file(sink, schema) as writer,
    ):
        yield ChecksumWriter(writer)


class PatchEmbeddings:
    """A slide's patch embeddings, memory-mapped."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            HiptError: if it is absent, damaged, or of another version.
        """
        self._path = path
        try:
            self._reader = pa.ipc.open_file(pa.memory_map(str(path)))
            schema = self._reader.schema
            wanted = patch_embeddings_schema(list_size(schema, "embedding"))
        except FileNotFoundError:
            raise HiptError(f"{path}: not there; embed_patches has to run first") from None
        except DAMAGED as error:
            raise self._damaged(error) from None
        refuse_other_schema(path, schema, wanted)

    def __len__(self) -> int:
        """Number of regions."""
        return int(self._reader.num_record_batches)

    @property
    def dim(self) -> int:
        """Width D of an embedding."""
        return int(self._reader.schema.field("embedding").type.list_size)

    def region(self, index: int) -> pa.RecordBatch:
        """One region's patches, row-major.

        Raises:
            HiptError: if they are damaged.
        """
        try:
            batch = self._reader.get_batch(index)
            batch.validate()
        except DAMAGED as error:
            raise self._damaged(error) from None
        return batch

    def refuse_damaged(self) -> None:
        """Read everything, and compare it with the checksums that it was written with.

        Raises:
            HiptError: naming the region that differs, or that cannot be read.
        """
        try:
            region = first_damaged(self._reader)
        except (pa.ArrowInvalid, OSError, ValueError) as error:
            raise HiptError(f"{self._path}: not readable as Arrow ({_short(error)})") from None
        if region is not None:
            raise HiptError(f"{self._path}: region {region} is not as it was written (checksum)")

    def grid(self, index: int) -> npt.NDArray[np.float16]:
        """One region's (patches, D) embeddings, row-major."""
        return matrix(self.region(index).column("embedding"))

    def _damaged(self, error: Exception) -> HiptError:
        """The sentence for a file that Arrow cannot read."""
        reason = _short(error)
        return HiptError(
            f"{self._path}: not readable as Arrow ({reason}); delete it, and it is made again"
        )


def _refuse_other_names(names: Sequence[str], schema: pa.Schema) -> None:
    """Refuse to write columns that the schema lacks, or to lack any of its."""
    if wrong := sorted(set(names) ^ set(schema.names)):
        raise ValueError(f"columns {', '.join(wrong)} are missing or not in the schema")


def refuse_other_schema(path: Path, actual: pa.Schema, wanted: pa.Schema) -> None:
    """Refuse a file whose columns are not the wanted ones, naming the first that differs.

    Raises:
        HiptError: if there is such a column.
    """
    if actual.equals(wanted, check_metadata=False):
        return
    problem = "columns stand in another order"
    for name in dict.fromkeys([*wanted.names, *actual.names]):
        if name not in actual.names:
            problem = f"column '{name}' is missing"
        elif name not in wanted.names:
            problem = f"column '{name}' is unknown"
        elif actual.field(name) != wanted.field(name):
            kinds = [_kind(schema.field(name)) for schema in (actual, wanted)]
            problem = f"column '{name}' is {' instead of '.join(kinds)}"
        else:
            continue
        break
    raise HiptError(f"{path}: is not of this version ({problem}); delete it, and it is made again")


def _kind(field: pa.Field) -> str:
    """A column's type in words."""
    return str(field.type) if field.nullable else f"{field.type} without nulls"


def _metadata(provenance: Provenance | None) -> dict[str, str] | None:
    """The file metadata that carries a provenance."""
    return None if provenance is None else {KEY: provenance.to_json()}


def _short(error: BaseException) -> str:
    """The first line of an error's text."""
    return (str(error).splitlines() or [type(error).__name__])[0]
