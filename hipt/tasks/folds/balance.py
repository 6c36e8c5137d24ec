"""Groups of unequal size assigned to folds so that every fold gets its share of every class.

G groups, S classes, F folds, K kinds of groups: those with equal counts are interchangeable, so the
solver assigns numbers of groups of a kind, which leaves it far fewer variables.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import block_array, csr_array, eye_array, kron

from hipt.stats.arrays import Ints

UNASSIGNED = -1
"""The fold of a group that has none yet."""

NODE_BUDGET = 1_000_000
"""Most nodes that the solver looks at, times the numbers that it has to find.

Some ten seconds; a count, so that a slow machine finds the same.
"""

SECONDS = 120.0
"""After so long the solver is given up, whatever it has found."""

How = Literal["optimal", "bounded", "greedy"]
"""`optimal`: proven; `bounded`: the best within `NODE_BUDGET`; `greedy`: without the solver."""


_ENDS: dict[int, How] = {0: "optimal", 4: "bounded"}
"""By SciPy's status; 4: the node limit, or a failure, so that x is checked. What was found when
time ran out (1) depends on the machine and is not taken."""


class Assignment(NamedTuple):
    """Which group is in which fold, and how that was found."""

    fold: Ints
    """(G,)."""
    how: How


def deal(counts: Ints, fixed: Ints, folds: int) -> Assignment:
    """The folds with the least sum of absolute deviations from equal shares, none of them empty.

    The sum leaves much open: one group above its share makes all other folds short by the same
    sum, however the rest is dealt. What it leaves open is decided by the sum of squares, as far as
    single moves and exchanges get.

    Args:
        counts: (G, S) members of each class in each group; the order decides among equals.
        fixed: (G,) fold of the groups that must not move, `UNASSIGNED` for the others.
        folds: F.

    Raises:
        ValueError: if there are too few groups.
    """
    refuse_empty_folds(fixed, folds)
    solved, how = _solved(counts, fixed, folds)
    candidates = [] if solved is None else [_improved(counts, solved, fixed, folds)]
    if how != "optimal":
        candidates.append(deal_greedily(counts, fixed, folds))
    return Assignment(min(candidates, key=lambda fold: deviation(counts, fold, folds)), how)


def deal_greedily(counts: Ints, fixed: Ints, folds: int) -> Ints:
    """(G,) folds: the largest group first, each to where it costs least; then improved.

    No fold stays empty: cost is convex, so that a group costs least in an empty fold.

    Args:
        counts: (G, S) members of each class in each group; the order decides among equals.
        fixed: (G,) fold of the groups that must not move, `UNASSIGNED` for the others.
        folds: F.
    """
    dealt, held, total = fixed.copy(), _fold_counts(counts, fixed, folds), counts.sum(0)
    order = np.argsort(-counts.sum(1), kind="stable")
    order = order[fixed[order] == UNASSIGNED]
    for group in order:
        added = _cost(held + counts[group], total, folds) - _cost(held, total, folds)
        dealt[group] = np.lexsort((held.sum(1), added))[0]
        held[dealt[group]] += counts[group]
    return _improved(counts, dealt, fixed, folds)


def deviation(counts: Ints, fold: Ints, folds: int) -> float:
    """Sum over folds and classes of how many members are too few or too many.

    Args:
        counts: (G, S) members of each class in each group.
        fold: (G,) of each group.
        folds: F.
    """
    excess = folds * _fold_counts(counts, fold, folds) - counts.sum(0)  # whole numbers
    return float(np.abs(excess).sum() / folds)


def refuse_empty_folds(fixed: Ints, folds: int) -> None:
    """Refuse folds that must stay empty.

    Args:
        fixed: (G,) fold of the groups that must not move, `UNASSIGNED` for the others.
        folds: F.

    Raises:
        ValueError: if there are too few groups.
    """
    empty = folds - len(np.unique(fixed[fixed != UNASSIGNED]))
    free = int((fixed == UNASSIGNED).sum())
    if free < empty:
        raise ValueError(
            f"{free} groups cannot fill {empty} empty folds (cases of one site are one group, and "
            "so are sites that share a case); take fewer folds"
        )


def _fold_counts(counts: Ints, fold: Ints, folds: int) -> Ints:
    """(F, S) members of each class in each fold; groups without a fold are left out."""
    held = np.zeros((folds, counts.shape[1]), np.int64)
    np.add.at(held, fold[fold != UNASSIGNED], counts[fold != UNASSIGNED])
    return held


def _cost(held: Ints, total: Ints, folds: int) -> Ints:
    """What folds with so many members cost: absolute deviations first, squares where these tie.

    In whole numbers, so that equal is equal; 10^5 members fit.

    Args:
        held: (..., S) members of each class.
        total: (S,) of all folds.
        folds: F.
    """
    excess = folds * held - total
    most_squares = folds**2 * (total**2).sum()
    return np.asarray(np.abs(excess).sum(-1) * (most_squares + 1) + (excess**2).sum(-1))


def _improved(counts: Ints, fold: Ints, fixed: Ints, folds: int) -> Ints:
    """(G,) folds after moves and exchanges of free groups, the best one first, to the end.

    No fold becomes empty: by convexity, moving a fold's only group never lowers the cost.
    """
    fold_of, every = fold.copy(), np.flatnonzero(fixed == UNASSIGNED)
    while len(every):
        held = _fold_counts(counts, fold_of, folds)
        free = every[_first_alike(counts[every], fold_of[every])]
        moves = _move_deltas(counts[free], fold_of[free], held)
        swaps = _swap_deltas(counts[free], fold_of[free], held)
        if min(moves.min(), swaps.min()) >= 0:
            break
        if moves.min() <= swaps.min():
            group, into = np.unravel_index(moves.argmin(), moves.shape)
            fold_of[free[group]] = into
        else:
            pair = free[list(np.unravel_index(swaps.argmin(), swaps.shape))]
            fold_of[pair] = fold_of[pair[::-1]]
    return fold_of


def _first_alike(counts: Ints, fold: Ints) -> Ints:
    """Indices, rising, of the first of the groups that are alike and in one fold.

    What one of them can do for a fold all can; pairs of all would be G squared.
    """
    alike = np.column_stack([counts, fold])
    return np.sort(np.unique(alike, axis=0, return_index=True)[1])


def _move_deltas(counts: Ints, fold: Ints, held: Ints) -> Ints:
    """(G, F) change of cost when a group moves to a fold.

    Args:
        counts: (G, S) members of each class in each group.
        fold: (G,) where it is.
        held: (F, S) members of each class in each fold.
    """
    total, folds = held.sum(0), len(held)
    now = _cost(held, total, folds)  # (F,)
    without = _cost(held[fold] - counts, total, folds) - now[fold]  # (G,)
    changes = without[:, None] + _cost(held + counts[:, None], total, folds) - now
    changes[np.arange(len(fold)), fold] = 0
    return changes


def _swap_deltas(counts: Ints, fold: Ints, held: Ints) -> Ints:
    """(G, G) change of cost when two groups change places.

    Args:
        counts: (G, S) members of each class in each group.
        fold: (G,) where it is.
        held: (F, S) members of each class in each fold.
    """
    total, folds = held.sum(0), len(held)
    now = _cost(held, total, folds)[fold]  # (G,)
    other_instead = held[fold][:, None] + counts - counts[:, None]  # (G, G, S)
    change = _cost(other_instead, total, folds) - now[:, None]
    return np.where(fold[:, None] == fold, 0, change + change.T)


def _solved(counts: Ints, fixed: Ints, folds: int) -> tuple[Ints | None, How]:
    """(G,) folds by integer programming, None where that came to no end."""
    free = np.flatnonzero(fixed == UNASSIGNED)
    if not len(free):
        return fixed.copy(), "optimal"
    kind, first = _kinds(counts[free])
    groups = np.bincount(kind)  # (K,)
    result = _solution(
        counts[free[first]], groups, counts.sum(0), _fold_counts(counts, fixed, folds)
    )
    if result.x is None or result.status not in _ENDS:
        return None, "greedy"
    per_fold = (
        np.rint(result.x[: folds * len(groups)]).astype(np.int64).reshape(folds, -1)
    )  # (F, K)
    if (per_fold < 0).any() or (per_fold.sum(0) != groups).any():
        return None, "greedy"  # a solver that failed may leave numbers that are no solution
    fold_of = fixed.copy()
    for number in range(len(groups)):
        fold_of[free[kind == number]] = np.repeat(np.arange(folds), per_fold[:, number])
    return fold_of, _ENDS[result.status]


def _kinds(counts: Ints) -> tuple[Ints, Ints]:
    """(G,) kind of each group and (K,) first group of each kind, kinds in order of appearance."""
    _, first, kind = np.unique(counts, axis=0, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[kind.ravel()], np.sort(first)


def _solution(kinds: Ints, groups: Ints, total: Ints, held: Ints) -> Any:  # noqa: ANN401
    """SciPy's result; its x is numbers of groups [F, K], then members short of the share [F, S].

    What is short in one fold is too much in another, so that the members short are half of the sum.
    They are counted in 1 / F: with fractions as coefficients HiGHS 1.12 stops in one of twenty
    small problems with a "solve error".

    Args:
        kinds: (K, S) members of each class in a group of each kind.
        groups: (K,) groups of each kind.
        total: (S,) members of each class in all groups.
        held: (F, S) members that are in their fold already.
    """
    folds, whole, real = len(held), len(held) * len(groups), held.size
    every_group = kron(np.ones((1, folds)), eye_array(len(groups)))  # (K, F * K)
    every_fold = kron(eye_array(folds), np.ones((1, len(groups))))  # (F, F * K)
    gained = kron(eye_array(folds), folds * kinds.T)  # (F * S, F * K)
    left = block_array([[every_group, None], [gained, eye_array(real)], [every_fold, None]])
    low = np.concatenate([groups, (total - folds * held).ravel(), ~held.any(1)])
    high = np.concatenate([groups, np.full(real + folds, np.inf)])
    return milp(
        np.repeat([0, 1], [whole, real]),
        integrality=np.repeat([1, 0], [whole, real]),
        bounds=Bounds(0, np.concatenate([np.tile(groups, folds), np.full(real, np.inf)])),
        constraints=LinearConstraint(csr_array(left), low, high),
        options={
            "node_limit": max(1, NODE_BUDGET // whole),
            "time_limit": SECONDS,
            "mip_rel_gap": 0,
        },
    )
