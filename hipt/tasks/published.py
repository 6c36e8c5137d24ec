"""Published numbers beside ours, and how far ours are from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from hipt.config.tasks import NEIGHBOURS
from hipt.stats.evaluation import METRICS
from hipt.stats.fold_error import corrected_error, share_tested
from hipt.store.tables import Row
from hipt.tasks.units import TEST, UNUSED, Units

PAPERS_NEIGHBOURS = "knn_region_euclidean"
"""Our row of nearest neighbours that is the published one."""

Published = Mapping[str, Mapping[float, Sequence[float]]]
"""Mean and deviation, by model and fraction."""


def published_rows(
    scores: Sequence[Row], kind: str, published: Published, units: Units | None
) -> Iterator[Row]:
    """Rows as in `PUBLISHED`, of the models that have a published number.

    Theirs are taken to be of as many folds as the task has, cut alike.

    Args:
        scores: rows as in `SCORES`.
        kind: of the task.
        published: numbers of others.
        units: of the task; None: nobody knows what folds share, and so no error is known.
    """
    main = METRICS[kind][0]
    share = None if units is None else share_tested(units.parts == TEST, units.parts != UNUSED)
    over_folds = {
        (row["model"], row["fraction"], row["metric"]): row["value"]
        for row in scores
        if row["fold"] is None
    }
    folds = Counter(
        (row["model"], row["fraction"])
        for row in scores
        if row["fold"] is not None and row["metric"] == main and row["value"] is not None
    )
    for model, fraction in dict.fromkeys((row["model"], row["fraction"]) for row in scores):
        called = NEIGHBOURS if model == PAPERS_NEIGHBOURS else model
        if (theirs := published.get(called, {}).get(fraction)) is None:
            continue
        mean, sd = (over_folds[model, fraction, f"{main}_{name}"] for name in ("mean", "sd"))
        difference, error = None if mean is None else mean - theirs[0], None
        if units is not None and sd is not None and share is not None and 0 < share < 1:
            own = corrected_error(sd, folds[model, fraction], share)
            error = float(np.hypot(own, corrected_error(theirs[1], units.folds, share))) or None
        yield {
            **{"task": scores[0]["task"], "model": model, "fraction": fraction, "metric": main},
            **{"mean": mean, "sd": sd, "folds": folds[model, fraction]},
            **{"published_mean": theirs[0], "published_sd": theirs[1], "test_share": share},
            **{"difference": difference, "error": error},
            "distance": difference / error if difference is not None and error else None,
        }
