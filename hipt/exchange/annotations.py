"""Tissue outlines for other tools, and from them: GeoJSON as QuPath writes and reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import shapely
import shapely.affinity
import shapely.geometry

from hipt.errors import HiptError
from hipt.exchange.qupath import write_features
from hipt.geometry.frame import Frame, IntBox, shift
from hipt.pictures.drawing import CONTOUR_COLOUR
from hipt.store.images import read_mask_picture

Mask = npt.NDArray[np.bool_]  # [h, w]

EXCLUDING = ("exclude", "ignore", "artefact", "artifact", "background", "hole")
"""A feature whose classification begins like this is cut out; all others are put in."""


_PICTURES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".gif", ".jp2", ".pgm", ".webp")

LEAST_OUTSIDE = 0.01
"""From this share on it is noted that a mask reaches beyond what was scanned."""


@dataclass(frozen=True)
class OutsideMask:
    """A mask that somebody else made."""

    mask: Mask
    """True where it marks tissue on the scanned part."""
    reason: str = ""
    """Why it marks none there; empty where it marks some."""
    note: str = ""
    """What somebody should know about it."""


def write_contours(
    path: Path, shapes: shapely.MultiPolygon, scale: float, bounds: Sequence[int] = (0, 0)
) -> None:
    """Write polygons as a FeatureCollection in level-0 pixels of QuPath, whole or not at all.

    Args:
        path: the file.
        shapes: the polygons, in pixels of the mask.
        scale: level-0 pixels per pixel of the mask.
        bounds: of the scanned part; see `hipt.geometry.frame`.
    """
    properties = {
        "objectType": "annotation",
        "classification": {"name": "Tissue", "color": list(CONTOUR_COLOUR)},
    }
    moved = shift(bounds, "openslide", "qupath")
    level0 = shapely.affinity.affine_transform(shapes, [scale, 0, 0, scale, *moved])
    outlines = (
        [shapely.get_coordinates(ring).tolist() for ring in shapely.get_rings(part)]
        for part in level0.geoms
    )
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": rings},
            "properties": properties,
        }
        for rings in outlines
    ]
    write_features(path, features)


def read_contours(path: Path, bounds: Sequence[int] = (0, 0)) -> shapely.MultiPolygon:
    """What `write_contours` wrote, in level-0 pixels as OpenSlide counts them.

    Args:
        path: the file.
        bounds: of the scanned part; see `hipt.geometry.frame`.

    Raises:
        HiptError: if it is absent or damaged.
    """
    tissue = _tissue(path, may_be_empty=True)
    areas: Any = [part for part in shapely.get_parts(tissue) if part.geom_type == "Polygon"]
    moved = shift(bounds, "qupath", "openslide")
    return shapely.affinity.translate(shapely.MultiPolygon(areas), *moved)


def read_outside_mask(
    path: Path, shape: tuple[int, int], scale: float, frame: Frame | None = None
) -> OutsideMask:
    """A mask that somebody else made, at the resolution of ours.

    Args:
        path: GeoJSON in level-0 pixels (features are put in, or cut out where their classification
            begins with one of EXCLUDING), or a picture that shows something where there is tissue.
        shape: height and width of the mask.
        scale: level-0 pixels per pixel of the mask.
        frame: how it lies on the slide; None: the mask is the whole slide, and all was scanned.

    Raises:
        HiptError: if the file is absent, damaged, neither, or a picture of another shape.
    """
    if frame is None:
        size = round(shape[1] * scale), round(shape[0] * scale)
        frame = Frame(*size, (0, 0, *size))
    if path.suffix.lower() in (".geojson", ".json"):
        return _from_outlines(path, shape, scale, frame)
    return _from_picture(path, shape, scale, frame)


def _from_outlines(path: Path, shape: tuple[int, int], scale: float, frame: Frame) -> OutsideMask:
    tissue = shapely.affinity.translate(_tissue(path), *frame.shift)
    whole = _rasterised(shapely.affinity.scale(tissue, 1 / scale, 1 / scale, origin=(0, 0)), shape)
    mask = _cut_to(whole, frame.bounds, scale)
    x, y, width, height = frame.bounds
    scan = shapely.box(x, y, x + width, y + height)
    if mask.any():
        with np.errstate(all="ignore"):
            inside = shapely.area(shapely.intersection(tissue, scan)) / shapely.area(tissue)
        return OutsideMask(mask, note=_beyond(path, 1 - float(inside)))
    if shapely.is_empty(tissue):
        reason = "marks nothing: all its areas are of classes that are cut out"
    elif shapely.intersects(tissue, scan):
        reason = f"marks less of what was scanned than a pixel of the mask ({scale:.3g} px wide)"
    else:
        reason = _elsewhere(tissue, frame)
    return OutsideMask(mask, f"its mask {path.name} {reason}")


def _elsewhere(tissue: shapely.Geometry, frame: Frame) -> str:
    """Where areas lie that do not lie on the slide, in OpenSlide's pixels."""
    left, top, right, bottom = shapely.bounds(tissue)
    where = "outside of what was scanned" if frame.partly_scanned else "outside of the slide"
    text = (
        f"lies {where}: it spans x {left:,.0f} to {right:,.0f} and y {top:,.0f} to {bottom:,.0f}, "
        f"the slide has {frame.width_px:,} x {frame.height_px:,} px"
    )
    if not frame.partly_scanned:
        return f"{text}; draw it on this slide"
    x, y, width, height = frame.bounds
    text += f", of which x {x:,} to {x + width:,} and y {y:,} to {y + height:,} were scanned"
    return f"{text}; draw it on this slide, or see slides.mask_origin"


def _from_picture(path: Path, shape: tuple[int, int], scale: float, frame: Frame) -> OutsideMask:
    """A mask from a picture of the slide, or of its scanned part."""
    try:
        picture, graded = read_mask_picture(path)
    except HiptError:
        if path.suffix.lower() in _PICTURES or not path.is_file():
            raise
        raise HiptError(
            f"{path}: is neither GeoJSON (.geojson, .json) nor a picture; unpack it if it is "
            "compressed, open annotations of other programs in QuPath and export them as GeoJSON"
        ) from None
    height, width = picture.shape
    if misfit := frame.misfit(width, height):
        raise HiptError(f"{path}: {misfit}")
    rows, columns = _covered(frame.shown, shape, scale)
    size = columns.stop - columns.start, rows.stop - rows.start
    whole = np.zeros(shape, bool)
    small = cv2.resize(picture.astype(np.uint8), size, interpolation=cv2.INTER_AREA)
    whole[rows, columns] = small > 0
    mask = _cut_to(whole, frame.bounds, scale)
    if not picture.any():
        reason = "is empty: every pixel of it is black, 0 or transparent"
        return OutsideMask(mask, f"its mask {path.name} {reason}")
    if not mask.any():
        reason = "marks nothing of what was scanned, or less than a pixel of the mask"
        return OutsideMask(mask, f"its mask {path.name} {reason} ({scale:.3g} px wide)")
    notes = [_beyond(path, 1 - mask.sum() / whole.sum())]
    if graded:
        notes.append(
            f"its mask {path.name} holds many numbers, of which all but 0 count as tissue; of "
            "probabilities, save what is above your threshold"
        )
    elif mask[_covered(frame.bounds, shape, scale)].all():
        notes.append(
            f"its mask {path.name} marks all of what was scanned; what is no tissue has to be "
            "black, 0 or transparent"
        )
    if frame.ambiguous(width, height):
        shown = {"slide": "the whole slide", "scan": "what was scanned of the slide"}
        notes.append(
            f"its mask {path.name} is taken to show {shown[frame.shows]} "
            f"(slides.pictures_show: {frame.shows})"
        )
    return OutsideMask(mask, note="; ".join(filter(None, notes)))


def _beyond(path: Path, share: float) -> str:
    """A note on the share of a mask that lies where nothing was scanned; empty for a little."""
    if share < LEAST_OUTSIDE:
        return ""
    return f"{share:.0%} of its mask {path.name} lie outside of what was scanned"


def _covered(box: IntBox, shape: tuple[int, int], scale: float) -> tuple[slice, slice]:
    """The rows and columns of the mask that a part of level 0 covers, at least one of each."""
    x, y, width, height = box
    spans = []
    for start, length, most in ((y, height, shape[0]), (x, width, shape[1])):
        first = min(max(0, round(start / scale)), most - 1)
        last = int(np.ceil((start + length) / scale - 1e-6))
        spans.append(slice(first, min(max(last, first + 1), most)))
    return spans[0], spans[1]


def _cut_to(mask: Mask, box: IntBox, scale: float) -> Mask:
    """A mask without what lies outside of a part of level 0."""
    part = _covered(box, (mask.shape[0], mask.shape[1]), scale)
    out = np.zeros_like(mask)
    out[part] = mask[part]
    return out


def _tissue(path: Path, *, may_be_empty: bool = False) -> shapely.Geometry:
    """The areas of a GeoJSON file without those that it cuts out, in its own pixels."""
    put_in: list[shapely.Geometry] = []
    cut_out: list[shapely.Geometry] = []
    for number, feature in enumerate(_features(path, may_be_empty), start=1):
        geometry = _geometry(path, number, feature)
        (cut_out if _name(feature).lower().startswith(EXCLUDING) else put_in).append(geometry)
    try:
        with np.errstate(all="ignore"):  # coordinates at the end of what numbers can say
            return shapely.difference(shapely.union_all(put_in), shapely.union_all(cut_out))
    except shapely.errors.ShapelyError as error:
        raise HiptError(f"{path}: its features cannot be put together ({error})") from None


def _features(path: Path, may_be_empty: bool) -> list[Any]:
    """The features of a GeoJSON file, whatever its outermost form."""
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise HiptError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise HiptError(f"{path}: is not GeoJSON ({error})") from None
    if isinstance(data, Mapping):
        data = data.get("features", [data])
    if not isinstance(data, list) or not (data or may_be_empty):
        raise HiptError(f"{path}: holds no features; export annotations as GeoJSON from QuPath")
    return data


def _geometry(path: Path, number: int, feature: object) -> shapely.Geometry:
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
