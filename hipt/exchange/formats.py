"""The trees that other tools read: TRIDENT, CLAM, STAMP, and HIPT's own bags.

Of each format the datasets, attributes and folders that its readers look for; docs/exchange.md says
what they hold and what is lost.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely.affinity
import shapely.geometry

from hipt import __version__
from hipt.exchange.files import ROOT, write_h5, write_pt
from hipt.exchange.qupath import write_features
from hipt.exchange.slide import (
    ExportedSlide,
    Scale,
    region_grids,
    region_vectors,
    tissue_bag,
)
from hipt.exchange.trident_scale import magnifications
from hipt.geometry.frame import shift

FINGERPRINT = "hipt_fingerprint"
"""Attribute of every HDF5 file: a digest over everything that decides its content."""

STAMP_VERSION = "2.1.0"
"""The version of STAMP since which features have these attributes."""

Written = tuple[list[Path], int]
"""A slide's files, and how many patches are in them."""


@dataclass(frozen=True)
class Format:
    """One tool's tree."""

    write: Callable[[Path, ExportedSlide, Scale], Written]
    """Writes a slide's files into a tree."""
    keeps_empty: bool = False
    """Whether a slide without tissue has files too."""


def _write_trident(tree: Path, slide: ExportedSlide, scale: Scale) -> Written:
    """Contours, coordinates and features of one slide, as in a TRIDENT job directory."""
    bag = tissue_bag(slide, scale)
    job = tree / f"{scale.magnification}x_{scale.patch_px}px_0px_overlap"
    outline = tree / "contours_geojson" / f"{slide.slide_id}.geojson"
    coords = job / "patches" / f"{slide.slide_id}_patches.h5"
    features = job / f"features_{scale.encoder}" / f"{slide.slide_id}.h5"
    _write_contours(outline, slide)
    mark = {ROOT: {FINGERPRINT: slide.fingerprint}}
    placed = _trident_coords(slide, scale)
    write_h5(
        coords, {"coords": bag.coords}, mark | {"coords": placed | _named(coords, slide, tree)}
    )
    there = _named(features, slide, tree)
    write_h5(
        features,
        {"features": bag.features.astype(np.float32), "coords": bag.coords},
        mark | {"coords": placed | there, "features": there | {"encoder": scale.encoder}},
    )
    return [outline, coords, features], len(bag.coords)


def _trident_coords(slide: ExportedSlide, scale: Scale) -> dict[str, Any]:
    """The attributes that TRIDENT gives to coordinates."""
    level0, target = magnifications(slide.read_px, scale.patch_px, scale.mpp)
    return {
        "patch_size": scale.patch_px,
        "patch_size_level0": slide.read_px,
        "level0_magnification": level0,
        "target_magnification": target,
        "overlap": 0,
        "level0_width": slide.width_px,
        "level0_height": slide.height_px,
    }


def _named(file: Path, slide: ExportedSlide, tree: Path) -> dict[str, str]:
    """Name and folder, which TRIDENT writes into its datasets; inside the tree, so no path."""
    return {"name": slide.slide_id, "savetodir": str(file.parent.relative_to(tree))}


def _write_contours(path: Path, slide: ExportedSlide) -> None:
    """The tissue's outlines, numbered as TRIDENT numbers them, in OpenSlide's pixels as coords."""
    outlines = json.loads(slide.contours.read_text(encoding="utf-8"))["features"]
    moved = shift(slide.bounds, "qupath", "openslide")
    features = [
        {
            "type": "Feature",
            "geometry": shapely.geometry.mapping(
                shapely.affinity.translate(shapely.geometry.shape(outline["geometry"]), *moved)
            ),
            "properties": {"tissue_id": number},
        }
        for number, outline in enumerate(outlines)
    ]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3857"}}
    write_features(path, features, crs=crs)


def _write_clam(tree: Path, slide: ExportedSlide, scale: Scale) -> Written:
    """Coordinates and features of one slide, as CLAM's own scripts write them."""
    bag = tissue_bag(slide, scale)
    features = bag.features.astype(np.float32)
    name = slide.slide_id
    coords, tensor, table = (
        tree / folder / f"{name}{suffix}"
        for folder, suffix in (("patches", ".h5"), ("pt_files", ".pt"), ("h5_files", ".h5"))
    )
    mark = {ROOT: {FINGERPRINT: slide.fingerprint}}
    level_px = [int(side / slide.downsample) for side in (slide.width_px, slide.height_px)]
    placed = {
        "patch_size": round(slide.read_px / slide.downsample),
        "patch_level": slide.level,
        "downsample": [slide.downsample, slide.downsample],
        "downsampled_level_dim": level_px,
        "level_dim": level_px,
        "name": name,
        "save_path": "patches",
    }
    write_h5(coords, {"coords": bag.coords}, mark | {"coords": placed})
    write_pt(tensor, features)
    write_h5(table, {"features": features, "coords": bag.coords.astype(np.int32)}, mark)
    return [coords, tensor, table], len(features)


def _write_stamp(tree: Path, slide: ExportedSlide, scale: Scale) -> Written:
    """Features of one slide, as STAMP's preprocessing writes them: float16, coordinates in um."""
    bag = tissue_bag(slide, scale)
    path = tree / f"{slide.slide_id}.h5"
    attributes = {
        "stamp_version": STAMP_VERSION,
        "extractor": scale.encoder,
        "unit": "um",
        "tile_size_um": slide.read_px * slide.mpp,
        "tile_size_px": scale.patch_px,
        "code_hash": f"hipt-{__version__}",
        "feat_type": "tile",
        FINGERPRINT: slide.fingerprint,
    }
    corners_um = (bag.coords * slide.mpp).astype(np.float32)  # (N, 2) from the slide's top left
    write_h5(path, {"feats": bag.features, "coords": corners_um}, {ROOT: attributes})
    return [path], len(bag.coords)


def _write_hipt(tree: Path, slide: ExportedSlide, scale: Scale) -> Written:  # noqa: ARG001
    """All patches of all regions as (M, P, D), and the regions as (M, D); bare tensors."""
    grids = region_grids(slide)
    files = [tree / folder / f"{slide.slide_id}.pt" for folder in ("patches", "regions")]
    for file, values in zip(files, (grids, region_vectors(slide)), strict=True):
        write_pt(file, values)
    return files, grids.shape[0] * grids.shape[1]


FORMATS: Mapping[str, Format] = {
    "trident": Format(_write_trident, keeps_empty=True),
    "clam": Format(_write_clam),
    "stamp": Format(_write_stamp),
    "hipt": Format(_write_hipt),
}
"""By the name that `export.formats` knows them by."""
