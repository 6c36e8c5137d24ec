"""The worst errors of a model in words, for people to look at, with slides and pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from hipt.layout import Results
from hipt.report.overviews import overview
from hipt.report.page import share

PICTURE_PX = 300
"""Longest side of a picture."""

NAMED = 3
"""Most slides of a case that are named."""

HEADINGS = {
    "classification": {"wrong_class": "Highest probability of a wrong class"},
    "survival": {
        "early_event": "Early event, low risk",
        "late_event": "Late or no event, high risk",
    },
}
"""Of each kind of error, by the kind of task."""

WHY = {
    "early_event": "{} of the {} that outlived it were given a higher risk",
    "late_event": "{} of the {} that it outlived were given a lower risk",
}

Row = dict[str, Any]


def error_groups(table: pl.DataFrame, kind: str) -> Iterator[tuple[str, list[Row]]]:
    """What kind of errors, and of each unit, case, truth and prediction in words; worst first.

    Args:
        table: rows as in `ERRORS`, of one model.
        kind: of the task.
    """
    in_words = _class_in_words if kind == "classification" else _risk_in_words
    for name, heading in HEADINGS[kind].items():
        rows = table.filter(kind=name).sort("rank").to_dicts()
        heads = ({"unit": row["unit"], "case": row["case_id"], "picture": None} for row in rows)
        yield heading, [head | in_words(row) for head, row in zip(heads, rows, strict=True)]


def with_slides(rows: Sequence[Row], slides: Mapping[str, Sequence[str]]) -> list[Row]:
    """Errors with the slides of their units, where these have other names.

    Args:
        rows: errors.
        slides: the slides of each unit.
    """
    return [row | _slides(row["unit"], slides.get(row["unit"], ())) for row in rows]


def with_pictures(
    rows: Sequence[Row], slides: Mapping[str, Sequence[str]], results: Results
) -> list[Row]:
    """Errors with the overview of the first slide that has one.

    Args:
        rows: errors.
        slides: the slides of each unit.
        results: where the overviews are.
    """
    return [row | {"picture": _picture(slides.get(row["unit"], ()), results)} for row in rows]


def _class_in_words(row: Row) -> Row:
    """Truth and prediction."""
    return {
        "truth": row["label"],
        "predicted": f"{row['predicted']}, {_unbroken(row['p'])}",
        "why": f"mean of {row['folds']} folds that test it" if row["folds"] > 1 else "",
    }


def _risk_in_words(row: Row) -> Row:
    """Truth and prediction."""
    happened = "event after" if row["event"] else "no event in"
    return {
        "truth": f"{happened} {row['time']:.1f} months",
        "predicted": f"risk rank {_unbroken(row['risk'])}",
        "why": WHY[row["kind"]].format(math.floor(row["wrong"]), round(row["pairs"])),
    }


def _unbroken(part: float) -> str:
    """Per cent with a space that is no end of a line."""
    return share(part).replace(" ", "\u00a0")


def _slides(unit: str, slides: Sequence[str]) -> Row:
    """The names of a unit's slides."""
    others = [name for name in slides if name != unit]
    return {"slides": others[:NAMED], "more": max(0, len(others) - NAMED)}


def _picture(slides: Sequence[str], results: Results) -> Row | None:
    """The first overview of slides: with regions, or else with contours."""
    paths = (results.overview(step, slide) for slide in slides for step in ("tile", "segment"))
    path = next((path for path in paths if path.exists()), None)
    return overview(path, PICTURE_PX) if path else None
