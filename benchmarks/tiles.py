"""Real tiles with class labels, as questions: for the benchmarks of features."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple, TypedDict

import cv2
import numpy as np
import numpy.typing as npt
import torch

from hipt.config.config import SlidesConfig
from hipt.config.pretraining import PatchViewsConfig
from hipt.geometry.resolution import ReadPlan, plan_read, resolve_mpp
from hipt.nn.dino.colours import draw_colours, recolour
from hipt.slides.region_reader import RegionReader, SlideJob
from hipt.slides.slide import open_slide

PAIRS = {
    "spleen": ("spleen_red_pulp", "spleen_white_pulp"),
    "lung": ("scc_tumour", "tumour_stroma"),
    "mass": ("spindle_tumour", "dermis", "adipose"),
}
"""Questions inside one slide; a slide that lacks a class is no part of it."""

ORAL = ("oral_normal", "oral_oscc")
BLOCKS = 10
"""Runs of fields with neighbouring numbers, perhaps of one patient, that do not vote on each other;
as many of either class."""
OVERLAP = 0.4
"""Least phase correlation of two camera fields that overlap; unrelated ones have 0.05 to 0.3."""

JITTER = PatchViewsConfig(
    jitter=1, brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1, grayscale=0, blur=(0, 0, 0)
)
"""How colours of queries are changed, where they are; never those of the keys."""

DRAWN = Path(__file__).parent / "drawn_tiles.json"
TILE_PX, TILE_MPP = 256, 0.5
APART_UM = 16.0
"""Least distance of two rectangles of a class, which are two groups: no nucleus lies in both."""
ROUNDS = 20
"""How often colours are set anew after what left 0 to 255 was cut off."""

Pixels = npt.NDArray[np.uint8]  # [N, H, W, 3]
Floats = npt.NDArray[np.floating]  # [N, D], or (N,)
Ints = npt.NDArray[np.int64]  # (N,)
Row = dict[str, str]


class Part(NamedTuple):
    """Tiles among which neighbours are looked for."""

    pixels: Pixels
    jittered: Pixels
    labels: Ints
    group: Ints
    """Nothing is learned of a tile from others of its group."""


class Question(NamedTuple):
    """One task: its parts, slide by slide."""

    name: str
    parts: list[Part]

    @property
    def labels(self) -> Ints:
        """(N,) of all parts."""
        return np.concatenate([part.labels for part in self.parts])

    @property
    def groups(self) -> Ints:
        """(N,) groups of all parts, which share none."""
        parts = np.repeat(np.arange(len(self.parts)), [len(part.labels) for part in self.parts])
        groups = np.concatenate([part.group for part in self.parts])
        return np.unique([parts, groups], axis=1, return_inverse=True)[1].ravel()


class Drawn(TypedDict):
    """A question drawn on one slide."""

    name: str
    colour_answers: bool
    """Whether six numbers of colour do as well as any: then it is asked with colours alike only."""
    slide: str
    repository: str
    classes: dict[str, list[list[int]]]
    """x, y, width, height of rectangles, level-0 pixels."""


def part_of(tiles: Path, rows: Sequence[Row], group: Ints | None = None) -> Part:
    """Tiles read, and the same with changed colours."""
    pixels = np.stack([cv2.imread(str(tiles / row["file"]))[..., ::-1] for row in rows])
    labels = np.unique([row["class"] for row in rows], return_inverse=True)[1]
    return jittered(pixels, labels, np.arange(len(rows)) if group is None else group)


def jittered(pixels: Pixels, labels: Ints, group: Ints) -> Part:
    """Tiles, and the same with changed colours."""
    x = torch.from_numpy(pixels.copy()).movedim(-1, 1).float() / 255
    colours = draw_colours(JITTER, 2, len(x), torch.Generator().manual_seed(0))
    x = recolour(x, colours, 1).movedim(1, -1).mul(255).round().byte()
    return Part(pixels, x.numpy(), labels, group)


def drawn_questions(slides: Path, *, alike: bool) -> tuple[list[Question], list[str]]:
    """Questions whose tiles are cut out of slides, and where those come from.

    Args:
        slides: folder that holds the slides, or folders of them.
        alike: whether all tiles of a question get the same mean and standard deviation of R, G, B.

    Raises:
        ValueError: if a slide is missing, or rectangles are misdrawn.
    """
    questions, sources = [], []
    drawn: list[Drawn] = json.loads(DRAWN.read_text())["questions"]
    for one in drawn:
        if one["colour_answers"] and not alike:
            continue
        found = next(slides.rglob(one["slide"]), None)
        if found is None:
            raise ValueError(f"{slides}: holds no {one['slide']}")
        pixels, labels, groups = cut(found, one["classes"])
        part = jittered(colours_alike(pixels) if alike else pixels, labels, groups)
        questions.append(Question(f"{one['name']} {'alike' if alike else 'drawn'}", [part]))
        sources.append(f"{one['repository']} {one['slide']}")
        counts = np.bincount(labels).tolist()
        said = ", ".join(f"{k} {n}" for k, n in zip(sorted(one["classes"]), counts, strict=True))
        print(f"{questions[-1].name}: {said}; {groups.max() + 1} groups.")
    return questions, sources


def cut(path: Path, classes: dict[str, list[list[int]]]) -> tuple[Pixels, Ints, Ints]:
    """The tiles of rectangles on a slide.

    Args:
        path: the slide; 0.5 um/px where it does not say.
        classes: rectangles of each class.

    Returns:
        [N, 256, 256, 3] tiles at 0.5 um/px, as the product reads patches; (N,) class, in order of
        names; (N,) group, a rectangle each.

    Raises:
        ValueError: if rectangles are misdrawn.
    """
    with open_slide(path) as slide:
        info = slide.info
    mpp = resolve_mpp(None, info.mpp, info.mpp_source, TILE_MPP)
    assert mpp is not None
    tolerance = SlidesConfig.model_fields["mpp_tolerance"].default
    plan = plan_read(mpp.value, info.downsamples, TILE_MPP, tolerance, TILE_PX)
    refuse_misdrawn(path.name, classes, (info.width_px, info.height_px), APART_UM / mpp.value)
    corners, labels, groups = corners_of(classes, plan)
    with RegionReader(1) as reader:
        for _, regions in reader.stream([SlideJob(path.stem, path, plan, 1, corners)]):
            pixels = np.concatenate([region.pixels.copy() for region in regions])
    return pixels, labels, groups


def corners_of(classes: dict[str, list[list[int]]], plan: ReadPlan) -> tuple[Ints, Ints, Ints]:
    """(N, 2) x, y of the whole tiles in rectangles, level-0 pixels; (N,) class; (N,) group."""
    side, rows = plan.patch_read_px, []
    every = [(kind, where) for kind, name in enumerate(sorted(classes)) for where in classes[name]]
    for group, (kind, (x, y, width, height)) in enumerate(every):
        for row, column in np.ndindex(height // side, width // side):
            rows.append((x + column * side, y + row * side, kind, group))
    table = np.array(rows, np.int64)
    return table[:, :2], table[:, 2], table[:, 3]


def refuse_misdrawn(
    slide: str, classes: dict[str, list[list[int]]], size: tuple[int, int], apart_px: float
) -> None:
    """Check a question's rectangles.

    Raises:
        ValueError: if one leaves the slide, two overlap, or two of a class are nearer than
            `apart_px`.
    """
    every = [(kind, *where) for kind, rectangles in classes.items() for where in rectangles]
    for kind, x, y, width, height in every:
        if min(x, y) < 0 or x + width > size[0] or y + height > size[1]:
            raise ValueError(f"{slide}: {kind} at {x}, {y} leaves the slide")
    for (kind, x, y, width, height), (other, x2, y2, width2, height2) in combinations(every, 2):
        gap = max(x - x2 - width2, x2 - x - width, y - y2 - height2, y2 - y - height)
        if gap < (apart_px if kind == other else 0):
            raise ValueError(f"{slide}: {kind} at {x}, {y} and {other} at {x2}, {y2} are too near")


def colours_alike(pixels: Pixels) -> Pixels:
    """Tiles with the same mean and standard deviation of R, G and B: on average their own."""
    own = np.array([cv2.meanStdDev(tile) for tile in pixels])[..., 0]  # [N, mean or sd, 3]
    mean, sd = own.mean(0).astype(np.float32)
    return np.stack([repainted(tile, mean, sd) for tile in pixels])


def repainted(tile: Pixels, mean: Floats, sd: Floats) -> Pixels:
    """A tile [H, W, 3] with such a mean and standard deviation (3,)."""
    x = tile.astype(np.float32)
    for _ in range(ROUNDS):
        now, spread = np.float32(cv2.meanStdDev(x))[..., 0]
        scale = sd / (spread + 1e-6)
        x = np.clip(x * scale + (mean - now * scale), 0, 255)
    return x.round().astype(np.uint8)


def distinct(tiles: Path, rows: Sequence[Row]) -> list[Row]:
    """The tiles without those that overlap an earlier one, or occur under both labels."""
    grey = [cv2.resize(cv2.imread(str(tiles / r["file"]), 0), (112, 112)) for r in rows]
    window, dropped = cv2.createHanningWindow((112, 112), cv2.CV_32F), set()
    images = [np.float32(image) for image in grey]
    for i, j in combinations(range(len(rows)), 2):
        if cv2.phaseCorrelate(images[i], images[j], window)[1] > OVERLAP:
            dropped.add(j)
            if rows[i]["class"] != rows[j]["class"]:
                dropped.add(i)
    return [row for i, row in enumerate(rows) if i not in dropped]


def questions_of(
    tiles: Path, asked: Sequence[str], slides: Path
) -> tuple[list[Question], list[str]]:
    """The questions, and where their tiles come from: repository and file.

    Args:
        tiles: folder of tiles.csv.
        asked: which questions.
        slides: folder of the slides that questions are drawn on.
    """
    with (tiles / "tiles.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    questions, sources = [], []
    if "oral" in asked:
        rows = distinct(tiles, [row for row in table if row["class"] in ORAL])
        rows.sort(key=lambda r: (r["class"], int(re.findall(r"\d+", Path(r["file"]).stem)[-1])))
        kinds = np.array([row["class"] for row in rows])
        rank = np.array([(kinds[:i] == kind).sum() for i, kind in enumerate(kinds)])
        blocks = rank * BLOCKS // np.array([(kinds == kind).sum() for kind in kinds])
        oral = part_of(tiles, rows)
        questions.append(Question("oral", [oral]))
        questions.append(Question("oral in blocks", [oral._replace(group=blocks)]))
        sources += [row["source"] for row in rows]
    if "atlas" in asked:
        rows = [row for row in table if row["set"] == "atlas"]
        questions.append(Question("atlas", [part_of(tiles, rows)]))
        sources += [row["source"] for row in rows]
        places = {(row["class"], row["slide"]) for row in rows}
        several = Counter(kind for kind, _ in places)
        rows = [row for row in rows if several[row["class"]] > 1]
        slide = np.unique([row["slide"] for row in rows], return_inverse=True)[1]
        questions.append(Question("atlas by slide", [part_of(tiles, rows, slide)]))
    for name, classes in PAIRS.items() if "pairs" in asked else ():
        rows = [row for row in table if row["class"] in classes]
        slides = sorted({row["slide"] for row in rows})
        by_slide = [[row for row in rows if row["slide"] == slide] for slide in slides]
        whole = [part for part in by_slide if {row["class"] for row in part} == set(classes)]
        questions.append(Question(name, [part_of(tiles, part) for part in whole]))
        sources += [row["source"] for part in whole for row in part]
    for way in ("drawn", "alike"):
        if way in asked:
            found = drawn_questions(slides, alike=way == "alike")
            questions, sources = questions + found[0], sources + found[1]
    return questions, sources
