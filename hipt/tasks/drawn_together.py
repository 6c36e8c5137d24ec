"""Cases that are one where cases are drawn: those that hold the same slide, as in the folds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from hipt.cohort.same_content import alike, kept_together
from hipt.store.schemas import SLIDES
from hipt.store.tables import read_table
from hipt.tasks.predictions import Predictions
from hipt.tasks.schemas import FOLDS


def drawn_together(folds: Path, slides: Path) -> dict[str, str]:
    """By case, the first of the cases that hold the same slide; cases on their own are left out.

    Args:
        folds: the task's table of folds.
        slides: the slide table, which knows the content of files; slides that it does not have are
            the same where their vectors are.

    Raises:
        HiptError: if a table is damaged, or of another version.
    """
    rows = read_table(folds, FOLDS).select(["slide_id", "case_id", "source"]).to_pylist()
    cases = {row["slide_id"]: row["case_id"] for row in rows}
    content = {row["slide_id"]: row["source"] for row in rows}
    if slides.is_file():
        table = read_table(slides, SLIDES).select(["slide_id", "content"]).to_pylist()
        content |= {r["slide_id"]: r["content"] or "" for r in table if r["slide_id"] in cases}
    together = kept_together(cases, alike(content))
    return {case: first for case, first in together.items() if case != first}


def joined(made: Predictions, together: Mapping[str, str]) -> Predictions:
    """Predictions whose cases are one where they hold the same slide."""
    if not together:
        return made
    return replace(made, case=np.array([together.get(case, case) for case in made.case.tolist()]))
