"""Features files of polars, pandas and pyarrow: the same vectors, or the row that is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hipt.errors import HiptError
from hipt.tasks.features import FileFeatures

IDS = ["b", "0012", "b", "b"]
VALUES = np.arange(12, dtype=np.float64).reshape(4, 3) / 8  # exact in float16


def frame(kind: Any = pl.Float64, ids: Any = pl.String, values: Any = None) -> pl.DataFrame:
    rows = VALUES.tolist() if values is None else values
    return pl.DataFrame({"slide_id": IDS, "embedding": rows}).with_columns(
        pl.col("slide_id").cast(ids), pl.col("embedding").cast(pl.List(kind))
    )


def file_of(folder: Path, frame: pl.DataFrame) -> Path:
    frame.write_parquet(folder / "f.parquet")
    return folder / "f.parquet"


def refused(path: Path) -> str:
    with pytest.raises(HiptError) as error:
        FileFeatures(path)
    assert str(error.value).startswith(str(path))
    return str(error.value).removeprefix(str(path))


def check(path: Path) -> None:
    features = FileFeatures(path)
    assert list(features.slides()) == ["0012", "b"]
    np.testing.assert_array_equal(features.regions("b").vectors, VALUES[[0, 2, 3]])
    np.testing.assert_array_equal(features.regions("0012").vectors, VALUES[[1]])
    assert features.regions("b").vectors.dtype == np.float32


NUMBERS = (pl.Float16, pl.Float32, pl.Float64, pl.Int64)


@pytest.mark.parametrize("ids", [pl.String, pl.Categorical, pl.Enum(["b", "0012"])], ids=str)
def test_ids_that_polars_wrote(tmp_path: Path, ids: Any):
    check(file_of(tmp_path, frame(ids=ids)))


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("kind", NUMBERS, ids=str)
def test_vectors_that_polars_wrote(tmp_path: Path, kind: Any, fixed: bool):
    values = VALUES * 8
    made = frame(kind, values=values.tolist())
    if fixed:
        made = made.with_columns(pl.col("embedding").cast(pl.Array(kind, 3)))
    made.write_parquet(tmp_path / "f.parquet")
    result = FileFeatures(tmp_path / "f.parquet").regions("b").vectors
    np.testing.assert_array_equal(result, values[[0, 2, 3]])


@pytest.mark.parametrize("kind", [pa.list_, pa.large_list, lambda item: pa.list_(item, 3)])
@pytest.mark.parametrize("item", [pa.float16(), pa.float32(), pa.float64()], ids=str)
@pytest.mark.parametrize(
    "ids", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())], ids=str
)
def test_what_pyarrow_wrote(tmp_path: Path, kind: Any, item: pa.DataType, ids: pa.DataType):
    rows = VALUES.astype(item.to_pandas_dtype())
    table = pa.table(
        {"slide_id": pa.array(IDS).cast(ids), "embedding": pa.array(list(rows), kind(item))}
    )
    pq.write_table(table, tmp_path / "f.parquet", row_group_size=3)  # in two pieces
    check(tmp_path / "f.parquet")


def test_what_pandas_wrote(tmp_path: Path):
    made = pd.DataFrame({"slide_id": pd.Categorical(IDS), "embedding": list(VALUES)})
    made.to_parquet(tmp_path / "f.parquet")
    check(tmp_path / "f.parquet")


def test_a_slice_of_a_larger_frame(tmp_path: Path):
    big = pl.concat([frame(), frame(), frame()])
    check(file_of(tmp_path, big.slice(4, 4)))


WRONG = {
    "ragged": (
        [[1, 2, 3], [1, 2, 3], [1, 2], [1, 2, 3]],
        ", row 3, column 'embedding': has 2 numbers, where row 1 has 3; all rows need vectors",
    ),
    "null row": ([[1, 2, 3], None, [1, 2, 3], [1, 2, 3]], ", row 2, column 'embedding': is empty"),
    "null first": ([None, None, [1, 2], [1, 2]], ", row 1, column 'embedding': is empty"),
    "empty lists": ([[], [], [], []], ", row 1, column 'embedding': is a list without numbers"),
    "null inside": (
        [[1, 2, 3], [1, 2, 3], [1, 2, 3], [1, None, 3]],
        ", row 4, column 'embedding': holds a number that is not finite, or is",
    ),
    "nan inside": (
        [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1.0, float("nan"), 3.0], [1, 2, 3]],
        ", row 3, column 'embedding': holds a number that is not finite, or is",
    ),
    "beyond float32": (
        [[1.0, 2.0, 3.0], [1.0, 1e300, 3.0], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]],
        ", row 2, column 'embedding': holds a number that is not finite, or is",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_the_row_that_is_wrong_is_named(tmp_path: Path, name: str):
    values, sentence = WRONG[name]
    assert refused(file_of(tmp_path, frame(values=values))).startswith(sentence)


def test_a_missing_number_in_a_list_of_fixed_size(tmp_path: Path):
    values = [[1, 2, 3], [1, None, 3], [1, 2, 3], [1, 2, 3]]
    made = frame(values=values).with_columns(pl.col("embedding").cast(pl.Array(pl.Float64, 3)))
    assert refused(file_of(tmp_path, made)).startswith(", row 2, column 'embedding': holds a")


@pytest.mark.parametrize(
    ("kind", "named"), [(pl.List(pl.String), "large_list<"), (pl.String, "large_string")]
)
def test_no_lists_of_numbers(tmp_path: Path, kind: Any, named: str):
    made = pl.DataFrame({"slide_id": ["a"], "embedding": [["x"] if kind != pl.String else "x"]})
    message = refused(file_of(tmp_path, made))
    assert message.startswith(f", column 'embedding': holds {named}")
    assert message.endswith("needed are lists of numbers, all of one length, one per region")


def test_an_id_that_is_missing(tmp_path: Path):
    made = frame().with_columns(slide_id=pl.Series(["b", None, "b", None]))
    assert refused(file_of(tmp_path, made)) == (
        ", row 2, column 'slide_id': is empty, as in 2 rows in all"
    )


@pytest.mark.parametrize("value", [None, float("inf")])
def test_a_place_that_is_missing(tmp_path: Path, value: float | None):
    made = frame().with_columns(x=pl.Series([0.0, 1, 2, 3]), y=pl.Series([0.0, 1, value, 3]))
    assert refused(file_of(tmp_path, made)).startswith(
        ", row 3, column 'y': is not a finite number; mend it, or leave x and y out"
    )


def test_no_rows(tmp_path: Path):
    assert refused(file_of(tmp_path, frame().head(0))) == ": has no rows"
