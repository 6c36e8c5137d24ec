"""Checksums of Arrow files, which have none of their own; Parquet files have them in each page."""

from __future__ import annotations

import zlib

import numpy as np
import pyarrow as pa

_KEY = "crc32"
"""Where a record batch's metadata has its checksum."""


class ChecksumWriter:
    """Writes record batches, each with its checksum."""

    def __init__(self, writer: pa.ipc.RecordBatchFileWriter) -> None:
        self._writer = writer

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Append one."""
        self._writer.write_batch(batch, custom_metadata={_KEY: _checksum(batch)})


def first_damaged(reader: pa.ipc.RecordBatchFileReader) -> int | None:
    """The first record batch that is not as it was written; None where all are.

    Raises:
        OSError, ValueError: if one cannot be read at all.
    """
    for index in range(reader.num_record_batches):
        read = reader.get_batch_with_custom_metadata(index)
        read.batch.validate(full=True)
        recorded = (read.custom_metadata or {}).get(_KEY.encode())
        if recorded is not None and recorded != _checksum(read.batch).encode():
            return index
    return None


def _checksum(batch: pa.RecordBatch) -> str:
    """CRC-32 over the values of all columns, in hex."""
    crc = 0
    for column in batch.columns:
        flat = column.flatten() if pa.types.is_fixed_size_list(column.type) else column
        if pa.types.is_string(flat.type):
            values = "\0".join(flat.to_pylist()).encode()
        else:
            values = np.ascontiguousarray(flat.to_numpy(zero_copy_only=False)).tobytes()
        crc = zlib.crc32(values, crc)
    return f"{crc:08x}"
