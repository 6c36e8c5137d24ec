"""Digests of what the files of tasks are made from.

Nothing in them varies between equal runs, nor with what a file does not depend on: the folds of a
task are compared byte by byte to decide whether its models are fitted again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from hipt.store.provenance import fingerprint
from hipt.tasks.units import UNUSED, Units


def unit_inputs(units: Units, imported: bool, fold: int | None = None) -> dict[str, str]:
    """Digests of a task's folds and labels, and of its vectors.

    Args:
        units: of the task.
        imported: its vectors are those of a file of features.
        fold: the units that this fold uses, in their parts; None: all, in all folds.
    """
    parts = units.parts if fold is None else units.parts[:, [fold]]
    used = np.flatnonzero((parts != UNUSED).any(1))
    columns = (parts, units.y, units.time, units.event)
    rows = [
        [units.names[i], units.cases[i], *(column[i].tolist() for column in columns)] for i in used
    ]
    vectors = [[units.slides[i], units.sources[i]] for i in used]
    return {"folds": fingerprint(rows=rows), _vectors(imported): fingerprint(vectors=vectors)}


def slide_inputs(
    rows: Iterable[tuple[Any, ...]], sources: Mapping[str, str], imported: bool
) -> dict[str, str]:
    """Digests of the labels of slides, and of their vectors.

    Args:
        rows: of each slide whatever its labels say.
        sources: what names the content of each slide's vectors.
        imported: they are those of a file of features.
    """
    vectors = sorted(sources.items())
    return {"labels": fingerprint(rows=list(rows)), _vectors(imported): fingerprint(of=vectors)}


def _vectors(imported: bool) -> str:
    """The name of vectors among the inputs."""
    return "features" if imported else "embeddings"
