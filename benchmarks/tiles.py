"""Real tiles with class labels, as questions: for the benchmarks of features."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch

from hipt.config.pretraining import PatchViewsConfig
from hipt.nn.dino.colours import draw_colours, recolour

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


def part_of(tiles: Path, rows: Sequence[Row], group: Ints | None = None) -> Part:
    """Tiles read, and the same with changed colours."""
    pixels = np.stack([cv2.imread(str(tiles / row["file"]))[..., ::-1] for row in rows])
    x = torch.from_numpy(pixels.copy()).movedim(-1, 1).float() / 255
    colours = draw_colours(JITTER, 2, len(x), torch.Generator().manual_seed(0))
    x = recolour(x, colours, 1).movedim(1, -1).mul(255).round().byte()
    labels = np.unique([row["class"] for row in rows], return_inverse=True)[1]
    return Part(pixels, x.numpy(), labels, np.arange(len(rows)) if group is None else group)


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


def questions_of(tiles: Path, asked: Sequence[str]) -> tuple[list[Question], list[str]]:
    """The questions, and where their tiles come from."""
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
    return questions, sources
