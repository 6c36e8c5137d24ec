"""Cox's proportional hazards with a ridge penalty: the linear baseline of survival tasks.

N cases, D features, E events. Times are months above 0; event is True where it happened.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import linalg

from hipt.stats.arrays import Events, Floats, Ints
from hipt.stats.censoring import checked

Features = npt.NDArray[np.floating[Any]]  # [N, D]

MOST_STEPS = 200
"""Newton steps; a weak ridge needs some dozens, a strong one a few."""

MOST_STEPS_WITHOUT_RIDGE = 25
"""Where there is a maximum a few are enough; where there is none they never end."""

SMALLEST_GAIN = 1e-14
"""What a Newton step promises, in log-likelihood, when it is the last one."""

BLOCK = 128
"""Cases whose risk sets are summed by one matrix product."""


def cox_ridge(features: Features, time: Floats, event: Events, ridge: float) -> Floats:
    """(D,) coefficients: the log hazard ratio of one unit of each feature.

    They maximise `cox_log_likelihood` - ridge / 2 * |coefficients|^2 by Newton's method. With more
    features than cases it works in the cases' own space: exact, since the penalty only knows
    lengths. Features of different scale should be standardised before: the penalty is the same
    for all. The risk of a case is `features @ coefficients`.

    Args:
        features: [N, D], any offset.
        time: (N,) months.
        event: (N,).
        ridge: strength of the penalty, 0 or more; the likelihood is a sum over events, so the same
            number means less for a larger cohort.

    Raises:
        ValueError: if ridge is negative, or the likelihood has no maximum, as when a feature orders
            all events and the ridge is 0.

    Source: Cox, J R Stat Soc B 1972; Efron, J Am Stat Assoc 1977 (ties).
    """
    if not ridge >= 0:
        raise ValueError(f"ridge must be 0 or more, got {ridge}")
    values = _centred(features)
    sets = _at_risk(*checked(time, event))
    values = values[sets.order]
    if values.shape[1] <= len(values):
        return _maximum(values, sets, ridge)
    left, size, right = np.linalg.svd(values, full_matrices=False)
    return np.asarray(right.T @ _maximum(left * size, sets, ridge))


def cox_log_likelihood(
    features: Features, time: Floats, event: Events, coefficients: Floats
) -> float:
    """Logarithm of the partial likelihood, without a penalty; 0 where there is no event.

    Args:
        features: [N, D].
        time: (N,) months.
        event: (N,).
        coefficients: (D,).
    """
    sets = _at_risk(*checked(time, event))
    risk = np.asarray(features, np.float64) @ coefficients
    return _log_likelihood(risk[sets.order], sets)


def _centred(features: Features) -> Floats:
    """[N, D] with mean 0; a constant column becomes 0, not what rounding leaves of it."""
    values = np.asarray(features, np.float64)
    centred = values - values.mean(0)
    constant = np.abs(centred).max(0) <= 1e-9 * np.abs(values).max(0)
    return np.where(constant, 0.0, centred)


class _AtRisk(NamedTuple):
    """Who is at risk at each event: all cases up to a place, those followed longest first."""

    order: Ints
    """(N,) cases, the longest followed first."""
    event: Ints
    """(E,) places in this order of the cases with an event, rising."""
    last: Ints
    """(E,) place of the last case at risk at each."""
    group: Ints
    """(T,) where the events of each time begin."""
    sizes: Ints
    """(T,) events of each time."""
    spared: Floats
    """(E,) share with which an event does not see the events of its time."""

    def of_group(self, values: Floats) -> Floats:
        """Sums over the events of each time, (E,) or (E, D), at each of them."""
        return np.repeat(np.add.reduceat(values, self.group), self.sizes, axis=0)


def _at_risk(time: Floats, event: Events) -> _AtRisk:
    """Who is at risk when.

    Efron: the first of d events at one time sees all d at risk, the next (d - 1) / d of each, and
    so on.
    """
    order = np.argsort(-time, kind="stable")
    followed = -time[order]  # rising
    places = np.flatnonzero(event[order])
    last = np.searchsorted(followed, followed[places], "right") - 1
    group = np.flatnonzero(np.diff(last, prepend=-1))
    sizes = np.diff(group, append=len(places))  # (T,) events of each time
    before = np.arange(len(places)) - np.repeat(group, sizes)
    return _AtRisk(order, places, last, group, sizes, before / np.repeat(sizes, sizes))


class _Hazards(NamedTuple):
    """Summed hazards of risk sets, in logarithms: nothing grows too large or too small."""

    upto: Floats
    """(N,) of all cases up to each place."""
    own: Floats
    """(E,) share of each event's own hazard in that of all cases up to its last one."""
    left: Floats
    """(E,) share that is left without what ties spare."""
    at: Floats
    """(E,) of those at risk at each event."""


def _hazards(risk: Floats, sets: _AtRisk) -> _Hazards:
    """What each event sees."""
    upto = np.logaddexp.accumulate(risk)
    own = np.exp(risk[sets.event] - upto[sets.last])
    left = 1 - sets.spared * sets.of_group(own)
    return _Hazards(upto, own, left, upto[sets.last] + np.log(left))


def _log_likelihood(risk: Floats, sets: _AtRisk) -> float:
    """Sum over events of the risk less the logarithm of the summed hazards."""
    return float(risk[sets.event].sum() - _hazards(risk, sets).at.sum())


def _slopes(values: Floats, risk: Floats, sets: _AtRisk) -> tuple[Floats, Floats]:
    """(D,) gradient and [D, D] negative second derivatives of the log-likelihood.

    The chance of each case at each event would be an [E, N] table: only its sums are made, over
    events for each case, and over cases for each event, of which each risk set adds to the last.
    """
    seen = _hazards(risk, sets)
    spared = (sets.spared / seen.left)[:, None]
    tied = sets.of_group(seen.own[:, None] * values[sets.event])  # (E, D)
    expected = _means(values, risk, seen.upto, sets.last) / seen.left[:, None] - spared * tied
    from_here = np.full(len(risk), -np.inf)
    from_here[sets.last] = np.log(sets.of_group(1 / seen.left)) - seen.upto[sets.last]
    chance = np.exp(risk + np.logaddexp.accumulate(from_here[::-1])[::-1])  # (N,) over all events
    chance[sets.event] -= seen.own * sets.of_group(sets.spared / seen.left)
    gradient = values[sets.event].sum(0) - expected.sum(0)
    return gradient, (values.T * chance) @ values - expected.T @ expected


def _means(values: Floats, risk: Floats, upto: Floats, last: Ints) -> Floats:
    """(E, D) mean of the rows up to a place, weighted by their hazards.

    Args:
        values: (N, D).
        risk: (N,).
        upto: (N,) logarithm of the summed hazards up to each place.
        last: (E,) the places, rising.
    """
    means = np.empty((len(last), values.shape[1]))
    before, known = np.zeros(values.shape[1]), -np.inf
    for start in range(0, len(values), BLOCK):
        rows = slice(start, start + BLOCK)
        inside = np.tri(len(risk[rows]), dtype=bool)
        share = np.exp(np.where(inside, risk[rows] - upto[rows, None], -np.inf))
        here = share @ values[rows] + np.exp(known - upto[rows])[:, None] * before
        wanted = slice(*np.searchsorted(last, [start, start + len(here)]))
        means[wanted] = here[last[wanted] - start]
        before, known = here[-1], upto[rows][-1]
    return means


def _maximum(values: Floats, sets: _AtRisk, ridge: float) -> Floats:
    """(D,) coefficients of the highest penalised likelihood."""

    def objective(coefficients: Floats) -> float:
        penalty = 0.5 * ridge * coefficients @ coefficients
        return _log_likelihood(values @ coefficients, sets) - float(penalty)

    beta = np.zeros(values.shape[1])
    for _ in range(MOST_STEPS if ridge else MOST_STEPS_WITHOUT_RIDGE):
        gradient, curvature = _slopes(values, values @ beta, sets)
        gradient = gradient - ridge * beta
        curvature[np.diag_indices(len(beta))] += ridge
        step = _solve(curvature, gradient)
        gain = float(gradient @ step)
        if gain <= SMALLEST_GAIN:
            return np.asarray(beta + step)
        start, size = objective(beta), 1.0
        rounding = 1e-12 * abs(start)
        while not objective(beta + size * step) >= start - rounding:
            size /= 2
        beta = beta + size * step
    raise ValueError("the Cox model has no maximum; give it a ridge above 0, or a larger one")


def _solve(curvature: Floats, gradient: Floats) -> Floats:
    """(D,) Newton step; 0 along what the curvature does not know, such as constant features."""
    diagonal = np.diag(curvature)
    scale = np.sqrt(np.where(diagonal > 0, diagonal, 1))
    scaled = curvature / np.outer(scale, scale)
    step = linalg.lstsq(scaled, gradient / scale, cond=1e-10, lapack_driver="gelsy")[0]
    return np.asarray(step / scale)
