"""Regions without stage 2: patches count by their tissue, unreadable ones not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from hipt.embedding.region_means import region_mean, tissue_shares
from hipt.store.provenance import Provenance
from hipt.store.schemas import patch_embeddings_schema
from hipt.store.tables import PatchEmbeddings, patch_embeddings_writer, vectors

MADE = Provenance("embed_patches", 1, "m", {}, {}, {}, {})
GRID = np.arange(12, dtype=np.float16).reshape(4, 3)


def stored(folder: Path, tissue: list[float], readable: list[bool]) -> PatchEmbeddings:
    """One region of four patches."""
    schema = patch_embeddings_schema(3)
    columns = {
        "slide_id": ["s"] * 4,
        "region": np.zeros(4, np.int32),
        "patch": np.arange(4, dtype=np.int16),
        **{name: np.zeros(4, np.int64) for name in ("x", "y")},
        "tissue": np.array(tissue, np.float32),
        "readable": np.array(readable),
        "computed": np.ones(4, bool),
    }
    arrays = [pa.array(columns[x], schema.field(x).type) for x in columns] + [vectors(GRID)]
    with patch_embeddings_writer(folder / "s.arrow", schema, MADE) as writer:
        writer.write_batch(pa.record_batch(arrays, schema=schema))
    return PatchEmbeddings(folder / "s.arrow")


@pytest.mark.parametrize(
    ("tissue", "readable", "expected"),
    [
        ([1, 1, 1, 1], [True] * 4, [0.25] * 4),
        ([1, 0.5, 0, 0], [True] * 4, [2 / 3, 1 / 3, 0, 0]),
        ([1, 1, 0, 0], [False, True, True, True], [0, 1, 0, 0]),
        ([0, 0, 0, 0], [True] * 4, [0.25] * 4),
        ([1, 0, 0, 0], [False, True, True, True], [0.25] * 4),
    ],
)
def test_a_patch_counts_by_its_tissue(
    tmp_path: Path, tissue: list[float], readable: list[bool], expected: list[float]
):
    patches = stored(tmp_path, tissue, readable)
    np.testing.assert_allclose(tissue_shares(patches, 0), expected, rtol=1e-6)
    mean = region_mean(patches, 0)
    assert mean.dtype == np.float32
    np.testing.assert_allclose(mean, np.average(GRID, axis=0, weights=expected), rtol=1e-6)
