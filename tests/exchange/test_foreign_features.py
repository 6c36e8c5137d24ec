"""Files of TRIDENT and CLAM as they come: what is read, and what is said of broken ones."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from hipt.errors import HiptError, SlideError
from hipt.exchange.feature_files import FeatureFiles
from hipt.exchange.foreign_features import (
    features_identity,
    features_width,
    read_patches,
    read_slide,
)
from hipt.exchange.foreign_values import ForeignSlide
from hipt.exchange.foreign_vectors import read_features

COORDS = np.array([[0, 0], [128, 0], [0, 128]])


def write(path: Path, attributes: dict | None = None, **datasets: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            file[name] = values
        if attributes:
            file["coords"].attrs.update(attributes)
    return path


def features(shape: tuple[int, ...] = (3, 5)) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_trident(tmp_path: Path):
    path = tmp_path / "features_uni_v1" / "a.h5"
    write(path, {"patch_size_level0": 128}, features=features(), coords=COORDS)
    files = FeatureFiles.named(str(path.parent))
    patches = read_patches(files, "a")
    np.testing.assert_array_equal(patches.coords, COORDS)
    assert (patches.side_px, files.encoder, features_width(files)) == (128, "uni_v1", 5)
    np.testing.assert_array_equal(read_features(files, "a"), features().astype(np.float16))


def test_an_empty_first_axis_is_taken_off(tmp_path: Path):
    at = {"patch_size_level0": 128}
    write(tmp_path / "a.h5", at, features=features((1, 3, 5)), coords=COORDS[None])
    files = FeatureFiles.named(str(tmp_path))
    assert read_features(files, "a").shape == (3, 5)
    assert read_patches(files, "a").coords.shape == (3, 2)


def test_what_trident_and_clam_say_of_the_slide(tmp_path: Path):
    files, size = FeatureFiles(tmp_path / "f"), {"level0_width": 2000, "level0_height": 1000}
    stated = {"patch_size_level0": 128, **size}
    write(tmp_path / "f" / "a.h5", stated, features=features(), coords=COORDS)
    assert read_slide(files, "a") == ForeignSlide(2000, 1000, None)
    stated["level0_magnification"] = 40
    write(tmp_path / "f" / "a.h5", stated, features=features(), coords=COORDS)
    assert read_slide(files, "a") == ForeignSlide(2000, 1000, 0.25)
    write(tmp_path / "h5_files" / "a.h5", features=features(), coords=COORDS)
    files = FeatureFiles(tmp_path / "h5_files")
    assert read_slide(files, "a") is None
    at = {"patch_size": 64, "downsample": [2.0, 2.0], "downsampled_level_dim": (1000, 500)}
    write(tmp_path / "patches" / "a.h5", at, coords=COORDS)
    assert read_slide(files, "a") == ForeignSlide(2000, 1000, None)


@pytest.mark.parametrize("named", ["clam", "clam/h5_files"])
@pytest.mark.parametrize("downsample", [2.0, [2.0, 2.0]])
def test_clam(tmp_path: Path, named: str, downsample: object):
    write(tmp_path / "clam" / "h5_files" / "a.h5", features=features(), coords=COORDS)
    at = {"patch_size": 64, "downsample": downsample, "patch_level": 1}
    write(tmp_path / "clam" / "patches" / "a.h5", at, coords=COORDS)
    files = FeatureFiles.named(str(tmp_path / named))
    assert (read_patches(files, "a").side_px, files.encoder) == (128, "clam")


def test_identity_and_digest_follow_both_files(tmp_path: Path):
    write(tmp_path / "h5_files" / "a.h5", features=features(), coords=COORDS)
    files = FeatureFiles.named(str(tmp_path))
    marks = [features_identity(files, "a")]
    digests = [files.digests(["a", "b"])]
    write(tmp_path / "patches" / "a.h5", {"patch_size": 64, "downsample": 1}, coords=COORDS)
    marks.append(features_identity(files, "a"))
    digests.append(files.digests(["a", "b"]))
    write(tmp_path / "h5_files" / "a.h5", features=features() + 1, coords=COORDS)
    marks.append(features_identity(files, "a"))
    digests.append(files.digests(["a", "b"]))
    assert len(set(marks)) == 3
    assert digests[0] != digests[1] != digests[2]
    assert digests[0]["b"] == [None, None]


def test_no_such_folder_is_one_sentence(tmp_path: Path):
    with pytest.raises(HiptError, match="no such folder; name TRIDENT's"):
        FeatureFiles.named(str(tmp_path / "nowhere"))


def both(files: FeatureFiles) -> None:
    """What the two steps read of a slide."""
    read_patches(files, "a")
    read_features(files, "a")


SIDE = {"patch_size_level0": 128}
BROKEN = {
    "no coords": (None, {"features": features()}, "has no dataset coords (found: features)"),
    "no features": (SIDE, {"coords": COORDS}, "has no dataset features (found: coords)"),
    "no side": (None, {"features": features(), "coords": COORDS}, "does not say how large a patch"),
    "other count": (SIDE, {"features": features((2, 5)), "coords": COORDS}, "shape (2, 5) for 3"),
    "three columns": (SIDE, {"features": features(), "coords": np.zeros((3, 3))}, "shape (3, 3)"),
    "half pixels": (SIDE, {"features": features(), "coords": COORDS + 0.5}, "whole level-0 pixels"),
    "too large": (
        SIDE,
        {"features": features() * 1e6, "coords": COORDS},
        "3 vectors cannot be used: 3 with numbers beyond 65504 (float16); the first is row 1 of",
    ),
    "no numbers": (
        SIDE,
        {"features": features() * np.nan, "coords": COORDS},
        "3 with nan; the first is row 1 of",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_ends_its_slide_in_one_sentence(tmp_path: Path, name: str):
    attributes, datasets, sentence = BROKEN[name]
    path = write(tmp_path / "a.h5", attributes, **datasets)
    files = FeatureFiles.named(str(tmp_path))
    with pytest.raises(SlideError) as error:
        both(files)
    assert error.value.status == "unreadable"
    assert error.value.reason.startswith(f"its imported features: {path}: ")
    assert sentence in error.value.reason
    assert "\n" not in error.value.reason


@pytest.mark.parametrize("content", [b"", b"text", None])
def test_no_hdf5_file(tmp_path: Path, content: bytes | None):
    if content is not None:
        (tmp_path / "a.h5").write_bytes(content)
    files = FeatureFiles.named(str(tmp_path))
    with pytest.raises(SlideError) as error:
        read_patches(files, "a")
    assert error.value.status == ("missing" if content is None else "unreadable")
    assert features_width(files) is None


def test_a_failed_read_has_the_same_sentence_every_time(tmp_path: Path):
    """HDF5 brings the time of day and an address; an index holds nothing that varies."""
    (tmp_path / "a.h5").mkdir()
    with pytest.raises(SlideError) as error:
        read_features(FeatureFiles(tmp_path), "a")
    assert error.value.reason == (
        f"its imported features: {tmp_path / 'a.h5'}: is no HDF5 file that can be read ([Errno 21] "
        "Unable to synchronously open file (file read failed: 'Is a directory'))"
    )
