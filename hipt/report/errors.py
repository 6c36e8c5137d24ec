"""The worst errors of a model in words, for people to look at, with slides and pictures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import polars as pl

from hipt.layout import Results
from hipt.report.overviews import overview
from hipt.report.page import share
from hipt.store.tables import Row

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


def error_groups(table: pl.DataFrame, kind: str) -> Iterator[tuple[str, list[Row]]]:
    """What kind of errors, and of each unit, case, truth and prediction in words; worst first."""
    in_words = _class_in_words if kind == "classification" else _risk_in_words
    for name, heading in HEADINGS[kind].items():
        rows = table.filter(kind=name).sort("rank").to_dicts()
        heads = ({"unit": row["unit"], "case": row["case_id"], "picture": None} for row in rows)
        yield heading, [head | in_words(row) for head, row in zip(heads, rows, strict=True)]


def with_slides(rows: Sequence[Row], slides: Mapping[str, Sequence[str]]) -> Iterator[Row]:
    """Errors with the slides of their units, where these have other names."""
    for row in rows:
        others = [name for name in slides.get(row["unit"], ()) if name != row["unit"]]
        yield row | {"slides": others[:NAMED], "more": max(0, len(others) - NAMED)}


def with_pictures(
    rows: Iterable[Row], slides: Mapping[str, Sequence[str]], results: Results
) -> Iterator[Row]:
    """Errors with the overview of the first slide that has one: with regions, or with contours."""
    for row in rows:
        names = slides.get(row["unit"], ())
        paths = (results.overview(step, name) for name in names for step in ("tile", "segment"))
        path = next((path for path in paths if path.exists()), None)
        yield row | {"picture": overview(path, PICTURE_PX, results) if path else None}


def _class_in_words(row: Row) -> Row:
    return {
        "truth": row["label"],
        "predicted": f"{row['predicted']}, {_unbroken(row['p'])}",
        "why": f"mean of {row['folds']} folds that test it" if row["folds"] > 1 else "",
    }


def _risk_in_words(row: Row) -> Row:
    happened = "event after" if row["event"] else "no event in"
    return {
        "truth": f"{happened} {row['time']:.1f} months",
        "predicted": f"risk rank {_unbroken(row['risk'])}",
        "why": WHY[row["kind"]].format(math.floor(row["wrong"]), round(row["pairs"])),
    }


def _unbroken(part: float) -> str:
    """Per cent with a space that is no end of a line."""
    return share(part).replace(" ", "\u00a0")
