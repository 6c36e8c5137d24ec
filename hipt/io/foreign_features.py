"""Features that TRIDENT or CLAM has made, read as they lie; what is wrong ends the slide."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from hipt.errors import SlideError
from hipt.io.feature_files import FeatureFiles
from hipt.io.slides import identity

_MOST_PACKED = 100
"""Bytes in memory per byte of a file: no compression of vectors comes near it, a bomb is above."""


@dataclass(frozen=True)
class ForeignPatches:
    """Where the patches lie that somebody else embedded."""

    coords: npt.NDArray[np.int64]  # (N, 2) x, y of corners, level-0 pixels
    side_px: int
    """Side of a patch, level-0 pixels."""


def features_identity(files: FeatureFiles, slide_id: str) -> str:
    """A digest of a slide's files that need no full read.

    Raises:
        SlideError: `missing` or `unreadable`.
    """
    beside = files.patches(slide_id)
    try:
        found = identity(files.features(slide_id))
    except SlideError as error:
        raise SlideError(error.status, f"its imported features: {error.reason}") from None
    return found + (identity(beside) if beside.exists() else "")


def read_patches(files: FeatureFiles, slide_id: str) -> ForeignPatches:
    """A slide's coordinates, and the side of its patches.

    Raises:
        SlideError: `missing` or `unreadable`, naming the file and what it lacks.
    """
    path = files.features(slide_id)
    with _opened(path) as file:
        coords, side = _coords(path, file), _side(dict(file["coords"].attrs))
    beside = files.patches(slide_id)
    if side is None and beside.exists():
        with _opened(beside) as file:
            side = _side(dict(_dataset(beside, file, "coords").attrs))
    if side is None:
        raise _unusable(
            path,
            f"does not say how large a patch is: neither the attribute patch_size_level0 of its "
            f"coords nor {beside} is there; put CLAM's folder patches beside h5_files",
        )
    return ForeignPatches(coords, side)


def read_features(files: FeatureFiles, slide_id: str) -> npt.NDArray[np.float16]:
    """A slide's (N, D) vectors, in the order of its coordinates.

    Raises:
        SlideError: `missing` or `unreadable`, naming the file and what is wrong with it.
    """
    path = files.features(slide_id)
    with _opened(path) as file:
        count = len(_coords(path, file))
        features = _rows(_dataset(path, file, "features")[()])
    if features.ndim != 2 or len(features) != count or not features.shape[1]:
        raise _unusable(path, f"has features of shape {features.shape} for {count} coords")
    with np.errstate(over="ignore"):
        vectors = features.astype(np.float16)
    if not np.isfinite(vectors).all():
        raise _unusable(path, "has features that are no numbers, or above 65504 (float16)")
    return vectors


def features_width(files: FeatureFiles) -> int | None:
    """Width D of the vectors, from the first file that tells; None without any."""
    for path in sorted(files.folder.glob("*.h5")):
        try:
            with _opened(path) as file:
                return int(_dataset(path, file, "features").shape[-1])
        except SlideError:
            continue
    return None


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """An HDF5 file to read from."""
    if not path.exists():
        raise SlideError("missing", f"its imported features: {path}: no such file")
    try:
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except SlideError:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged file raises errors of many kinds
        raise _unusable(path, f"is no HDF5 file that can be read ({error})") from None


def _dataset(path: Path, file: Any, name: str) -> Any:  # noqa: ANN401
    """A dataset of a file."""
    if name not in file or not isinstance(file[name], h5py.Dataset):
        raise _unusable(path, f"has no dataset {name} (found: {', '.join(file) or 'nothing'})")
    if file[name].nbytes > _MOST_PACKED * path.stat().st_size:
        raise _unusable(
            path, f"claims {file[name].nbytes:,} bytes of {name}, more than it can hold"
        )
    return file[name]


def _coords(path: Path, file: Any) -> npt.NDArray[np.int64]:  # noqa: ANN401
    """(N, 2) corners of a file's patches."""
    found = _rows(_dataset(path, file, "coords")[()])
    if found.ndim != 2 or found.shape[1] != 2 or found.dtype.kind not in "iuf":
        raise _unusable(path, f"has coords of shape {found.shape}, wanted are (N, 2) numbers")
    if not np.array_equal(found, np.round(found)):
        raise _unusable(path, "has coords that are not whole level-0 pixels")
    return found.astype(np.int64)


def _rows(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The values without an empty first axis, which some tools write."""
    return values[0] if values.ndim == 3 and len(values) == 1 else values


def _side(attributes: dict[str, Any]) -> int | None:
    """The side of a patch in level-0 pixels, as TRIDENT or CLAM says it; None if neither does."""
    if "patch_size_level0" in attributes:
        return max(1, round(float(attributes["patch_size_level0"])))
    if {"patch_size", "downsample"} <= attributes.keys():
        factor = float(np.mean(attributes["downsample"]))
        return max(1, round(float(attributes["patch_size"]) * factor))
    return None


def _unusable(path: Path, problem: str) -> SlideError:
    """A slide's end."""
    return SlideError("unreadable", f"its imported features: {path}: {problem}")
