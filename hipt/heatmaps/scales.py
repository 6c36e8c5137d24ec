"""What the colours of a map mean: which of its values is drawn as 0 and which as 1, and in words.

Legend: N patches of a slide.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hipt.geometry.lattice import percentiles
from hipt.heatmaps.table import COMPONENTS, HEAD, SlideMaps
from hipt.pictures.heat import Legend

AVERAGE = "attention"
"""The map of stage 2 alone, the mean of its heads."""

RANK = Legend("percentile within the slide", ("0 %", "100 %"))
RANK_IN_REGION = Legend("percentile within the region", ("0 %", "100 %"))
CONTRIBUTION = "contribution to the answer"
"""What colours show; of signed maps with ends of their own."""

Floats = npt.NDArray[np.float32]

MEANING = {
    AVERAGE: "attention of stage 2, mean of heads",
    "region": "attention of the slide model to regions",
    "product": "attention to regions times attention inside them",
    "contribution": "what the answer comes from",
    **{name: f"principal component {k} of patch vectors" for k, name in enumerate(COMPONENTS, 1)},
}
"""What a map shows, by the last part of its name."""


def from_0_to_1(slide: SlideMaps, name: str) -> npt.NDArray[np.float64]:
    """(N,) what a map's colours stand for: NaN where it says nothing.

    Of signed maps the value, 0 in the middle, the highest hundredth cut off; of components the
    percentile among the patches with tissue; of others the percentile among all.
    """
    values = slide.layers[name]
    if name in slide.ends:
        return np.asarray((np.clip(values / most_of(values), -1, 1) + 1) / 2, np.float64)
    if name not in COMPONENTS:
        return percentiles(values)
    shown = slide.manifest["tissue"].to_numpy() > 0
    ranks = np.full(len(values), np.nan)
    ranks[shown] = percentiles(values[shown])
    return ranks


def most_of(values: Floats) -> float:
    """The value of a signed map that gets the colour of its end; what is no number has no say."""
    sizes = np.abs(values[np.isfinite(values)])
    return (float(np.quantile(sizes, 0.99)) if sizes.size else 0.0) or 1.0


def legend(slide: SlideMaps, name: str) -> Legend:
    """What the colours of a slide's map mean."""
    if name in slide.ends:
        return Legend(CONTRIBUTION, slide.ends[name], diverging=True)
    return RANK


def title(name: str) -> str:
    """What a map shows."""
    if name in MEANING:
        return MEANING[name]
    if name.startswith(HEAD):
        return f"attention of stage 2, {name}"
    task, model, kind, *answer = name.split(".")
    of = f" of class {answer[0]}" if answer else ""
    return f"{task}, {model}: {MEANING[kind]}{of}"
