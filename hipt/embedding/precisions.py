"""In which precision vectors were made: what a shard may have, and what a cohort has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from hipt.cohort.batch_run import read_index
from hipt.layout import Results

Precision = Literal["fp32", "bf16"]

COLUMNS = {"precision": "patch vectors", "region_precision": "region vectors"}
"""Columns of the slide table, and of whose precision they tell."""

_STEPS = {"embed_patches": "precision", "embed_regions": "region_precision"}


def accepted(setting: Literal["auto", "fp32", "bf16"]) -> tuple[Precision, ...]:
    """The precisions in which a finished shard is the right one; `auto`: either."""
    return ("fp32", "bf16") if setting == "auto" else (setting,)


def counted(precisions: Iterable[str | None]) -> dict[str, int]:
    """How many slides have which precision, the most first; those without are left out."""
    counts = Counter(precision for precision in precisions if precision is not None)
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def in_words(counts: Mapping[str, int]) -> str:
    """`12 slides in fp32, 4 in bf16`."""
    (first, slides), *rest = counts.items()
    noun = "slide" if slides == 1 else "slides"
    return ", ".join([f"{slides:,} {noun} in {first}", *(f"{n:,} in {p}" for p, n in rest)])


def precisions_on_disk(root: Path) -> dict[str, dict[str, int]]:
    """How many slides have which precision, by whose it is, as the indices tell.

    Args:
        root: the results folder.
    """
    results, counts_of = Results(root), {}
    for step, column in _STEPS.items():
        indices = sorted((results.root / step / "index").glob("*.parquet"))
        rows = (row for index in indices for row in read_index(index) if row["status"] == "ok")
        if counts := counted(row[column] for row in rows):
            counts_of[COLUMNS[column]] = counts
    return counts_of


def refusal(what: str, counts: Mapping[str, int], example: str) -> str:
    """The sentence that refuses slides of several precisions.

    Args:
        what: whose precision it is.
        counts: slides by precision, the most first.
        example: a slide of the rarest.
    """
    most = next(iter(counts))
    return (
        f"{what}: {in_words(counts)} (e.g. {example}), and embed.mixed_precision is 'refuse'; "
        f"set embed.precision: {most}, and the others are made again in it"
    )
