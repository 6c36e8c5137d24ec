"""Parquet and Arrow files: their schemas hold, damage is named, equal content is equal bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hipt.errors import HiptError
from hipt.store.provenance import Provenance
from hipt.store.schemas import (
    INDICES,
    MANIFEST,
    SLIDES,
    patch_embeddings_schema,
    region_embeddings_schema,
)
from hipt.store.shard import read_provenance
from hipt.store.tables import (
    PatchEmbeddings,
    matrix,
    patch_embeddings_writer,
    read_table,
    vectors,
    write_rows,
    write_table,
)

MADE = Provenance(step="tile", step_version=1, fingerprint="ab", settings={}, facts={"regions": 2})
PATCHES, DIM = 4, 6
SMALL = pa.schema([pa.field("id", pa.string(), nullable=False), pa.field("n", pa.int64())])


def embeddings(regions: int) -> npt.NDArray[np.float16]:
    """(regions, PATCHES, DIM)"""
    return np.random.default_rng(7).normal(size=(regions, PATCHES, DIM)).astype(np.float16)


def write_embeddings(path: Path, values: npt.NDArray[np.float16]) -> Path:
    schema = patch_embeddings_schema(values.shape[-1])
    with patch_embeddings_writer(path, schema, MADE) as writer:
        for region, grid in enumerate(values):
            patches = len(grid)
            columns = {
                "slide_id": ["s1"] * patches,
                "region": np.full(patches, region, np.int32),
                "patch": np.arange(patches, dtype=np.int16),
                "x": np.arange(patches) * 256,
                "y": np.full(patches, region * 256),
                "tissue": np.linspace(0, 1, patches, dtype=np.float32),
                "readable": np.arange(patches) != 1,
                "computed": np.arange(patches) != 0,
                "embedding": vectors(grid),
            }
            writer.write_batch(pa.record_batch(columns, schema=schema))
    return path


def manifest(rows: int) -> dict[str, Any]:
    numbers = {
        field.name: np.arange(rows).astype(field.type.to_pandas_dtype())
        for field in MANIFEST
        if field.name != "slide_id"
    }
    return {"slide_id": ["0012"] * rows} | numbers


@given(
    hnp.arrays(
        st.sampled_from([np.float16, np.float32]),
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=5).filter(lambda s: s[1]),
    )
)
def test_vectors_there_and_back(values: npt.NDArray[Any]):
    column = vectors(values)
    back = matrix(column)
    assert (back.dtype, back.shape) == (values.dtype, values.shape)
    assert back.tobytes() == values.tobytes()
    assert matrix(pa.chunked_array([column, column])).tobytes() == 2 * values.tobytes()
    assert matrix(column.slice(1)).tobytes() == values[1:].tobytes()


def test_vectors_of_a_transposed_array():
    values = np.arange(6, dtype=np.float32).reshape(2, 3).T
    assert matrix(vectors(values)).tolist() == values.tolist()


def test_table_there_and_back(tmp_path: Path):
    columns = manifest(5)
    write_table(tmp_path / "a.parquet", columns, MANIFEST, MADE)
    table = read_table(tmp_path / "a.parquet", MANIFEST)
    assert table.schema.names == MANIFEST.names
    for name, values in columns.items():
        assert table[name].to_pylist() == list(values)
    assert read_provenance(tmp_path / "a.parquet") == MADE
    assert pq.ParquetFile(tmp_path / "a.parquet").metadata.row_group(0).column(1).compression == (
        "ZSTD"
    )


@pytest.mark.parametrize("schema", [MANIFEST, SLIDES, *INDICES.values()])
def test_a_table_may_be_empty(tmp_path: Path, schema: pa.Schema):
    write_rows(tmp_path / "a.parquet", [], schema)
    assert read_table(tmp_path / "a.parquet", schema).num_rows == 0


def test_rows_lack_what_they_lack(tmp_path: Path):
    write_rows(tmp_path / "a.parquet", [{"id": "a"}, {"id": "b", "n": 2}], SMALL)
    rows = read_table(tmp_path / "a.parquet", SMALL).to_pylist()
    assert rows == [{"id": "a", "n": None}, {"id": "b", "n": 2}]


UNFIT = {
    "column missing": {"id": ["a"]},
    "column unknown": {"id": ["a"], "n": [1], "m": [1]},
    "null where none may be": {"id": [None], "n": [1]},
    "wrong type": {"id": ["a"], "n": ["x"]},
    "lengths": {"id": ["a", "b"], "n": [1]},
}


@pytest.mark.parametrize("name", UNFIT)
def test_columns_that_do_not_fit_are_not_written(tmp_path: Path, name: str):
    with pytest.raises((ValueError, TypeError)):
        write_table(tmp_path / "a.parquet", UNFIT[name], SMALL)
    assert list(tmp_path.iterdir()) == []


def test_a_misspelt_fact_is_not_lost_in_silence(tmp_path: Path):
    with pytest.raises(ValueError, match="columns m are missing or not in the schema"):
        write_rows(tmp_path / "a.parquet", [{"id": "a", "n": 1}, {"id": "b", "m": 1}], SMALL)


OTHERS = {
    "column 'n' is missing": [("id", pa.string())],
    "column 'm' is unknown": [("id", pa.string()), ("n", pa.int64()), ("m", pa.int64())],
    "column 'n' is int32 instead of int64": [("id", pa.string()), ("n", pa.int32())],
    "columns stand in another order": [("n", pa.int64()), ("id", pa.string())],
}


@pytest.mark.parametrize("difference", OTHERS)
def test_table_of_another_version(tmp_path: Path, difference: str):
    path = tmp_path / "a.parquet"
    fields = [pa.field(name, kind, nullable=name != "id") for name, kind in OTHERS[difference]]
    pq.write_table(pa.schema(fields).empty_table(), path)
    with pytest.raises(HiptError) as error:
        read_table(path, SMALL)
    assert str(error.value) == (
        f"{path}: is not of this version ({difference}); delete it, and it is made again"
    )


def test_column_that_may_be_null(tmp_path: Path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": ["a"], "n": [1]}), path)
    with pytest.raises(HiptError, match="'id' is string instead of string without nulls"):
        read_table(path, SMALL)


def test_embeddings_of_another_version(tmp_path: Path):
    path = tmp_path / "a.arrow"
    for table in (pa.table({"x": [1]}), pa.table({"embedding": [[1.0]]})):
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
        with pytest.raises(HiptError, match="is not of this version"):
            PatchEmbeddings(path)


def test_absent_files(tmp_path: Path):
    with pytest.raises(HiptError) as error:
        read_table(tmp_path / "a.parquet")
    assert str(error.value) == (
        f"{tmp_path}/a.parquet: not there; the step that makes it has to run first"
    )
    with pytest.raises(HiptError) as error:
        PatchEmbeddings(tmp_path / "a.arrow")
    assert str(error.value) == f"{tmp_path}/a.arrow: not there; embed_patches has to run first"


@pytest.mark.parametrize("tenth", range(10))
def test_cut_files_are_named(tmp_path: Path, tenth: int):
    table, arrow = tmp_path / "a.parquet", tmp_path / "a.arrow"
    write_table(table, manifest(50), MANIFEST, MADE)
    write_embeddings(arrow, embeddings(3))
    for path in (table, arrow):
        path.write_bytes(path.read_bytes()[: path.stat().st_size * tenth // 10])
        with pytest.raises(HiptError, match="is missing or damaged"):
            read_provenance(path)
    with pytest.raises(HiptError) as error:
        read_table(table)
    assert str(error.value).startswith(f"{table}: not readable as Parquet (")
    assert str(error.value).endswith("); delete it, and it is made again")
    with pytest.raises(HiptError) as error:
        PatchEmbeddings(arrow)
    assert str(error.value).startswith(f"{arrow}: not readable as Arrow (")
    assert "\n" not in str(error.value)


def test_grids_there_and_back(tmp_path: Path):
    values = embeddings(3)
    slide = PatchEmbeddings(write_embeddings(tmp_path / "a.arrow", values))
    assert (len(slide), slide.dim) == (3, DIM)
    for region in (2, 0, 1):
        grid = slide.grid(region)
        assert grid.dtype == np.float16
        assert grid.tobytes() == values[region].tobytes()
        rows = slide.region(region)
        assert rows["region"].to_pylist() == [region] * PATCHES
        assert rows["patch"].to_pylist() == [0, 1, 2, 3]
        assert rows["readable"].to_pylist() == [True, False, True, True]
    assert read_provenance(tmp_path / "a.arrow") == MADE


def test_a_slide_without_regions(tmp_path: Path):
    slide = PatchEmbeddings(write_embeddings(tmp_path / "a.arrow", embeddings(0)))
    assert (len(slide), slide.dim) == (0, DIM)


def test_a_grid_is_a_view_of_the_file(tmp_path: Path):
    """What is asked for is mapped, not read: no allocation, whatever the slide's size."""
    big = np.zeros((64, PATCHES, 4096), np.float16)
    slide = PatchEmbeddings(write_embeddings(tmp_path / "a.arrow", big))
    before = pa.total_allocated_bytes()
    grid = slide.grid(40)
    assert pa.total_allocated_bytes() - before < 10_000
    assert not grid.flags.owndata
    assert not grid.flags.writeable


def test_equal_content_is_equal_bytes(tmp_path: Path):
    for name in ("one", "two"):
        write_table(tmp_path / f"{name}.parquet", manifest(50), MANIFEST, MADE)
        write_embeddings(tmp_path / f"{name}.arrow", embeddings(3))
    for suffix in ("parquet", "arrow"):
        one, two = ((tmp_path / f"{name}.{suffix}").read_bytes() for name in ("one", "two"))
        assert one == two


def test_an_error_while_writing_leaves_nothing(tmp_path: Path):
    schema = patch_embeddings_schema(DIM)
    with pytest.raises(KeyError), patch_embeddings_writer(tmp_path / "a", schema, MADE):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_region_embeddings(tmp_path: Path):
    values = np.arange(8, dtype=np.float32).reshape(2, 4)
    columns = {"slide_id": ["a", "a"], "region": [0, 1], "x": [1, 2], "y": [3, 4]}
    columns |= {"tissue": [0.5, 1.0], "embedding": vectors(values)}
    schema = region_embeddings_schema(4)
    write_table(tmp_path / "a.parquet", columns, schema)
    back = read_table(tmp_path / "a.parquet", schema)
    assert matrix(back["embedding"]).tolist() == values.tolist()
    with pytest.raises(HiptError, match="carries no provenance"):
        read_provenance(tmp_path / "a.parquet")
