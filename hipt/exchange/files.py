"""The kinds of files that other tools read: HDF5 and torch tensors; each whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import torch

from hipt.store.whole import whole

ROOT = "/"
"""Stands for the file itself among the attributes."""

CHUNK_ROWS = 512
"""Vectors per chunk; one per chunk, as some writers have it, is slow to read."""


def write_h5(
    path: Path,
    datasets: Mapping[str, npt.NDArray[Any]],
    attributes: Mapping[str, Mapping[str, Any]],
) -> None:
    """Write one HDF5 file; equal values give equal bytes.

    Args:
        path: the file.
        datasets: (N, ...) arrays by name.
        attributes: attributes by the dataset that carries them, ROOT for the file's own.
    """
    made = BytesIO()
    with h5py.File(made, "w") as file:
        for name, values in datasets.items():
            rows = min(CHUNK_ROWS, len(values))
            chunks = (rows, *values.shape[1:]) if rows else None
            file.create_dataset(name, data=values, chunks=chunks)
        for name, pairs in attributes.items():
            file[name].attrs.update(pairs)
    _write(path, made)


def write_pt(path: Path, values: npt.NDArray[np.float32]) -> None:
    """Write a bare tensor, as `torch.load(path, weights_only=True)` gives it back."""
    made = BytesIO()
    torch.save(torch.from_numpy(np.ascontiguousarray(values)), made)
    _write(path, made)


def _write(path: Path, made: BytesIO) -> None:
    """Write what was made in memory: on a full disk, HDF5 would take the process down with it."""
    with whole(path) as part:
        part.write_bytes(made.getbuffer())
