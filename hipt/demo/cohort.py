"""The plan of the cohort: cases with outcomes, slides with contents. Nothing is painted here."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from hipt.demo.noise import Mask
from hipt.demo.scene import Recipe
from hipt.demo.stain import SITES, Stain
from hipt.errors import HiptError

FEWEST = 12
"""Fewest slides: from here on the cohort holds every kind of slide."""

Arrangement: TypeAlias = Literal["excluded", "inflamed"]
_ARRANGEMENTS: tuple[Arrangement, Arrangement] = get_args(Arrangement)

_Kind: TypeAlias = Literal["block", "biopsy", "blank"]

_EXTRA_SLIDES: dict[int, _Kind] = {0: "block", 1: "biopsy", 2: "blank"}
"""The cases with a second slide, and what that one is."""

_ARTEFACTS: dict[int, Literal["pen", "fold"]] = {3: "pen", 4: "fold"}
_SCANS: dict[int, tuple[float, int, tuple[int, ...]]] = {
    5: (0.36, 28, (4, 16)),
    6: (0.25, 40, (2, 8)),
    7: (0.2525, 40, (4, 16)),
}
_BIOPSY_SCAN = (0.25, 40, (4, 16))
_SCAN = (0.5, 20, (4, 16))
_WRONG_LABELS = 0.1
_MEDIAN_MONTHS, _WEIBULL_SHAPE = 26.0, 3.0

Necrosis: TypeAlias = Literal["focal", "extensive"]
_NECROSIS: dict[Necrosis, tuple[float, float]] = {"focal": (0.0, 0.05), "extensive": (0.25, 0.4)}
"""Least and most share of the tissue."""


@dataclass(frozen=True)
class Case:
    """A patient, and what is said about them."""

    case_id: str
    site: str
    mixing: float
    """Of immune clusters among tumour, 0 to 1; the class follows from it, wrong labels aside."""
    necrosis: float
    """Share of a block's tissue."""
    label: Arrangement
    time_months: float
    event: int

    @property
    def arrangement(self) -> Arrangement:
        """The class that was painted."""
        return _ARRANGEMENTS[self.mixing > 0.5]

    @property
    def extent(self) -> Necrosis:
        """How far the necrosis reaches."""
        return "focal" if self.necrosis <= _NECROSIS["focal"][1] else "extensive"

    @property
    def log_hazard(self) -> float:
        """Of dying, against a case in the middle of both ranges."""
        return log_hazard(self.mixing, self.necrosis)


@dataclass(frozen=True)
class Slide:
    """One slide to paint."""

    slide_id: str
    case: Case
    recipe: Recipe
    stain: Stain
    mpp: float
    objective: int
    downsamples: tuple[int, ...]
    artefact: Literal["none", "pen", "fold"]
    seed: tuple[int, int]


def plan(slides: int, seed: int) -> list[Slide]:
    """The cohort's slides, case by case.

    Raises:
        HiptError: if there are too few to hold every kind of slide.
    """
    if slides < FEWEST:
        raise HiptError(f"--slides: must be at least {FEWEST}, got {slides}")
    rng = np.random.default_rng(seed)
    planned: list[Slide] = []
    for number, case in enumerate(_cases(slides - len(_EXTRA_SLIDES), rng)):
        planned.append(_slide(len(planned) + 1, number, case, "block", rng, seed))
        if extra := _EXTRA_SLIDES.get(number):
            planned.append(_slide(len(planned) + 1, number, case, extra, rng, seed))
    return planned


def sheet(slides: Sequence[Slide]) -> str:
    """The sheet of the cohort as CSV; paths start at the sheet's folder."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    labels = ("class", "necrosis", "time_months", "event")
    writer.writerow(["slide_id", "path", "case_id", "site", *labels])
    for slide in slides:
        case = slide.case
        outcome = f"{case.time_months:.1f}", case.event
        path = f"slides/{slide.slide_id}.svs"
        writer.writerow(
            [slide.slide_id, path, case.case_id, case.site, case.label, case.extent, *outcome]
        )
    return text.getvalue()


def log_hazard(mixing: float, necrosis: float) -> float:
    """Logarithm of the hazard: necrosis raises it, immune cells among tumour lower it."""
    return 40.0 * (necrosis - 0.17) - 0.6 * (mixing - 0.5)


def _cases(count: int, rng: np.random.Generator) -> list[Case]:
    """Cases with the two arrangements in turn at every site."""
    wrong = set(rng.permutation(count)[: round(_WRONG_LABELS * count)].tolist())
    numbers = np.arange(count)
    sites = numbers % len(SITES)
    inflamed = (numbers // len(SITES) + sites) % 2 == 0
    extensive = _alternating(inflamed, sites, rng)
    cases = []
    for number in range(count):
        mixing = rng.uniform(0.75, 1.0) if inflamed[number] else rng.uniform(0.0, 0.2)
        necrosis = rng.uniform(*_NECROSIS["extensive" if extensive[number] else "focal"])
        months, event = _outcome(mixing, necrosis, rng)
        label = _ARRANGEMENTS[bool(inflamed[number]) != (number in wrong)]
        site = list(SITES)[sites[number]]
        cases.append(Case(f"case-{number + 1:02d}", site, mixing, necrosis, label, months, event))
    return cases


def _alternating(inflamed: Mask, sites: npt.NDArray[np.intp], rng: np.random.Generator) -> Mask:
    """Every other case, by chance, of each arrangement and as far as can be of each site."""
    chosen = np.zeros(len(sites), bool)
    chosen[np.lexsort((rng.random(len(sites)), sites, inflamed))[::2]] = True
    return chosen


def _outcome(mixing: float, necrosis: float, rng: np.random.Generator) -> tuple[float, int]:
    """Months until death or the end of follow-up, and whether it was death."""
    hazard = np.exp(log_hazard(mixing, necrosis))
    death = _MEDIAN_MONTHS * (rng.exponential() / np.log(2) / hazard) ** (1 / _WEIBULL_SHAPE)
    end = rng.uniform(12.0, 84.0)
    return max(0.1, round(min(death, end), 1)), int(death <= end)


def _slide(
    position: int, number: int, case: Case, kind: _Kind, rng: np.random.Generator, seed: int
) -> Slide:
    """One slide of case `number`; `position` counts the cohort's slides from 1."""
    scan = _BIOPSY_SCAN if kind == "biopsy" else _SCANS.get(number, _SCAN)
    mpp, objective, downsamples = scan
    return Slide(
        slide_id="0012" if position == 12 else f"demo-{position:03d}",
        case=case,
        recipe=_recipe(kind, case, 1.0 if scan == _SCAN else 0.6, rng),
        stain=SITES[case.site].varied(rng),
        mpp=mpp,
        objective=objective,
        downsamples=downsamples,
        artefact=_ARTEFACTS.get(number, "none"),
        seed=(seed, position),
    )


def _recipe(kind: _Kind, case: Case, scale: float, rng: np.random.Generator) -> Recipe:
    """What a slide shows; finely scanned blocks are smaller, since their pixels are."""
    if kind == "blank":
        return Recipe(1600, 1200, "blank")
    if kind == "biopsy":
        return Recipe(384, 320, "biopsy", case.mixing, necrosis=0, sheet=0.25, gland=0, fat=0)
    width, height = rng.uniform((1900, 1450), (2450, 1850)) * scale
    gland, fat = rng.uniform((0.06, 0.03), (0.18, 0.11))
    whole = 16 * round(width / 16), 16 * round(height / 16)
    return Recipe(*whole, "block", case.mixing, case.necrosis, gland=gland, fat=fat)
