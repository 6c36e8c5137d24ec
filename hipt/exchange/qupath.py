"""What QuPath opens beside a slide: GeoJSON objects in level-0 pixels.

They are in QuPath's own pixels, which start where the scan does: see `hipt.geometry.frame`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hipt.geometry.frame import shift
from hipt.store.whole import whole

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.floating[Any]]


def write_tiles(
    path: Path,
    corners: Ints,
    side_px: int,
    measurements: Mapping[str, Floats],
    bounds: Sequence[int] = (0, 0),
) -> None:
    """Write squares that QuPath colours by their measurements, whole or not at all.

    Args:
        path: the file.
        corners: (N, 2) top-left corners x, y, level-0 pixels as OpenSlide counts them.
        side_px: of each square, level-0 pixels.
        measurements: (N,) numbers by name; what is not finite is left out of its square.
        bounds: of the scanned part, level-0 pixels as OpenSlide counts them.

    Raises:
        ValueError: if a measurement has not one number per square.
    """
    for name, values in measurements.items():
        if values.shape != (len(corners),):
            raise ValueError(f"{name!r} has shape {values.shape} for {len(corners)} tiles")
    places = (corners + np.asarray(shift(bounds, "openslide", "qupath"))).tolist()
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [_square(x, y, side_px)]},
            "properties": {"objectType": "tile", "measurements": measured},
        }
        for (x, y), measured in zip(places, _by_tile(measurements, len(places)), strict=True)
    ]
    write_features(path, features)


def write_features(path: Path, features: Sequence[Mapping[str, Any]], **more: object) -> None:
    """Write GeoJSON features as one collection, with more members; whole or not at all."""
    collection = {"type": "FeatureCollection", **more, "features": features}
    text = json.dumps(collection, allow_nan=False)
    with whole(path) as part:
        part.write_text(text, encoding="utf-8")


def _square(x: int, y: int, side_px: int) -> list[tuple[int, int]]:
    """The closed outline of a square, in the order that GeoJSON wants."""
    right, bottom = x + side_px, y + side_px
    return [(x, y), (right, y), (right, bottom), (x, bottom), (x, y)]


def _by_tile(measurements: Mapping[str, Floats], count: int) -> Iterator[dict[str, float]]:
    """The finite measurements of each tile."""
    columns = {
        name: (values.astype(np.float64).tolist(), np.isfinite(values).tolist())
        for name, values in measurements.items()
    }
    for i in range(count):
        yield {name: values[i] for name, (values, finite) in columns.items() if finite[i]}
