"""Means of slides and cases: over regions, and over the patches that could be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hipt.errors import HiptError
from hipt.layout import Results
from hipt.store.schemas import patch_embeddings_schema
from hipt.store.tables import Provenance, patch_embeddings_writer, vectors, write_rows
from hipt.tasks.features import FileFeatures
from hipt.tasks.means import patch_means, region_means
from hipt.tasks.schemas import FOLDS
from hipt.tasks.units import Units, read_units

MADE = Provenance(step="embed_patches", step_version=1, fingerprint="a", settings={}, facts={})
UNIT_OF = {"a": "one", "b": "one", "c": "two"}
REGIONS = {"a": 1, "b": 3, "c": 2}
PATCHES, DIM = 4, 3
VALUES = {
    slide: np.random.default_rng(n).normal(size=(REGIONS[slide], PATCHES, DIM)).astype(np.float16)
    for n, slide in enumerate(UNIT_OF)
}


def units_in(folder: Path) -> Units:
    """Case `one` with slides a and b, case `two` with slide c."""
    rows = [
        {"slide_id": slide, "case_id": unit, "site": "", "unit": unit, "label": "x", "y": 0}
        | {"source": slide, "parts": [0]}
        for slide, unit in UNIT_OF.items()
    ]
    write_rows(folder / "folds.parquet", rows, FOLDS)
    return read_units(folder / "folds.parquet")


def write_patches(folder: Path, slide: str, readable: np.ndarray) -> None:
    schema = patch_embeddings_schema(DIM)
    path = Results(folder).shard("embed_patches", slide)
    path.parent.mkdir(parents=True, exist_ok=True)
    with patch_embeddings_writer(path, schema, MADE) as writer:
        for region, grid in enumerate(VALUES[slide]):
            columns = {
                "slide_id": [slide] * PATCHES,
                "region": np.full(PATCHES, region, np.int32),
                "patch": np.arange(PATCHES, dtype=np.int16),
                "x": np.arange(PATCHES),
                "y": np.arange(PATCHES),
                "tissue": np.zeros(PATCHES, np.float32),
                "readable": readable[region],
                "computed": np.ones(PATCHES, bool),
                "embedding": vectors(grid),
            }
            writer.write_batch(pa.record_batch(columns, schema=schema))


def test_every_region_of_a_case_counts_alike(tmp_path: Path):
    ids = np.repeat(list(REGIONS), list(REGIONS.values()))
    values = np.concatenate([VALUES[slide][:, 0] for slide in REGIONS]).astype(np.float32)
    pq.write_table(
        pa.table({"slide_id": ids, "embedding": vectors(values)}), tmp_path / "features.parquet"
    )
    found = region_means(units_in(tmp_path), FileFeatures(tmp_path / "features.parquet"))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, [values[:4].mean(0), values[4:].mean(0)], rtol=1e-6)


def test_every_readable_patch_of_a_case_counts_alike(tmp_path: Path):
    rng = np.random.default_rng(9)
    kept = {slide: rng.random((REGIONS[slide], PATCHES)) < 0.6 for slide in UNIT_OF}
    for slide, readable in kept.items():
        write_patches(tmp_path, slide, readable)
    found = patch_means(units_in(tmp_path), Results(tmp_path))
    for mean, slides in zip(found, ("ab", "c"), strict=True):
        all_of_them = [
            VALUES[slide][i, j].astype(float)
            for slide in slides
            for i, j in np.argwhere(kept[slide])
        ]
        np.testing.assert_allclose(mean, sum(all_of_them) / len(all_of_them), rtol=1e-12)


def test_a_unit_without_readable_patches_is_named(tmp_path: Path):
    for slide in UNIT_OF:
        write_patches(tmp_path, slide, np.full((REGIONS[slide], PATCHES), slide == "a"))
    with pytest.raises(HiptError) as error:
        patch_means(units_in(tmp_path), Results(tmp_path))
    assert str(error.value) == (
        f"{tmp_path}/embed_patches/c.arrow: no patch could be read; exclude the slide in the sheet"
    )
