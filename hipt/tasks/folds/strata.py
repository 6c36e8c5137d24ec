"""The case, the stratum and the site of each slide of a task, by which folds are dealt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hipt.config.tasks import TaskConfig
from hipt.stats.arrays import Texts
from hipt.stats.survival import bin_of, time_bins
from hipt.tasks.labels.of_task import Labelled


class Columns(NamedTuple):
    """What folds are dealt by, each of N slides."""

    cases: Texts
    strata: Texts
    """All slides of a case have the same."""
    sites: Texts
    """Empty where it is not known."""


def columns_of(task: TaskConfig, slides: Sequence[Labelled]) -> Columns:
    """Case, stratum and site of each slide."""
    cases = np.array([slide.case_id for slide in slides])
    strata = _outcomes(task, slides) if task.kind == "survival" else _classes(task, slides)
    return Columns(cases, strata, np.array([slide.site for slide in slides]))


def _outcomes(task: TaskConfig, slides: Sequence[Labelled]) -> Texts:
    """(N,) whether the event was seen, and the quartile of the event times where cases suffice.

    Where a case's slides disagree, one with the event counts.
    """
    first = {
        slide.case_id: slide for slide in sorted(slides, key=lambda labelled: bool(labelled.event))
    }
    time = np.array([slide.time for slide in first.values()], np.float64)
    event = np.array([bool(slide.event) for slide in first.values()])
    quartile = bin_of(time, time_bins(time, event))
    fine = [f"{e:d}.{q}" for e, q in zip(event, quartile, strict=True)]
    rare = min(np.unique(fine, return_counts=True)[1]) < task.folds
    stratum = dict(zip(first, event.astype(int).astype(str) if rare else fine, strict=True))
    return np.array([stratum[slide.case_id] for slide in slides])


def _classes(task: TaskConfig, slides: Sequence[Labelled]) -> Texts:
    """(N,) all classes of the slide's case; the first one, where too few cases have these."""
    of_case: dict[str, set[str]] = {}
    for slide in slides:
        of_case.setdefault(slide.case_id, set()).add(str(slide.label))
    whole = {case: "|".join(sorted(labels)) for case, labels in of_case.items()}
    names, counts = np.unique(list(whole.values()), return_counts=True)
    rare = set(names[counts < task.folds].tolist())
    return np.array(
        [
            min(of_case[slide.case_id]) if whole[slide.case_id] in rare else whole[slide.case_id]
            for slide in slides
        ]
    )
