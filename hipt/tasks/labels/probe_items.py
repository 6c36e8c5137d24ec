"""What the probe is asked about: patches on label maps, and regions of labelled slides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from hipt.cohort.same_content import groups_of
from hipt.config.config import Extent
from hipt.errors import HiptError
from hipt.geometry.frame import Frame
from hipt.geometry.label_map import UNLABELLED, Counts, class_counts, main_classes, segregation
from hipt.layout import Results
from hipt.stats.arrays import Ints
from hipt.stats.knn import drawn_evenly
from hipt.store.images import read_labels
from hipt.store.schemas import MANIFEST, SLIDES
from hipt.store.tables import PatchEmbeddings, Row, read_table

LEAST_SHARE = 0.6
"""A patch has a class if this share of its pixels on the map is of it."""


@dataclass(frozen=True)
class Items:
    """Labelled patches or regions, slide by slide."""

    slides: Sequence[Row]
    """The slides in order, by id: rows of the slide table."""
    slide: Ints
    """(N,) place of each item's slide among them, rising."""
    place: Ints
    """(N,) the item's number on its slide."""
    label: Ints
    """(N,)"""
    names: Mapping[int, str]
    """What labels mean; one without a name is its number."""

    def drawn(self, most: int, seed: int) -> Items:
        """At most so many of them, evenly over slides."""
        kept = drawn_evenly(self.slide, most, seed)
        return Items(self.slides, self.slide[kept], self.place[kept], self.label[kept], self.names)

    @property
    def case(self) -> Ints:
        """(N,) number of each item's case."""
        _, case = np.unique([row["case_id"] for row in self.slides], return_inverse=True)
        return np.asarray(case[self.slide], np.int64)

    @property
    def group(self) -> Ints:
        """(N,) number of each item's case; cases that hold the same slide are one group."""
        _, group = np.unique(groups_of(self.slides), return_inverse=True)
        return np.asarray(group[self.slide], np.int64)

    def by_slide(self) -> Iterator[tuple[Row, list[int]]]:
        """Each slide that has items, with their places."""
        pairs = zip(self.slide.tolist(), self.place.tolist(), strict=True)
        for number, group in groupby(pairs, key=lambda pair: pair[0]):
            yield self.slides[number], [place for _, place in group]


def slides_in_order(table: Path) -> list[Row]:
    """The slides of the slide table that went through every step, by id.

    Raises:
        HiptError: if the table is absent, damaged, or of another version.
    """
    rows: list[Row] = read_table(table, SLIDES).to_pylist()
    return sorted((r for r in rows if r["status"] == "ok"), key=lambda row: str(row["slide_id"]))


def labelled_patches(
    slides: Sequence[Row],
    maps: Mapping[str, Path],
    names: Mapping[int, str],
    results: Results,
    shows: Extent = "slide",
) -> Items:
    """The computed, readable patches that have a class on their slide's label map.

    Raises:
        HiptError: if a map is damaged, or not of the slide's shape.
    """
    kinds = {
        row["slide_id"]: _patch_classes(row, maps[row["slide_id"]], results, shows)
        for row in slides
        if row["slide_id"] in maps
    }
    return _joined(slides, kinds, UNLABELLED, names)


def arranged_regions(
    slides: Sequence[Row],
    maps: Mapping[str, Path],
    results: Results,
    patches: int,
    shows: Extent = "slide",
) -> Items:
    """The regions on label maps, by whether their classes lie apart (1) or mixed (0).

    A region whose segregation is above that of half of them is apart. What has no class counts as
    one more.

    Raises:
        HiptError: if a map is damaged, or not of the slide's shape.
    """
    values = {
        row["slide_id"]: segregation(
            patch_counts(row, maps[row["slide_id"]], results, shows).reshape(-1, patches, 256)
        )
        for row in slides
        if row["slide_id"] in maps
    }
    every = np.concatenate([np.zeros(0), *values.values()])
    middle = np.median(every) if len(every) else 0.0
    kinds = {slide_id: (value > middle).astype(np.int64) for slide_id, value in values.items()}
    return _joined(slides, kinds, -1, {0: "mixed", 1: "apart"})


def labelled_regions(slides: Sequence[Row], value_of: Mapping[str, str]) -> Items:
    """The regions of the slides that have a value."""
    values = sorted(set(value_of.values()))
    kinds = {
        row["slide_id"]: np.full(row["regions"], values.index(value_of[row["slide_id"]]))
        for row in slides
        if row["slide_id"] in value_of
    }
    return _joined(slides, kinds, -1, dict(enumerate(values)))


def _joined(
    slides: Sequence[Row], kinds: Mapping[str, Ints], unlabelled: int, names: Mapping[int, str]
) -> Items:
    """The items with a label, of the labels of slides in the order of their items."""
    none = np.zeros(0, np.int64)
    labels = [kinds.get(row["slide_id"], none) for row in slides]
    sizes, every = [len(of_slide) for of_slide in labels], np.concatenate([none, *labels])
    kept = every != unlabelled
    place = np.concatenate([none, *map(np.arange, sizes)])
    return Items(
        slides, np.repeat(np.arange(len(slides)), sizes)[kept], place[kept], every[kept], names
    )


def _patch_classes(row: Row, path: Path, results: Results, shows: Extent) -> Ints:
    """(P,) class of every patch of a slide; none without a vector of its own pixels."""
    kinds = main_classes(patch_counts(row, path, results, shows), LEAST_SHARE)
    vectors = PatchEmbeddings(results.shard("embed_patches", row["slide_id"]))
    readable, computed = (
        np.concatenate([vectors.region(i)[name].to_numpy(False) for i in range(len(vectors))])
        for name in ("readable", "computed")
    )
    return np.where(readable & computed, kinds, UNLABELLED)


def patch_counts(row: Row, path: Path, results: Results, shows: Extent) -> Counts:
    """(P, 256) pixels of each class on every patch of a slide; none where it lies off the map.

    Args:
        row: the slide's row of the slide table.
        path: its label map.
        results: where its manifest lies.
        shows: what of the slide the map shows.

    Raises:
        HiptError: if the map is damaged, or not of the slide's shape.
    """
    labels = read_labels(path)
    height, width = labels.shape
    size = row["width_px"], row["height_px"]
    frame = Frame(*size, tuple(row["bounds"] or (0, 0, *size)), shows=shows)
    if misfit := frame.misfit(width, height):
        raise HiptError(f"{path}: {misfit}")
    left, top, shown_width, shown_height = frame.shown
    across, down = shown_width / width, shown_height / height  # level-0 pixels per pixel
    manifest = read_table(results.shard("tile", row["slide_id"]), MANIFEST)
    side_px = manifest["read_px"][0].as_py()
    x, y = (manifest[axis].to_numpy() for axis in "xy")
    corners = np.stack([(x - left) / across, (y - top) / down], 1)
    return class_counts(labels, corners, (side_px / across, side_px / down))
