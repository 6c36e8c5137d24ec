"""Features as slide2vec writes them: a tensor, and coordinates in another folder.

Source: slide2vec 5.0.0 to 7.1.4, slide2vec/artifacts.py and runtime/embedding.py; hs2p 4.4.1 and
6.1.0, hs2p/tiling/io.py.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from hipt.exchange.feature_files import FeatureFiles
from hipt.exchange.foreign_values import (
    ForeignHeader,
    ForeignPatches,
    ForeignSlide,
    absent,
    checked_coords,
    checked_side,
    checked_slide,
    refuse_packed,
    unusable,
)


def slide2vec_patches(files: FeatureFiles, slide_id: str) -> ForeignPatches:
    """A slide's coordinates, and the side of its patches."""
    header = slide2vec_header(files, slide_id)
    path = files.coordinates(slide_id)
    axes = (
        [npz_array(path, axis) for axis in "xy"] if header.patches else [np.zeros(0, np.int64)] * 2
    )
    return ForeignPatches(checked_coords(path, np.stack(axes, 1)), header.side_px)


def slide2vec_header(files: FeatureFiles, slide_id: str) -> ForeignHeader:
    """What a slide's files promise, without their values: of nothing there is one file alone."""
    path, stated = files.features(slide_id), _stated(files, slide_id)
    count, dim = (_whole(path, stated, name) for name in ("num_tiles", "feature_dim"))
    side = checked_side(path, _whole(path, stated, "tile_size_lv0"), stated["tile_size_lv0"])
    if not count:
        return ForeignHeader(0, 0, side)
    vectors, places = vectors_file(files, slide_id), files.coordinates(slide_id)
    if not vectors.exists():
        raise absent(vectors)
    shapes = {axis: _npz_shape(places, axis) for axis in "xy"}
    if set(shapes.values()) != {(count,)}:
        raise unusable(places, f"has coordinates of shapes {shapes} for {count} vectors")
    return ForeignHeader(count, dim, side)


def slide2vec_slide(files: FeatureFiles, slide_id: str) -> ForeignSlide | None:
    """What hs2p, which placed the tiles, says of the slide; None where it does not."""
    path = files.tiling(slide_id)
    if not path.exists():
        return None
    slide = _json(path).get("slide")
    slide = slide if isinstance(slide, dict) else {}
    return checked_slide(path, slide.get("dimensions"), slide.get("base_spacing_um"))


def vectors_file(files: FeatureFiles, slide_id: str) -> Path:
    """The file with a slide's vectors, in the format that slide2vec wrote last."""
    path, kind = files.features(slide_id), _stated(files, slide_id).get("format")
    if kind not in ("pt", "npz"):
        raise unusable(path, f"names the format {kind!r}, known are pt and npz")
    return path.with_name(f"{slide_id}.{kind}")


def npz_array(path: Path, name: str) -> npt.NDArray[Any]:
    """An array of numbers of an npz file; nothing is unpickled.

    Raises:
        SlideError: `missing` or `unreadable`.
    """
    _npz_shape(path, name)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            values: npt.NDArray[Any] = arrays[name]
    except _DAMAGED as error:
        raise unusable(path, f"is no npz file that can be read ({error})") from None
    return values


_DAMAGED = (OSError, LookupError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error)


def _npz_shape(path: Path, name: str) -> tuple[int, ...]:
    """The shape of an array of numbers that memory can hold, from its header."""
    if not path.exists():
        raise absent(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = [entry.removesuffix(".npy") for entry in archive.namelist()]
            if name not in names:
                found = ", ".join(names) or "nothing"
                raise unusable(path, f"has no array {name} (found: {found})")
            stored = archive.getinfo(f"{name}.npy").compress_size
            with archive.open(f"{name}.npy") as file:
                shape, dtype = _npy_header(file)
    except (*_DAMAGED, EOFError) as error:
        raise unusable(path, f"is no npz file that can be read ({error})") from None
    if dtype.kind not in "iuf":
        raise unusable(path, f"has {name} of type {dtype}, wanted are numbers")
    nbytes = int(np.prod(shape, dtype=object)) * dtype.itemsize
    refuse_packed(path, f"{name} of shape {shape}", nbytes, stored)
    return shape


def _npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of an array."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0
    if version != (1, 0):
        read = np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype


def _stated(files: FeatureFiles, slide_id: str) -> dict[str, Any]:
    path = files.features(slide_id)
    stated = _json(path)
    if stated.get("artifact_type") != "tile_embeddings":
        raise unusable(path, "does not say that it is of slide2vec's tile_embeddings")
    return stated


def _json(path: Path) -> dict[str, Any]:
    """The object of a JSON file."""
    if not path.exists():
        raise absent(path)
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise unusable(path, f"is no JSON that can be read ({error})") from None
    if not isinstance(stated, dict):
        raise unusable(path, f"holds a {type(stated).__name__}, not an object")
    return stated


def _whole(path: Path, stated: dict[str, Any], name: str) -> int:
    """A number that slide2vec states; 0 for null, which it writes of the width of nothing."""
    value = stated.get(name)
    if value is None and name in stated:
        return 0
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise unusable(path, f"has no whole number {name} ({value!r})")
    return value
