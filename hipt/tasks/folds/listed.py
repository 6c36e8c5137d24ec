"""Parts of a task's slides as foreign split files list them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hipt.config.config import MISSING
from hipt.errors import HiptError, some_of
from hipt.tasks.folds.leaks import SIDES
from hipt.tasks.labels.of_task import Labelled
from hipt.tasks.labels.split_files import read_splits
from hipt.tasks.units import TEST, TRAIN, UNUSED, VALIDATION

PART_OF = dict(zip(SIDES, (TRAIN, VALIDATION, TEST), strict=True))

_NAMED = 10
"""Most slides, or parts without a class, that a sentence names."""

Ints = npt.NDArray[np.int64]


class ListedFolds(NamedTuple):
    """What files say of a task's slides."""

    parts: Mapping[int, Ints]
    """By fold, the part of each of N slides; where no test part is listed, validation is it."""
    unknown: tuple[str, ...]
    """Ids that no slide of the task has."""


def listed_folds(
    path: str, slides: Sequence[Labelled], missing: Sequence[str] = MISSING
) -> ListedFolds:
    """The parts that split files give to a task's slides.

    Args:
        path: the files.
        slides: N of the task.
        missing: words that fill columns up.

    Raises:
        HiptError: if the files cannot be used, or a fold trains or tests nobody.
    """
    ids = {slide.slide_id for slide in slides} | {slide.case_id for slide in slides}
    splits = read_splits(Path(path), ids, missing)
    parts = dict(_parts(splits.folds, slides))
    for fold, part in parts.items():
        refuse_empty(path, fold, part, ("train", "test"))
    return ListedFolds(parts, splits.unknown)


def listed_remarks(listed: ListedFolds, slides: Sequence[Labelled]) -> Iterator[str]:
    """What somebody should know of such folds: ids of nobody, slides of no fold, absent classes.

    Args:
        listed: what files say.
        slides: N of the task.
    """
    if listed.unknown:
        count = f"{len(listed.unknown):,}, left out: {some_of(listed.unknown, _NAMED)}"
        yield f"ids in the files that no slide with a label has: {count}"
    parts = np.stack(list(listed.parts.values()), axis=1)
    unused = [slides[i].slide_id for i in np.flatnonzero((parts == UNUSED).all(1)).tolist()]
    if unused:
        count = f"{len(unused):,}, not used: {some_of(unused, _NAMED)}"
        yield f"slides with a label that are not in the files: {count}"
    kinds = np.array(
        [slide.label or ("no event", "an event")[bool(slide.event)] for slide in slides]
    )
    lacks = []
    for fold, part in listed.parts.items():
        for side in ("train", "test"):
            there = set(kinds[part == PART_OF[side]].tolist())
            absent = sorted(set(kinds.tolist()) - there)
            lacks += [f"fold {fold} has nobody with {kind} to {side}" for kind in absent]
    if lacks:
        yield some_of(lacks, _NAMED, "; ")


def refuse_empty(path: str, fold: int, parts: Ints, sides: Sequence[str] = SIDES) -> None:
    """Raise where one of some parts of a fold holds nobody.

    Raises:
        HiptError: naming the fold and the part.
    """
    for side in sides:
        if not (parts == PART_OF[side]).any():
            raise HiptError(
                f"{path}, fold {fold}: no slide with features and label is for '{side}'; check "
                "that its ids are those of the slides or cases"
            )


def _parts(
    folds: Mapping[int, Mapping[str, Sequence[str]]], slides: Sequence[Labelled]
) -> Iterator[tuple[int, Ints]]:
    """Every fold with the part of each slide."""
    for fold, sides in sorted(folds.items()):
        part_of = {name: PART_OF[side] for side, names in sides.items() for name in names}
        parts = np.array(
            [part_of.get(s.slide_id, part_of.get(s.case_id, UNUSED)) for s in slides], np.int64
        )
        if not (parts == TEST).any():
            parts[parts == VALIDATION] = TEST
        yield fold, parts
