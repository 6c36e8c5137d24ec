"""The worst errors of a model, for people to look at: truth, prediction, slides, picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from hipt.layout import Results
from hipt.report.overviews import overview
from hipt.report.page import share
from hipt.stats.evaluation import Classified, Followed, Ints, pooled
from hipt.stats.per_unit import each_once, misordered, most_wrong, worst_early, worst_late
from hipt.tasks.predictions import Predictions

MOST = 8
"""Most errors that are shown of a task."""

PICTURE_PX = 300
"""Longest side of a picture."""

NAMED = 3
"""Most slides of a case that are named."""

TOO_LOW = "{:.0f} of the {:.0f} that outlived it were given a higher risk"
TOO_HIGH = "{:.0f} of the {:.0f} that it outlived were given a lower risk"

Row = dict[str, Any]


def worst_errors(made: Predictions, classes: Sequence[str]) -> Iterator[tuple[str, list[Row]]]:
    """The units that a model is most wrong about, worst first.

    A unit that several folds test counts once, with its mean probability, or mean rank of risk.

    Args:
        made: predictions of the model.
        classes: names of the classes, none for survival.

    Yields:
        What kind of errors, and of each unit, case, truth and prediction in words.
    """
    found = pooled(made.found, made.fold)
    if isinstance(found, Classified):
        first, times, classified = each_once(found, made.unit)
        rows = most_wrong(classified, MOST)
        said = [_class_in_words(classified, i, classes, int(times[i])) for i in rows]
        yield "Highest probability of a wrong class", _rows(made, first[rows], said)
        return
    assert isinstance(found, Followed)
    first, _, followed = each_once(found, made.unit)
    pairs = misordered(followed.time, followed.event, followed.risk)
    early, late = worst_early(pairs, MOST // 2), worst_late(pairs, MOST // 2)
    for kind, rows, wrong, of, sentence in (
        ("Early event, low risk", early, pairs.outlived_wrong, pairs.outlived, TOO_LOW),
        ("Late or no event, high risk", late, pairs.survived_wrong, pairs.survived, TOO_HIGH),
    ):
        said = [
            {**_risk_in_words(followed, i), "why": sentence.format(np.floor(wrong[i]), of[i])}
            for i in rows
        ]
        yield kind, _rows(made, first[rows], said)


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


def _rows(made: Predictions, at: Ints, said: Sequence[Row]) -> list[Row]:
    """Unit and case beside what is said of them."""
    return [
        {"unit": str(made.unit[i]), "case": str(made.case[i]), "picture": None, **words}
        for i, words in zip(at, said, strict=True)
    ]


def _class_in_words(found: Classified, i: int, classes: Sequence[str], times: int) -> Row:
    """Truth and prediction."""
    answer = int(found.p[i].argmax())
    return {
        "truth": classes[int(found.y[i])],
        "predicted": f"{classes[answer]}, {_unbroken(found.p[i, answer])}",
        "why": f"mean of {times} folds that test it" if times > 1 else "",
    }


def _risk_in_words(found: Followed, i: int) -> Row:
    """Truth and prediction."""
    happened = "event after" if found.event[i] else "no event in"
    return {
        "truth": f"{happened} {found.time[i]:.1f} months",
        "predicted": f"risk rank {_unbroken(found.risk[i])}",
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
