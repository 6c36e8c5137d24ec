"""The audit of folds: what training could know of the slides that a model is tested on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

SIDES = ("train", "val", "test")
"""The parts of a fold, in the order in which a leak names them."""


class Item(NamedTuple):
    """One slide of a fold; a case that is a unit is given as all its slides."""

    slide: str
    case: str
    site: str = ""
    """Empty where it is not known."""


class Leak(NamedTuple):
    """Something that lies on two sides of a fold."""

    fold: int
    kind: Literal["case", "corpus", "site"]
    value: str
    """The case, the site, or the slide that was in the corpus."""
    sides: tuple[str, ...]
    """The sides on which it lies; a slide of the corpus: `corpus`, `test`."""
    n_slides: int
    """Its slides on these sides."""


def leaks(
    folds: Mapping[int, Mapping[str, Iterable[Item]]], corpus: Collection[str] = ()
) -> list[Leak]:
    """Cases and sites on two sides of a fold, and tested slides that pretraining has seen.

    Args:
        folds: by fold, the items of `train`, `val` and `test`; a side may be absent.
        corpus: slide ids that the features' models were pretrained on.

    Returns:
        Rows in order of fold, kind and value; none where nothing leaks.

    Raises:
        ValueError: if a side has another name.
    """
    seen = frozenset(corpus)
    found: list[Leak] = []
    for fold, given in folds.items():
        if unknown := set(given) - set(SIDES):
            raise ValueError(f"fold {fold} has a side '{min(unknown)}'; there are {SIDES}")
        sides = {side: set(given.get(side, ())) for side in SIDES}
        found += _torn(fold, "case", sides, lambda item: item.case)
        found += _torn(fold, "site", sides, lambda item: item.site)
        tested = {item.slide for item in sides["test"]}
        found += [Leak(fold, "corpus", slide, ("corpus", "test"), 1) for slide in tested & seen]
    return sorted(found)


def _torn(
    fold: int,
    kind: Literal["case", "site"],
    sides: Mapping[str, set[Item]],
    value: Callable[[Item], str],
) -> Iterator[Leak]:
    """What lies on two sides of a fold, unless its value is not known."""
    slides: dict[str, dict[str, set[str]]] = defaultdict(dict)
    for side, items in sides.items():
        for item in items:
            slides[value(item)].setdefault(side, set()).add(item.slide)
    for name, by_side in slides.items():
        if name and len(by_side) > 1:
            yield Leak(fold, kind, name, tuple(by_side), len(set().union(*by_side.values())))
