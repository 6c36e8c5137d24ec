"""How far two files are apart in what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from hipt.audit.content import EQUAL, compared
from hipt.embedding.weights_files import write_weights
from hipt.store.tables import vectors
from tests.store.test_tables import embeddings, write_embeddings


def difference(tmp_path: Path, old: dict[str, Any], new: dict[str, Any], **writing: Any) -> str:
    paths = [tmp_path / f"{name}.parquet" for name in ("old", "new")]
    pq.write_table(pa.table(old), paths[0])
    pq.write_table(pa.table(new), paths[1], **writing)
    return compared(*paths)


def test_the_way_of_writing_is_no_content(tmp_path: Path):
    values = {"a": np.arange(2000), "b": [f"{i}" for i in range(2000)]}
    assert difference(tmp_path, values, values, compression="gzip", row_group_size=100) == EQUAL


def test_the_largest_difference_of_each_column(tmp_path: Path):
    old = {
        "n": [1, 2],
        "x": [0.5, 0.25],
        "v": vectors(np.zeros((2, 3), np.float32)),
        "t": ["a", "b"],
    }
    new = {
        **{"n": [1, 5], "x": [0.5, 0.5], "t": ["a", "c"]},
        "v": vectors(np.array([[0, 0, 0], [0, -2, 1]], np.float32)),
    }
    text = difference(tmp_path, old, {name: new[name] for name in old})
    assert text == (
        "column 'n': largest absolute difference 3; column 'x': largest absolute difference 0.25; "
        "column 'v': largest absolute difference 2; column 't': other values"
    )


def test_no_number_equals_no_number_alone(tmp_path: Path):
    old = {"x": [1.0, float("nan")]}
    assert difference(tmp_path, old, old, compression="gzip") == EQUAL
    assert "difference inf" in difference(tmp_path, old, {"x": [1.0, 2.0]})


def test_other_columns_and_other_rows(tmp_path: Path):
    assert difference(tmp_path, {"a": [1]}, {"a": [1.0]}) == "other columns: a int64 -> a double"
    assert difference(tmp_path, {"a": [1]}, {"a": [1, 2]}) == "1 rows -> 2"


def test_patch_embeddings(tmp_path: Path):
    values = embeddings(3)
    old = write_embeddings(tmp_path / "old.arrow", values)
    values[2, 1, 0] += 1
    new = write_embeddings(tmp_path / "new.arrow", values)
    assert compared(old, new) == "column 'embedding': largest absolute difference 1"


def test_tensors(tmp_path: Path):
    paths = [tmp_path / f"{name}.safetensors" for name in ("old", "new", "more")]
    write_weights(paths[0], {"w": torch.zeros(3)}, {"a": "1"})
    write_weights(paths[1], {"w": torch.tensor([0, 0.5, 0])}, {})
    write_weights(paths[2], {"w": torch.zeros(3), "b": torch.zeros(1)}, {})
    assert compared(paths[0], paths[1]) == "tensors: largest absolute difference 0.5"
    assert compared(paths[0], paths[2]) == "other tensors"
    paths[1].write_bytes(b"no tensors")
    with pytest.raises(ValueError, match="header"):
        compared(paths[0], paths[1])


def test_other_files_are_not_looked_into(tmp_path: Path):
    assert compared(tmp_path / "a.csv", tmp_path / "b.csv") == ""
