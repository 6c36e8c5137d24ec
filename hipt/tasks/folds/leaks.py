"""The audit of folds for leaks: cases, sites and files shared by training and test parts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

Kind = Literal["case", "content", "corpus", "corpus_case", "site"]

SIDES = ("train", "val", "test")
"""The parts of a fold, in the order in which a leak names them."""

_CORPUS = ("corpus", "test")


class Item(NamedTuple):
    """One slide of a fold; a case that is a unit is given as all its slides."""

    slide: str
    case: str
    site: str = ""
    """Empty where it is not known."""
    same: str = ""
    """Group of slides with the same content, under several names; empty for a slide of its own."""
    content: str = ""
    """Digest of the slide's file; empty where it is not known."""


class Leak(NamedTuple):
    """Something that lies on two sides of a fold."""

    fold: int
    kind: Kind
    value: str
    """The case, the site, the slides with the same content, or the slide that was in the corpus."""
    sides: tuple[str, ...]
    """The sides on which it lies; what is of the corpus: `corpus`, `test`."""
    slides: int
    """Its slides on these sides; of `corpus_case` those in the corpus that are not tested."""


def leaks(
    folds: Mapping[int, Mapping[str, Iterable[Item]]], corpus: Collection[Item] = ()
) -> list[Leak]:
    """What lies on two sides of a fold, and what pretraining has seen of what is tested.

    The kinds: a `case`; a `site`; slides with the same `content` under several names; a tested
    slide that is in the `corpus`, under its own name or another; a tested case of which another
    slide is in it, `corpus_case`.

    Args:
        folds: by fold, the items of `train`, `val` and `test`; a side may be absent.
        corpus: slides that the features' models were pretrained on.

    Returns:
        Rows in order of fold, kind and value; none where nothing leaks.

    Raises:
        ValueError: if a side has another name.
    """
    rows: list[Leak] = []
    for fold, given in folds.items():
        if unknown := set(given) - set(SIDES):
            raise ValueError(f"fold {fold} has a side '{min(unknown)}'; there are {SIDES}")
        sides = {side: set(given.get(side, ())) for side in SIDES}
        rows += _across(fold, "case", sides, lambda item: item.case)
        rows += _across(fold, "site", sides, lambda item: item.site)
        rows += _across(fold, "content", sides, lambda item: item.same)
        rows += _seen(fold, sides["test"], corpus)
    return sorted(rows)


def _seen(fold: int, tested: Collection[Item], corpus: Collection[Item]) -> Iterator[Leak]:
    """Tested slides in the corpus; and tested cases of which other slides are in it."""
    names = {item.slide for item in tested}
    contents = {item.content for item in tested} - {""}
    known, digests = {item.slide for item in corpus}, {item.content for item in corpus} - {""}
    for item in tested:
        if item.slide in known or item.content in digests:
            yield Leak(fold, "corpus", item.slide, _CORPUS, 1)
    others: dict[str, set[str]] = defaultdict(set)
    for item in corpus:
        if item.slide not in names and item.content not in contents:
            others[item.case].add(item.slide)
    for case in {item.case for item in tested} - {""}:
        if others.get(case):
            yield Leak(fold, "corpus_case", case, _CORPUS, len(others[case]))


def _across(
    fold: int,
    kind: Kind,
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
