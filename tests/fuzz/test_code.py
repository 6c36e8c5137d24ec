"""Files that would run code, if anything in them were trusted."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hipt.config.command_line import read_config
from hipt.config.config import Config
from hipt.embedding.weights_files import read_weights
from hipt.errors import HiptError
from hipt.exchange.annotations import read_outside_mask
from hipt.exchange.feature_files import FeatureFiles
from hipt.exchange.foreign_features import read_patches
from hipt.exchange.foreign_vectors import read_features
from hipt.pretraining.state import read_state
from hipt.tasks.features import FileFeatures
from hipt.tasks.labels.label_tables import read_label_table
from tests.fuzz.arrays import COORDS, FEATURES, SIDE, h5
from tests.slide2vecmaker import write_slide2vec

RAN = "ran"


class Bad:
    """Opens a file for writing when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return open, (RAN, "w")


def saved(value: object, **options: Any) -> bytes:
    held = io.BytesIO()
    torch.save(value, held, **options)
    return held.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    held = io.BytesIO()
    np.savez(held, **arrays)
    return held.getvalue()


OBJECTS = np.array([Bad(), Bad()], dtype=object)
PICKLES = {
    "plain": pickle.dumps(Bad()),
    "old protocol": pickle.dumps({"teacher": Bad()}, protocol=0),
    "zip": saved({"teacher": {"cls_token": Bad()}}),
    "old torch": saved({"settings": Bad()}, _use_new_zipfile_serialization=False),
    "npz": npz(features=OBJECTS, coords=OBJECTS),
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_pickles_would_run_code(here: Path):
    pickle.loads(PICKLES["plain"]).close()  # noqa: S301 - that is what is shown
    assert (here / RAN).exists()


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors", ".bin"])
@pytest.mark.parametrize("kind", PICKLES)
def test_weights_and_states_are_not_unpickled(here: Path, kind: str, suffix: str):
    path = here / f"weights{suffix}"
    path.write_bytes(PICKLES[kind])
    with pytest.raises(HiptError, match=path.name):
        read_weights(path)
    with pytest.raises(HiptError, match=path.name):
        read_state(path, "settings")
    assert not (here / RAN).exists()


@pytest.mark.parametrize("kind", PICKLES)
def test_tables_and_features_are_not_unpickled(here: Path, kind: str):
    for name in ("a.h5", "a.parquet", "a.csv", "a.zip"):
        (here / name).write_bytes(PICKLES[kind])
    for read in (read_features, read_patches):
        with pytest.raises(HiptError, match=r"a\.h5"):
            read(FeatureFiles(here), "a")
    with pytest.raises(HiptError, match=r"a\.parquet"):
        FileFeatures(here / "a.parquet")
    for name in ("a.parquet", "a.csv", "a.zip"):
        with pytest.raises(HiptError, match=name):
            read_label_table(here / name, ["grade"], "tasks.x")
    assert not (here / RAN).exists()


@pytest.mark.parametrize("kind", PICKLES)
@pytest.mark.parametrize("file", ["tile_embeddings/a.pt", "tiles/a.coordinates.npz"])
def test_features_of_slide2vec_are_not_unpickled(here: Path, kind: str, file: str):
    files = FeatureFiles(write_slide2vec(here, "a", FEATURES, COORDS, 128))
    (here / file).write_bytes(PICKLES[kind])
    with pytest.raises(HiptError, match=Path(file).name):
        read_features(files, "a")
    assert not (here / RAN).exists()


def test_an_opaque_dataset_is_no_feature(here: Path):
    held = np.void(PICKLES["plain"])
    for number, features in enumerate((held, np.array([held] * 3))):
        (here / f"{number}.h5").write_bytes(h5(SIDE, features=features, coords=COORDS))
        with pytest.raises(HiptError, match="wanted are numbers"):
            read_features(FeatureFiles(here), str(number))
    (here / "a.h5").write_bytes(h5({"patch_size_level0": held}, coords=COORDS))
    with pytest.raises(HiptError, match="patch's side"):
        read_patches(FeatureFiles(here), "a")
    assert not (here / RAN).exists()


def test_features_are_read_from_their_own_file_alone(here: Path):
    import h5py

    (here / "other.h5").write_bytes(h5(SIDE, features=FEATURES, coords=COORDS))
    (here / "raw").write_bytes(FEATURES.tobytes())
    link = h5py.ExternalLink(str(here / "other.h5"), "/features")

    def stored(file: Any) -> None:
        outside = [(str(here / "raw"), 0, FEATURES.nbytes)]
        file.create_dataset("features", FEATURES.shape, "f4", external=outside)

    def virtual(file: Any) -> None:
        layout = h5py.VirtualLayout(FEATURES.shape, "f4")
        layout[:] = h5py.VirtualSource(str(here / "other.h5"), "features", FEATURES.shape)
        file.create_virtual_dataset("features", layout)

    for made in (lambda file: file.__setitem__("features", link), stored, virtual):
        (here / "a.h5").write_bytes(h5(SIDE, made, coords=COORDS))
        with pytest.raises(HiptError, match="keeps its features in another file"):
            read_features(FeatureFiles(here), "a")


def test_a_picture_starts_no_program(here: Path, monkeypatch: pytest.MonkeyPatch):
    """PIL gives PostScript, whatever the file is called, to Ghostscript."""
    program = here / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n: > {here / RAN}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    text = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"
    (here / "mask.png").write_text(text)
    with pytest.raises(HiptError, match=r"mask\.png: is damaged or no picture"):
        read_outside_mask(here / "mask.png", (8, 8), 1.0)
    assert not (here / RAN).exists()


@pytest.mark.parametrize(
    "text",
    [
        f"results: !!python/object/apply:builtins.open [{RAN}, w]",
        f"results: !!python/object/new:os.system ['touch {RAN}']",
        f"? !!python/name:os.system 'touch {RAN}'",
    ],
)
def test_a_config_is_plain_values(here: Path, text: str):
    (here / "config.yaml").write_text(text)
    with pytest.raises(HiptError, match=r"config\.yaml"):
        read_config(here / "config.yaml")
    assert not (here / RAN).exists()


def test_what_a_config_names_is_not_run(here: Path):
    (here / "config.yaml").write_text(f"results: '$(touch {RAN})`touch {RAN}`'\n")
    assert read_config(here / "config.yaml").results == f"$(touch {RAN})`touch {RAN}`"
    assert Config.model_validate({"results": f"; touch {RAN}"}).results
    assert not (here / RAN).exists()
