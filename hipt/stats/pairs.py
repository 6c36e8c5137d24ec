"""Pairs of an event and a case that outlives it, counted or summed without looking at each.

All pairs of N cases are N squared; here the work is N log^2 N. The cases that an event is compared
with are all behind it in the order of time. They are cut into blocks of 1, 2, 4, ... cases, of
which an event needs at most one each; inside a block, ordered by risk, those of lower risk are the
first.

N cases, E events, R weightings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from hipt.stats.arrays import Events, Floats, Ints

TIED_RISK = 1e-8
"""Risks that differ by no more are equal."""


class Blocks(NamedTuple):
    """All blocks of one size, and what events find in them."""

    order: Ints
    """(N,) the cases, block by block, inside a block by risk."""
    event: Ints
    """(e,) the cases, all with an event, that need one of these blocks."""
    first: Ints
    """(e,) where in `order` the block of each begins."""
    lower: Ints
    """(e,) where those of lower risk end."""
    tied: Ints
    """(e,) where those of equal risk end."""
    last: Ints
    """(e,) where the block ends."""


def comparable(
    time: Floats, event: Events, risk: Floats, tied_tol: float = TIED_RISK
) -> Iterator[Blocks]:
    """Every pair of an event and a case that is followed for longer, or censored at its time.

    Args:
        time: (N,) months.
        event: (N,).
        risk: (N,).
        tied_tol: risks that differ by no more are equal.

    Yields:
        Blocks of twice the size each; together they hold every pair once.
    """
    cases = len(time)
    by_time = np.lexsort((~event, time))  # of one time, events come first
    events = np.flatnonzero(event)
    start = np.searchsorted(time[by_time], time[events], "left")
    ended = np.cumsum(np.append(0, event[by_time]))  # (N + 1,) events before each place
    same = np.searchsorted(time[by_time], time[events], "right")
    start += ended[same] - ended[start]  # (E,) place of the first case that is compared
    level, low, high = _levels(risk, risk[events], tied_tol)
    level, kinds = level[by_time], int(level.max(initial=0)) + 2
    size = 1
    while size < cases:
        need = np.flatnonzero((start & size > 0) & (start < cases))
        block = np.arange(cases) // size
        order = np.lexsort((level, block))
        key = block[order] * kinds + level[order]
        own = start[need] // size * kinds
        yield Blocks(
            order=by_time[order],
            event=events[need],
            first=start[need],
            lower=np.searchsorted(key, own + low[need]),
            tied=np.searchsorted(key, own + high[need]),
            last=np.minimum(start[need] + size, cases),
        )
        start[need] += size
        size *= 2


def _levels(risk: Floats, query: Floats, tied_tol: float) -> tuple[Ints, Ints, Ints]:
    """(N,) level of each risk; per queried risk (E,) the first level tied, and the first above."""
    values, level = np.unique(risk, return_inverse=True)
    low = _first_not(lambda place: query - values[place] > tied_tol, values, query - tied_tol)
    high = _first_not(lambda place: query - values[place] >= -tied_tol, values, query + tied_tol)
    return level, low, high


def _first_not(holds: Callable[[Ints], Events], values: Floats, near: Floats) -> Ints:
    """(E,) the first place of rising values where something holds no more; it is near a bound.

    What holds is the difference as it is rounded, which the bound itself may miss by a place.
    """
    place = np.searchsorted(values, near)
    while True:
        less = (place > 0) & ~holds(place - 1)
        more = (place < len(values)) & holds(np.minimum(place, len(values) - 1))
        if not (less | more).any():
            return place
        place = place - less + more
