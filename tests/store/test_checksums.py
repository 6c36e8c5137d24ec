"""Every bit of a region's values is under its checksum, wherever the region lay in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from hipt.errors import HiptError
from hipt.store.checksums import first_damaged
from hipt.store.tables import PatchEmbeddings
from tests.store.test_tables import embeddings, write_embeddings


def test_what_was_written_is_in_order(tmp_path: Path):
    path = write_embeddings(tmp_path / "s.arrow", embeddings(3))
    PatchEmbeddings(path).refuse_damaged()
    with pa.memory_map(str(path)) as source:
        assert first_damaged(pa.ipc.open_file(source)) is None


def test_equal_values_are_equal_bytes(tmp_path: Path):
    one, two = (write_embeddings(tmp_path / f"{n}.arrow", embeddings(3)) for n in "ab")
    assert one.read_bytes() == two.read_bytes()


def test_any_flipped_bit_of_a_vector_is_found(tmp_path: Path):
    values = embeddings(3)
    path = write_embeddings(tmp_path / "s.arrow", values)
    data = path.read_bytes()
    start = data.index(values[1].tobytes())
    for offset in np.random.default_rng(1).integers(0, values[1].nbytes, 20).tolist():
        broken = bytearray(data)
        broken[start + offset] ^= 1 << offset % 8
        path.write_bytes(broken)
        with pytest.raises(HiptError, match="region 1 is not as it was written"):
            PatchEmbeddings(path).refuse_damaged()
