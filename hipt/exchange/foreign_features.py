"""Features that TRIDENT or CLAM has made, read as they lie; what is wrong ends the slide."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from hipt.errors import SlideError
from hipt.exchange.feature_files import FeatureFiles
from hipt.slides.identity import identity
from hipt.store.finite import MOST_FLOAT16, Broken

_SMALL_BYTES, _MOST_PACKED = 1 << 28, 200
"""Vectors of numbers shrink to a half at best; what shrinks to a 200th of much is no vectors."""

_FARTHEST_PX = 2**31 - 1
"""No slide is larger."""


_VARYING = re.compile(r": time = .*?error message = (.*?), buf = .*(?=\))", re.DOTALL)
"""What HDF5 says of a failed read around its reason: the time of day, numbers of the process."""


@dataclass(frozen=True)
class ForeignPatches:
    """Where the patches lie that somebody else embedded."""

    coords: npt.NDArray[np.int64]  # (N, 2) x, y of corners, level-0 pixels
    side_px: int
    """Side of a patch, level-0 pixels."""


@dataclass(frozen=True)
class ForeignHeader:
    """What the header of a file of features promises."""

    patches: int
    dim: int
    """Numbers of a vector."""
    side_px: int
    """Side of a patch, level-0 pixels."""


def features_identity(files: FeatureFiles, slide_id: str) -> str:
    """A digest of a slide's files that need no full read.

    Raises:
        SlideError: `missing` or `unreadable`.
    """
    beside = files.patches(slide_id)
    try:
        own = identity(files.features(slide_id))
    except SlideError as error:
        raise SlideError(error.status, f"its imported features: {error.reason}") from None
    return own + (identity(beside) if beside.exists() else "")


def read_patches(files: FeatureFiles, slide_id: str) -> ForeignPatches:
    """A slide's coordinates, and the side of its patches.

    Raises:
        SlideError: `missing` or `unreadable`, naming the file and what it lacks.
    """
    path = files.features(slide_id)
    with _opened(path) as file:
        coords, attributes = _coords(path, file), dict(file["coords"].attrs)
    return ForeignPatches(coords, _side_of(files, slide_id, attributes))


def read_header(files: FeatureFiles, slide_id: str) -> ForeignHeader:
    """What a slide's file promises, without its values.

    Raises:
        SlideError: `missing` or `unreadable`, as reading the values would.
    """
    path = files.features(slide_id)
    with _opened(path) as file:
        coords, features = (_dataset(path, file, name) for name in ("coords", "features"))
        count, attributes = _count(path, _shape(coords)), dict(coords.attrs)
        dim = _width(path, _shape(features), count)
    return ForeignHeader(count, dim, _side_of(files, slide_id, attributes))


def refuse_another_size(side_px: int, slide_mpp: float, patch_um: float, tolerance: float) -> None:
    """Refuse imported patches of another size than the wanted one.

    Args:
        side_px: side of a patch, level-0 pixels.
        slide_mpp: level-0 resolution of the slide, um/px.
        patch_um: the wanted side.
        tolerance: how far the side may be from it, as a share.

    Raises:
        SlideError: `unreadable`, with both sizes.
    """
    side_um = side_px * slide_mpp
    if abs(side_um / patch_um - 1) > tolerance:
        raise SlideError(
            "unreadable",
            f"its imported features: a patch has a side of {side_px} px, {side_um:g} um; "
            f"wanted are {patch_um:g} um (tile.patch_px at mpp; slides.mpp_tolerance is "
            f"{tolerance:.0%}); make them again from patches of that side",
        )


def refuse_no_patch(patches: int) -> None:
    """Refuse features of nothing.

    Raises:
        SlideError: `no_tissue`.
    """
    if not patches:
        raise SlideError("no_tissue", "its imported features hold no patch")


def read_features(files: FeatureFiles, slide_id: str) -> npt.NDArray[np.float16]:
    """A slide's (N, D) vectors, in the order of its coordinates.

    Raises:
        SlideError: `missing` or `unreadable`, naming the file and what is wrong with it.
    """
    path = files.features(slide_id)
    with _opened(path) as file:
        count = len(_coords(path, file))
        features = _rows(_dataset(path, file, "features")[()])
    _width(path, features.shape, count)
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
        reason = _VARYING.sub(r": \1", str(error))
        raise _unusable(path, f"is no HDF5 file that can be read ({reason})") from None


def _dataset(path: Path, file: Any, name: str) -> Any:  # noqa: ANN401
    """A dataset of numbers that lie in this very file, and that memory can hold."""
    if name not in file or not isinstance(file[name], h5py.Dataset):
        names = ", ".join(map(str, file)) or "nothing"
        raise _unusable(path, f"has no dataset {name} (found: {names})")
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
    corners = _rows(_dataset(path, file, "coords")[()])
    _count(path, corners.shape)
    if not np.array_equal(corners, np.round(corners)):
        raise _unusable(path, "has coords that are not whole level-0 pixels")
    if (np.abs(corners.astype(np.float64)) > _FARTHEST_PX).any():
        raise _unusable(path, f"has coords beyond {_FARTHEST_PX:,} px, where no slide has pixels")
    return corners.astype(np.int64)


def _count(path: Path, shape: tuple[int, ...]) -> int:
    """How many patches coordinates of a shape are of."""
    if len(shape) != 2 or shape[1] != 2:
        raise _unusable(path, f"has coords of shape {shape}, wanted are (N, 2) numbers")
    return shape[0]


def _width(path: Path, shape: tuple[int, ...], count: int) -> int:
    """How many numbers a vector of features of a shape has."""
    if len(shape) != 2 or shape[0] != count or not shape[1]:
        raise _unusable(path, f"has features of shape {shape} for {count} coords")
    return shape[1]


def _shape(data: Any) -> tuple[int, ...]:  # noqa: ANN401
    """A dataset's shape without an empty first axis, which some tools write."""
    shape = tuple(int(side) for side in data.shape)
    return shape[1:] if len(shape) == 3 and shape[0] == 1 else shape


def _rows(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The values without an empty first axis, which some tools write."""
    return values[0] if values.ndim == 3 and len(values) == 1 else values


def _side_of(files: FeatureFiles, slide_id: str, attributes: dict[str, Any]) -> int:
    """The side of a slide's patches, level-0 pixels, from the file or the one beside it."""
    path, beside = files.features(slide_id), files.patches(slide_id)
    side = _side(path, attributes)
    if side is None and beside.exists():
        with _opened(beside) as file:
            side = _side(beside, dict(_dataset(beside, file, "coords").attrs))
    if side is None:
        raise _unusable(
            path,
            f"does not say how large a patch is: neither the attribute patch_size_level0 of its "
            f"coords nor {beside} is there; put CLAM's folder patches beside h5_files",
        )
    return side


def _side(path: Path, attributes: dict[str, Any]) -> int | None:
    """The side of a patch in level-0 pixels, as TRIDENT or CLAM says it; None if neither does."""
    for names in (("patch_size_level0",), ("patch_size", "downsample")):
        if attributes.keys() >= set(names):
            sides = {name: attributes[name] for name in names}
            side = math.prod(map(_mean, sides.values()))
            if not 0 < side <= _FARTHEST_PX:
                raise _unusable(
                    path, f"says of a patch's side {sides}, which is no number of pixels"
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
