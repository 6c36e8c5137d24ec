"""HDF5 files and tensors: equal bytes for equal values, and nothing half-written."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from hipt.exchange.files import CHUNK_ROWS, ROOT, write_h5, write_pt

FULL = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from hipt.exchange.files import write_h5, write_pt

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
path, values = Path(sys.argv[1]), np.ones((1000, 100), np.float32)
try:
    write_h5(path, {"features": values}, {}) if path.suffix == ".h5" else write_pt(path, values)
except OSError as error:
    print(error.errno, error.filename)
"""


def test_h5(tmp_path: Path):
    values = np.random.default_rng(0).normal(size=(CHUNK_ROWS + 5, 7)).astype(np.float32)
    for name in ("a", "b"):
        attributes = {ROOT: {"of": "file"}, "features": {"pair": [2.0, 2.0]}}
        write_h5(tmp_path / f"{name}.h5", {"features": values}, attributes)
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["features"][:], values)
        assert file["features"].chunks == (CHUNK_ROWS, 7)
        assert file["features"].attrs["pair"].tolist() == [2, 2]
        assert file.attrs["of"] == "file"
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_nothing_has_a_shape_too(tmp_path: Path):
    write_h5(tmp_path / "a.h5", {"features": np.zeros((0, 7), np.float32)}, {})
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["features"][:].shape == (0, 7)


def test_pt(tmp_path: Path):
    values = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    for name in ("a", "b"):
        write_pt(tmp_path / f"{name}.pt", values)
    result = torch.load(tmp_path / "a.pt", weights_only=True)
    np.testing.assert_array_equal(result.numpy(), values)
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()


@pytest.mark.parametrize("name", ["a.h5", "a.pt"])
def test_a_full_disk_is_an_error_that_names_the_file(tmp_path: Path, name: str):
    command = [sys.executable, "-c", FULL, str(tmp_path / name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [str(errno.EFBIG), str(tmp_path / name)]
    assert list(tmp_path.iterdir()) == []
