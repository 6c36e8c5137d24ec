"""Features that TRIDENT or CLAM has made, read as they lie; what is wrong ends the slide."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from hipt.embedding.finite import MOST_FLOAT16, Broken
from hipt.errors import SlideError
from hipt.io.feature_files import FeatureFiles
from hipt.io.slides import identity

_SMALL_BYTES, _MOST_PACKED = 1 << 28, 200
"""Vectors of numbers shrink to a half at best; what shrinks to a 200th of much is no vectors."""

_FARTHEST_PX = 2**31 - 1
"""No slide is larger."""


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
        coords, side = _coords(path, file), _side(path, dict(file["coords"].attrs))
    beside = files.patches(slide_id)
    if side is None and beside.exists():
        with _opened(beside) as file:
            side = _side(beside, dict(_dataset(beside, file, "coords").attrs))
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
    broken = Broken()
    broken.add(vectors, 0)
    if broken.first is not None:
        counts = broken.counted(f"{MOST_FLOAT16} (float16)")
        raise _unusable(path, f"{counts}; the first is row {broken.first[1] + 1} of features")
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
    except (OSError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise _unusable(path, f"is no HDF5 file that can be read ({error})") from None


def _dataset(path: Path, file: Any, name: str) -> Any:  # noqa: ANN401
    """A dataset of numbers that lie in this very file, and that memory can hold."""
    if name not in file or not isinstance(file[name], h5py.Dataset):
        found = ", ".join(map(str, file)) or "nothing"
        raise _unusable(path, f"has no dataset {name} (found: {found})")
    data = file[name]
    links = isinstance(file.get(name, getlink=True), h5py.HardLink)
    if not links or data.is_virtual or data.external:
        raise _unusable(path, f"keeps its {name} in another file; copy them into this one")
    if data.shape is None or data.dtype.kind not in "iuf":
        raise _unusable(path, f"has {name} of type {data.dtype}, wanted are numbers")
    stored = data.id.get_storage_size()
    if data.nbytes > max(_SMALL_BYTES, _MOST_PACKED * stored):
        problem = f"{name} of shape {data.shape} in {stored:,} bytes, which nothing packs so small"
        raise _unusable(path, f"has {problem}; make them again")
    return data


def _coords(path: Path, file: Any) -> npt.NDArray[np.int64]:  # noqa: ANN401
    """(N, 2) corners of a file's patches."""
    found = _rows(_dataset(path, file, "coords")[()])
    if found.ndim != 2 or found.shape[1] != 2 or found.dtype.kind not in "iuf":
        raise _unusable(path, f"has coords of shape {found.shape}, wanted are (N, 2) numbers")
    if not np.array_equal(found, np.round(found)):
        raise _unusable(path, "has coords that are not whole level-0 pixels")
    if (np.abs(found.astype(np.float64)) > _FARTHEST_PX).any():
        raise _unusable(path, f"has coords beyond {_FARTHEST_PX:,} px, where no slide has pixels")
    return found.astype(np.int64)


def _rows(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The values without an empty first axis, which some tools write."""
    return values[0] if values.ndim == 3 and len(values) == 1 else values


def _side(path: Path, attributes: dict[str, Any]) -> int | None:
    """The side of a patch in level-0 pixels, as TRIDENT or CLAM says it; None if neither does."""
    for names in (("patch_size_level0",), ("patch_size", "downsample")):
        if attributes.keys() >= set(names):
            said = {name: attributes[name] for name in names}
            side = math.prod(map(_mean, said.values()))
            if not 0 < side <= _FARTHEST_PX:
                raise _unusable(
                    path, f"says of a patch's side {said}, which is no number of pixels"
                )
            return max(1, round(side))
    return None


def _mean(value: object) -> float:
    """An attribute's number, or the mean of its numbers; NaN where it has none."""
    numbers = np.asarray(value)
    return float(numbers.mean()) if numbers.size and numbers.dtype.kind in "iuf" else math.nan


def _unusable(path: Path, problem: str) -> SlideError:
    """A slide's end."""
    return SlideError("unreadable", f"its imported features: {path}: {problem}")
