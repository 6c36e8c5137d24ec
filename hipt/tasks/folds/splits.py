"""Who is tested when: folds of cases, and what of the training cases validates or is left out.

A row is a unit of a task, a slide or a case. Whatever is drawn is drawn by case, and what decides
is a keyed hash of the case's name: the order of rows decides nothing, and a case that comes later
pushes no other case about unless a docstring says so.

N rows, C cases, S strata (classes; for survival the caller's bins), G groups (cases of one site).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from hipt.tasks.folds.balance import FREE, deal, deviation, refuse_empty_folds
from hipt.tasks.folds.cases import (
    Cases,
    Seed,
    distinct_cases,
    draw_keys,
    linked_by_site,
    stratum_counts,
)

Texts = npt.NDArray[np.str_]  # (N,)
Ints = npt.NDArray[np.int64]  # (N,)
Mask = npt.NDArray[np.bool_]  # (N,)


class SiteFolds(NamedTuple):
    """Folds of whole sites."""

    fold: Ints
    """(N,)."""
    how: Literal["optimal", "bounded", "greedy"]
    """How they were found, see `balance.Dealt`."""
    deviation: float
    """Cases by which the classes of all folds deviate from equal shares, summed."""


class Validation(NamedTuple):
    """Training rows that are kept for validation."""

    rows: Mask
    """(N,)."""
    by: Literal["case", "site"]
    """What is not torn apart; `case` where whole sites would not give every class its part."""


def grouped_folds(
    cases: Texts, strata: Texts, folds: int, seed: Seed, known: Mapping[str, int] | None = None
) -> Ints:
    """(N,) fold, 0 to folds - 1, in which each row is tested; a case is never torn apart.

    Known cases stay. The others join stratum by stratum, ordered by hash, each the fold with fewest
    cases of its stratum, then fewest cases. Folds differ by at most one case of each stratum, also
    where the known cases are all those of an earlier call; without known ones also in all.

    Args:
        cases: (N,) case of each row.
        strata: (N,) class of each row, the same in all rows of a case.
        folds: how many, at least 2.
        seed: decides the order of new cases and what comes where two folds are equal.
        known: fold of each case that has one already; cases that no row has do not count.

    Raises:
        ValueError: if a case has two strata, a stratum fewer cases than folds, or a known case a
            fold that there is not.
    """
    distinct = distinct_cases(cases, strata)
    fold = _placed(distinct, folds, known or {})
    counts = np.zeros((len(distinct.strata), folds), np.int64)
    np.add.at(counts, (distinct.stratum[fold != FREE], fold[fold != FREE]), 1)
    numbers = np.arange(folds).astype(np.str_)
    for case in np.lexsort((draw_keys(distinct.names, seed, "fold"), distinct.stratum)):
        if fold[case] == FREE:
            ties = draw_keys(numbers, seed, "tie", str(distinct.names[case]))
            own = counts[distinct.stratum[case]]  # (folds,)
            fold[case] = np.lexsort((ties, counts.sum(0), own))[0]
            own[fold[case]] += 1
    return fold[distinct.row]


def site_folds(
    cases: Texts,
    strata: Texts,
    sites: Texts,
    folds: int,
    seed: Seed,
    known: Mapping[str, int] | None = None,
) -> SiteFolds:
    """Folds that tear no site apart, with classes as equal as that allows.

    Sites that share a case count as one; a case without a site stands alone. A group with a known
    case stays where that is, and its new cases join it there; the other groups are dealt anew,
    so known cases never move.

    Args:
        cases: (N,) case of each row.
        strata: (N,) class of each row, the same in all rows of a case.
        sites: (N,) site of each row; empty where it is not known.
        folds: how many, at least 2.
        seed: decides among deals that are equally good.
        known: fold of each case that has one already; cases that no row has do not count.

    Raises:
        ValueError: as `grouped_folds`, and if there are fewer groups than folds, or a group's known
            cases are in two folds.
    """
    distinct = distinct_cases(cases, strata)
    fold = _placed(distinct, folds, known or {})
    group, names = linked_by_site(distinct, np.asarray(sites, np.str_))
    fixed = _fixed(fold, group, names)
    counts = stratum_counts(distinct, group, len(names))
    order = np.argsort(draw_keys(names, seed, "site"), kind="stable")
    dealt = deal(counts[order], fixed[order], folds)
    fixed[order] = dealt.fold
    return SiteFolds(fixed[group][distinct.row], dealt.how, deviation(counts, fixed, folds))


def refuse_impossible(
    cases: Texts, strata: Texts, sites: Texts | None, folds: int, known: Mapping[str, int]
) -> None:
    """Refuse what `grouped_folds`, or with sites `site_folds`, would, without dealing any fold.

    Args:
        cases: (N,) case of each row.
        strata: (N,) class of each row, the same in all rows of a case.
        sites: (N,) site of each row, empty where it is not known; None: sites may be torn apart.
        folds: how many.
        known: fold of each case that has one already.

    Raises:
        ValueError: as they do.
    """
    distinct = distinct_cases(cases, strata)
    fold = _placed(distinct, folds, known)
    if sites is not None:
        group, names = linked_by_site(distinct, np.asarray(sites, np.str_))
        fixed = _fixed(fold, group, names)
        refuse_empty_folds(fixed, folds)


def validation_part(
    cases: Texts, strata: Texts, sites: Texts | None, train: Mask, share: float, seed: Seed
) -> Validation:
    """The training rows that are for validation: the same share of every class.

    By case, these are the first of each stratum in hash order, at least one, never all. When cases
    are added to a stratum, its earlier cases may enter or leave the part, but not both, and at most
    as many as were added. By site, whole sites join in hash order, each if the classes' shares come
    nearer to what is asked; added cases may then exchange sites.

    Args:
        cases: (N,) case of each row.
        strata: (N,) class of each row, the same in all rows of a case.
        sites: (N,) site of each row, empty where it is not known; None: sites may be torn apart.
        train: (N,) the rows that are not tested, whole cases.
        share: of the training cases, at least 0 and below 1.
        seed: decides; give it the fold's number too, so that folds validate with other cases.

    Raises:
        ValueError: if a case has two strata or is partly in training, or the share cannot be.
    """
    if not 0 <= share < 1:
        raise ValueError(f"the share for validation must be at least 0 and below 1, got {share}")
    distinct = _training(cases, strata, train)
    chosen = _first(distinct, share, draw_keys(distinct.names, seed, "validation"), spare=1)
    by: Literal["case", "site"] = "case"
    if sites is not None:
        whole = _sites_nearest(distinct, np.asarray(sites, np.str_)[train], share, seed)
        if _serves(distinct, whole, chosen):
            chosen, by = whole, "site"
    return Validation(_rows(train, chosen[distinct.row]), by)


def subsample(cases: Texts, strata: Texts, train: Mask, fraction: float, seed: Seed) -> Mask:
    """(N,) the training rows that remain when only a fraction of each class's cases is used.

    The first of each stratum in hash order, at least one: smaller fractions are parts of larger
    ones, and added cases do what they do in `validation_part`.

    Args:
        cases: (N,) case of each row.
        strata: (N,) class of each row, the same in all rows of a case.
        train: (N,) the rows to choose from, whole cases.
        fraction: of the cases, above 0 and at most 1.
        seed: decides which.

    Raises:
        ValueError: if a case has two strata or is partly in training, or the fraction cannot be.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"a training fraction must be above 0 and at most 1, got {fraction}")
    distinct = _training(cases, strata, train)
    chosen = _first(distinct, fraction, draw_keys(distinct.names, seed, "fraction"))
    return _rows(train, chosen[distinct.row])


def _placed(distinct: Cases, folds: int, known: Mapping[str, int]) -> Ints:
    """(C,) the known fold of each case, else `FREE`, after a look at what folds are possible."""
    if folds < 2:
        raise ValueError(f"there must be at least 2 folds, got {folds}")
    sizes = np.bincount(distinct.stratum)
    few = [f"'{distinct.strata[s]}' ({sizes[s]})" for s in np.flatnonzero(sizes < folds)]
    if few:
        raise ValueError(f"fewer cases than the {folds} folds: {', '.join(few)}")
    for name in distinct.names.tolist():
        if not 0 <= known.get(name, 0) < folds:
            raise ValueError(
                f"case '{name}' is known to be in fold {known[name]}, "
                f"but the {folds} folds are 0 to {folds - 1}"
            )
    return np.array([known.get(name, FREE) for name in distinct.names.tolist()], np.int64)


def _fixed(fold: Ints, group: Ints, names: Texts) -> Ints:
    """(G,) the known fold of each group, else `FREE`."""
    fixed = np.full(len(names), FREE)
    for case in np.flatnonzero(fold != FREE):
        own = group[case]
        if fixed[own] not in (FREE, fold[case]):
            raise ValueError(
                f"{names[own]}, with the sites that share cases with it, has known "
                f"cases in folds {fixed[own]} and {fold[case]}; deal all folds anew"
            )
        fixed[own] = fold[case]
    return fixed


def _training(cases: Texts, strata: Texts, train: Mask) -> Cases:
    """The cases of the training rows."""
    torn = np.intersect1d(cases[train], cases[~train])
    if len(torn):
        raise ValueError(f"case '{torn[0]}' is partly in training")
    return distinct_cases(cases[train], strata[train])


def _first(distinct: Cases, share: float, keys: npt.NDArray[np.uint64], spare: int = 0) -> Mask:
    """(C,) the first of each stratum in hash order: its share, at least one, but for the spared."""
    sizes = np.bincount(distinct.stratum)
    wanted = np.maximum(np.floor(share * sizes + 0.5), share > 0)
    order = np.lexsort((keys, distinct.stratum))
    rank = np.zeros(len(order), np.int64)
    rank[order] = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.asarray(rank < np.minimum(wanted, sizes - spare)[distinct.stratum])


def _sites_nearest(distinct: Cases, sites: Texts, share: float, seed: Seed) -> Mask:
    """(C,) the cases of the sites that join in hash order, each if it brings the shares nearer."""
    group, names = linked_by_site(distinct, sites)
    counts = stratum_counts(distinct, group, len(names))
    parts = counts / counts.sum(0)  # (G, S) of each stratum
    got, chosen = np.zeros(parts.shape[1]), np.zeros(len(names), bool)
    for own in np.argsort(draw_keys(names, seed, "validation"), kind="stable"):
        if np.abs(got + parts[own] - share).sum() < np.abs(got - share).sum() - 1e-9:
            chosen[own] = True
            got += parts[own]
    return chosen[group]


def _serves(distinct: Cases, whole: Mask, chosen: Mask) -> bool:
    """Whether whole sites give every class a part, and half to double the cases in all."""
    kinds = len(distinct.strata)
    got = np.bincount(distinct.stratum[whole], minlength=kinds)
    wanted = np.bincount(distinct.stratum[chosen], minlength=kinds)
    left = np.bincount(distinct.stratum[~whole], minlength=kinds)
    every = (got[wanted > 0] > 0).all() and (left > 0).all()
    return bool(every and wanted.sum() <= 2 * got.sum() and got.sum() <= 2 * wanted.sum())


def _rows(train: Mask, chosen: Mask) -> Mask:
    """(N,) the chosen of the training rows."""
    rows = np.zeros(len(train), bool)
    rows[train] = chosen
    return rows
