"""Features as TRIDENT and CLAM write them: HDF5 with `features` and `coords`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from hipt.exchange.feature_files import FeatureFiles
from hipt.exchange.foreign_values import (
    ForeignHeader,
    ForeignPatches,
    ForeignSlide,
    absent,
    checked_coords,
    checked_count,
    checked_side,
    checked_slide,
    checked_width,
    refuse_packed,
    unusable,
)
from hipt.exchange.trident_scale import UM_PER_PX_AT_1X

_VARYING = re.compile(r": time = .*?error message = (.*?), buf = .*(?=\))", re.DOTALL)
"""What HDF5 says of a failed read around its reason: the time of day, numbers of the process."""


def hdf5_patches(files: FeatureFiles, slide_id: str) -> ForeignPatches:
    """A slide's coordinates, and the side of its patches."""
    path = files.features(slide_id)
    with _opened(path) as file:
        corners, attributes = _rows(_dataset(path, file, "coords")[()]), dict(file["coords"].attrs)
    return ForeignPatches(checked_coords(path, corners), _side_of(files, slide_id, attributes))


def hdf5_header(files: FeatureFiles, slide_id: str) -> ForeignHeader:
    """What a slide's file promises, without its values."""
    path = files.features(slide_id)
    with _opened(path) as file:
        coords, features = (_dataset(path, file, name) for name in ("coords", "features"))
        count, attributes = checked_count(path, _shape(coords)), dict(coords.attrs)
        dim = checked_width(path, _shape(features), count)
    return ForeignHeader(count, dim, _side_of(files, slide_id, attributes))


def hdf5_slide(files: FeatureFiles, slide_id: str) -> ForeignSlide | None:
    """What TRIDENT says of the slide, and CLAM of its size alone; None where neither does."""
    path, beside = files.features(slide_id), files.clam_patches(slide_id)
    with _opened(path) as file:
        stated = dict(_dataset(path, file, "coords").attrs)
    if stated.keys() >= {"level0_width", "level0_height"}:
        magnification = _mean(stated.get("level0_magnification", math.nan))
        mpp = UM_PER_PX_AT_1X / magnification if magnification > 0 else None
        return checked_slide(path, (stated["level0_width"], stated["level0_height"]), mpp)
    if not beside.exists():
        return None
    with _opened(beside) as file:
        stated = dict(_dataset(beside, file, "coords").attrs)
    sides = np.atleast_1d(stated.get("downsampled_level_dim", ()))
    if sides.shape != (2,) or sides.dtype.kind not in "iuf":
        return None
    return checked_slide(beside, sides * _mean(stated.get("downsample", math.nan)), None)


def hdf5_vectors(files: FeatureFiles, slide_id: str) -> npt.NDArray[Any]:
    """A slide's (N, D) vectors, in the order of its coordinates."""
    path = files.features(slide_id)
    with _opened(path) as file:
        return _rows(_dataset(path, file, "features")[()])


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if not path.exists():
        raise absent(path)
    try:
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except (OSError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = _VARYING.sub(r": \1", str(error))
        raise unusable(path, f"is no HDF5 file that can be read ({reason})") from None


def _dataset(path: Path, file: Any, name: str) -> Any:  # noqa: ANN401
    """A dataset of numbers that lie in this very file, and that memory can hold."""
    if name not in file or not isinstance(file[name], h5py.Dataset):
        names = ", ".join(map(str, file)) or "nothing"
        raise unusable(path, f"has no dataset {name} (found: {names})")
    data = file[name]
    links = isinstance(file.get(name, getlink=True), h5py.HardLink)
    if not links or data.is_virtual or data.external:
        raise unusable(path, f"keeps its {name} in another file; copy them into this one")
    if data.shape is None or data.dtype.kind not in "iuf":
        raise unusable(path, f"has {name} of type {data.dtype}, wanted are numbers")
    what = f"{name} of shape {data.shape}"
    refuse_packed(path, what, data.nbytes, data.id.get_storage_size())
    return data


def _shape(data: Any) -> tuple[int, ...]:  # noqa: ANN401
    """A dataset's shape without an empty first axis, which some tools write."""
    shape = tuple(int(side) for side in data.shape)
    return shape[1:] if len(shape) == 3 and shape[0] == 1 else shape


def _rows(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The values without an empty first axis, which some tools write."""
    return values[0] if values.ndim == 3 and len(values) == 1 else values


def _side_of(files: FeatureFiles, slide_id: str, attributes: dict[str, Any]) -> int:
    """The side of a slide's patches, level-0 pixels, from the file or the one beside it."""
    path, beside = files.features(slide_id), files.clam_patches(slide_id)
    side = _side(path, attributes)
    if side is None and beside.exists():
        with _opened(beside) as file:
            side = _side(beside, dict(_dataset(beside, file, "coords").attrs))
    if side is None:
        raise unusable(
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
            return checked_side(path, math.prod(map(_mean, sides.values())), sides)
    return None


def _mean(value: object) -> float:
    """An attribute's number, or the mean of its numbers; NaN where it has none."""
    numbers = np.asarray(value)
    return float(numbers.mean()) if numbers.size and numbers.dtype.kind in "iuf" else math.nan
