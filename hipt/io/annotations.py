"""Tissue outlines for other tools, and from them: GeoJSON as QuPath writes and reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import shapely
import shapely.affinity
import shapely.geometry

from hipt.errors import HiptError
from hipt.io.images import CONTOUR_COLOUR, read_mask
from hipt.io.qupath import write_features

Mask = npt.NDArray[np.bool_]  # [h, w]

EXCLUDING = ("exclude", "ignore", "artefact", "artifact", "background", "hole")
"""A feature whose classification begins like this is cut out; all others are put in."""


def write_contours(
    path: Path, shapes: shapely.MultiPolygon, scale: float, origin: tuple[int, int] = (0, 0)
) -> None:
    """Write polygons as a FeatureCollection in level-0 pixels, whole or not at all.

    Args:
        path: the file.
        shapes: the polygons, in pixels of the mask.
        scale: level-0 pixels per pixel of the mask.
        origin: x, y of the level-0 pixel that the reader calls 0, 0; see `hipt.io.qupath`.
    """
    properties = {
        "objectType": "annotation",
        "classification": {"name": "Tissue", "color": list(CONTOUR_COLOUR)},
    }
    level0 = shapely.affinity.affine_transform(shapes, [scale, 0, 0, scale, -origin[0], -origin[1]])
    features = [
        {"type": "Feature", "geometry": shapely.geometry.mapping(part), "properties": properties}
        for part in level0.geoms
    ]
    write_features(path, features)


def read_outside_mask(path: Path, shape: tuple[int, int], scale: float) -> Mask:
    """A mask that somebody else made, at the resolution of ours.

    Args:
        path: QuPath GeoJSON in level-0 pixels (features are put in, or cut out where their
            classification begins with one of EXCLUDING), or a picture of the whole slide that is
            not black where there is tissue.
        shape: height and width of the mask.
        scale: level-0 pixels per pixel of the mask.

    Raises:
        HiptError: if the file is absent, damaged, or neither.
    """
    if path.suffix.lower() not in (".geojson", ".json"):
        mask = read_mask(path).astype(np.uint8)
        return np.asarray(cv2.resize(mask, shape[::-1], interpolation=cv2.INTER_AREA)) > 0
    put_in: list[shapely.Geometry] = []
    cut_out: list[shapely.Geometry] = []
    for number, feature in enumerate(_features(path), start=1):
        geometry = _geometry(path, number, feature)
        (cut_out if _name(feature).lower().startswith(EXCLUDING) else put_in).append(geometry)
    try:
        with np.errstate(all="ignore"):  # coordinates at the end of what numbers can say
            tissue = shapely.difference(shapely.union_all(put_in), shapely.union_all(cut_out))
    except shapely.errors.ShapelyError as error:
        raise HiptError(f"{path}: its features cannot be put together ({error})") from None
    return _rasterised(shapely.affinity.scale(tissue, 1 / scale, 1 / scale, origin=(0, 0)), shape)


def _features(path: Path) -> list[Any]:
    """The features of a GeoJSON file, whatever its outermost form."""
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise HiptError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise HiptError(f"{path}: is not GeoJSON ({error})") from None
    if isinstance(data, Mapping):
        data = data.get("features", [data])
    if not isinstance(data, list) or not data:
        raise HiptError(f"{path}: holds no features; export annotations as GeoJSON from QuPath")
    return data


def _geometry(path: Path, number: int, feature: object) -> shapely.Geometry:
    """A feature's area."""
    try:
        assert isinstance(feature, Mapping)
        with np.errstate(invalid="ignore", over="ignore"):  # NaN, and what is near infinity
            geometry = shapely.make_valid(shapely.geometry.shape(feature.get("geometry", feature)))
    except (AssertionError, shapely.errors.ShapelyError, ArithmeticError, AttributeError,
            LookupError, RecursionError, TypeError, ValueError):  # fmt: skip
        raise HiptError(f"{path}: feature {number} has no geometry that can be read") from None
    if geometry.area == 0 or not np.isfinite(geometry.bounds).all():
        raise HiptError(f"{path}: feature {number} ({geometry.geom_type}) has no area; draw areas")
    return geometry


def _name(feature: Mapping[str, Any]) -> str:
    """The name of a feature's classification, derived ones in parts; empty without one."""
    properties = feature.get("properties") or {}
    classification = properties.get("classification") if isinstance(properties, Mapping) else None
    if not isinstance(classification, Mapping):
        return ""
    parts = classification.get("names")
    return str(parts[0] if isinstance(parts, list) and parts else classification.get("name", ""))


def _rasterised(area: shapely.Geometry, shape: tuple[int, int]) -> Mask:
    """The pixels whose centre lies in an area: an odd number of its edges is left of them."""
    height, width = shape
    rings = shapely.get_rings(shapely.get_parts(area))
    points, ring = shapely.get_coordinates(rings, return_index=True)
    same = ring[1:] == ring[:-1]
    (x0, y0), (x1, y1) = points[:-1][same].T, points[1:][same].T  # (E,) edges
    first, last = (
        np.clip(np.ceil(end(y0, y1) - 0.5), 0, height).astype(int) for end in (np.fmin, np.fmax)
    )
    count = last - first  # rows whose centres an edge passes
    edge = np.repeat(np.arange(len(count)), count)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count - first, count)
    along = (row + 0.5 - y0[edge]) / (y1 - y0)[edge]
    column = np.clip(np.ceil(x0[edge] + along * (x1 - x0)[edge] - 0.5), 0, width).astype(int)
    crossed = np.zeros((height, width + 1), np.uint8)  # may wrap: only odd or even counts
    np.add.at(crossed, (row, column), 1)
    return np.asarray(np.cumsum(crossed[:, :width], axis=1, dtype=np.uint8) % 2 == 1)
