"""Pictures of patches and regions beside those that the embeddings take for most alike."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hipt.cohort.same_content import groups_of
from hipt.config.config import TileConfig
from hipt.errors import HiptError, SlideError
from hipt.layout import Results
from hipt.report.page import data_uri
from hipt.slides.slide import open_slide
from hipt.slides.squares import square
from hipt.stats.arrays import Ints
from hipt.stats.neighbours import evenly, nearest_elsewhere, queries
from hipt.store.tables import PatchEmbeddings, Row, matrix, read_table

log = logging.getLogger(__name__)

MOST_SLIDES = 64
"""Slides that patches and regions are taken from, whatever the cohort."""

NEAREST = 5
"""Neighbours per query."""

LEAST_TISSUE = 0.5
"""Patches with less tissue show glass, and glass is like glass."""

Sample = tuple[Ints, npt.NDArray[np.floating[Any]]]  # (n, 2) corners and (n, D) vectors


@dataclass(frozen=True)
class Level:
    """What is compared, and how much of it."""

    name: str
    queries: int
    most: int
    """Most items that are compared."""
    side_px: int
    """Of a picture."""


LEVELS = (Level("patch", 6, 4000, 64), Level("region", 4, 2000, 128))
"""60 pictures at most."""


@dataclass(frozen=True)
class _Items:
    """Patches or regions of the sampled slides, slide by slide."""

    slides: Sequence[Row]
    slide: Ints
    """(N,) place of each item's slide, rising."""
    corner: Ints
    """(N, 2) x, y, level-0 pixels."""
    vectors: npt.NDArray[np.floating[Any]]
    """(N, D)"""

    @property
    def group(self) -> Ints:
        """(N,) number of each item's case; cases that hold the same slide are one group."""
        _, group = np.unique(groups_of(self.slides), return_inverse=True)
        return np.asarray(group[self.slide], np.int64)


def neighbours(
    slides: Sequence[Row], results: Results, tile: TileConfig
) -> Iterator[dict[str, Any]]:
    """For patches and regions of slides in order, a few with their nearest ones of other cases.

    Yields:
        level, side_px, how many are compared, of how many slides, and rows of pictures, the query
        first; nothing where there are not two cases.
    """
    there = {path.name for path in (results.root / "embed_patches").glob("*.arrow")}
    made = [s for s in slides if results.shard("embed_patches", s["slide_id"]).name in there]
    sampled = _opened([made[i] for i in evenly(len(made), MOST_SLIDES)])
    for level in LEVELS:
        if len(set(groups_of(sampled))) < 2:
            return
        items = _items(sampled, results, level)
        if len(np.unique(items.group)) > 1:
            yield {
                "level": level.name,
                "side_px": level.side_px,
                "compared": len(items.slide),
                "slides": len(np.unique(items.slide)),
                "rows": _pictured(items, level, tile),
            }


def _opened(slides: Sequence[Row]) -> list[Row]:
    """Those of the slides that can be opened."""
    readable, trouble = [], ""
    for row in slides:
        try:
            open_slide(Path(row["path"])).close()
        except SlideError as error:
            trouble = trouble or str(error)
            continue
        readable.append(row)
    if trouble:
        lost = len(slides) - len(readable)
        log.warning("%d slides are left out of the nearest neighbours: %s", lost, trouble)
    return readable


def _items(slides: Sequence[Row], results: Results, level: Level) -> _Items:
    """What is compared: of every slide about as many, evenly over its tissue."""
    most, items = max(1, level.most // len(slides)), []
    for row in slides:
        try:
            if level.name == "patch":
                items.append(_patches(results.shard("embed_patches", row["slide_id"]), most))
            else:
                items.append(_regions(results.shard("embed_regions", row["slide_id"]), most))
        except HiptError as error:
            log.warning("%s; left out of the nearest neighbours", error)
            items.append((np.zeros((0, 2), np.int64), np.zeros((0, 0))))
    vectors = [vectors for _, vectors in items if len(vectors)]
    return _Items(
        slides,
        np.repeat(np.arange(len(items)), [len(corner) for corner, _ in items]),
        np.concatenate([corner for corner, _ in items]),
        np.concatenate(vectors) if vectors else np.zeros((0, 0)),
    )


def _patches(path: Path, most: int) -> Sample:
    """Some of a slide's readable tissue patches; one region in memory at a time."""
    embeddings = PatchEmbeddings(path)
    regions = [embeddings.region(i) for i in range(len(embeddings))]  # mapped, not read
    fit = [
        np.flatnonzero((r["tissue"].to_numpy() >= LEAST_TISSUE) & r["readable"].to_numpy(False))
        for r in regions
    ]
    ends = np.cumsum([0, *map(len, fit)])
    kept = evenly(int(ends[-1]), most)
    corners, vectors = [np.zeros((0, 2), np.int64)], [np.zeros((0, embeddings.dim), np.float16)]
    for i, region in enumerate(regions):
        places = fit[i][kept[(kept >= ends[i]) & (kept < ends[i + 1])] - ends[i]]
        corners.append(np.stack([region[axis].to_numpy()[places] for axis in "xy"], 1))
        vectors.append(embeddings.grid(i)[places])
    return np.concatenate(corners), np.concatenate(vectors)


def _regions(path: Path, most: int) -> Sample:
    """Some of a slide's regions."""
    table = read_table(path)
    kept = evenly(len(table), most)
    corners = np.stack([table[axis].to_numpy()[kept] for axis in "xy"], 1)
    return corners, matrix(table["embedding"])[kept]


def _pictured(items: _Items, level: Level, tile: TileConfig) -> list[list[dict[str, Any]]]:
    """Rows of pictures: a query, then its neighbours."""
    chosen = queries(items.slide, level.queries)
    nearest = nearest_elsewhere(chosen, items.vectors, items.group, NEAREST)
    rows = [[(int(q), None), *near] for q, near in zip(chosen, nearest, strict=True)]
    pictures = _pictures(items, {item for row in rows for item, _ in row}, level, tile)
    return [
        [
            {
                "slide_id": items.slides[items.slide[item]]["slide_id"],
                "similarity": similarity,
                "data": pictures[item],
            }
            for item, similarity in row
            if item in pictures
        ]
        for row in rows
    ]


def _pictures(
    items: _Items, wanted: Iterable[int], level: Level, tile: TileConfig
) -> dict[int, str]:
    """The pictures of some items, as data; a slide is opened once."""
    by_slide = defaultdict(list)
    for item in wanted:
        by_slide[int(items.slide[item])].append(item)
    side = tile.patch_px if level.name == "patch" else tile.region_px
    pictures = {}
    for number, members in by_slide.items():
        row = items.slides[number]
        side_read = round(side * row["read_mpp"] / row["mpp"])
        with open_slide(Path(row["path"])) as slide:
            for item in members:
                x, y = items.corner[item].tolist()
                rgb = square(slide, x, y, side_read, level.side_px)
                pictures[item] = data_uri(rgb, level.side_px)
    return pictures
