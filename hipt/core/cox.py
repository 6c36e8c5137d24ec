"""Cox's proportional hazards with a ridge penalty: the linear baseline of survival tasks.

N cases, D features, E events. Times are months above 0; event is True where it happened.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import linalg, special

from hipt.core.kaplan_meier import Events, Floats, checked

Features = npt.NDArray[np.floating[Any]]  # [N, D]
Ties = Literal["efron", "breslow"]

MOST_STEPS = 200
"""Newton steps; a weak ridge needs some dozens, a strong one a few."""

MOST_STEPS_WITHOUT_RIDGE = 25
"""Where there is a maximum a few are enough; where there is none they never end."""

SMALLEST_GAIN = 1e-14
"""What a Newton step promises, in log-likelihood, when it is the last one."""


def cox_ridge(
    features: Features, time: Floats, event: Events, ridge: float, ties: Ties = "efron"
) -> Floats:
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
        ties: how events at the same time are treated.

    Raises:
        ValueError: if ridge is negative, or the likelihood has no maximum, as when a feature orders
            all events and the ridge is 0.

    Source: Cox, J R Stat Soc B 1972; Efron, J Am Stat Assoc 1977 (ties); Breslow, 1974 (ties).
    """
    if not ridge >= 0:
        raise ValueError(f"ridge must be 0 or more, got {ridge}")
    values = _centred(features)
    share = _at_risk(*checked(time, event), ties)
    happened = np.asarray(event, bool)
    if values.shape[1] <= len(values):
        return _maximum(values, happened, share, ridge)
    left, size, right = np.linalg.svd(values, full_matrices=False)
    return np.asarray(right.T @ _maximum(left * size, happened, share, ridge))


def cox_log_likelihood(
    features: Features, time: Floats, event: Events, coefficients: Floats, ties: Ties = "efron"
) -> float:
    """Logarithm of the partial likelihood, without a penalty; 0 where there is no event.

    Args:
        features: [N, D].
        time: (N,) months.
        event: (N,).
        coefficients: (D,).
        ties: how events at the same time are treated.
    """
    share = _at_risk(*checked(time, event), ties)
    risk = np.asarray(features, np.float64) @ coefficients
    return _log_likelihood(risk, np.asarray(event, bool), share)


def _centred(features: Features) -> Floats:
    """[N, D] with mean 0; a constant column becomes 0, not what rounding leaves of it."""
    values = np.asarray(features, np.float64)
    centred = values - values.mean(0)
    constant = np.abs(centred).max(0) <= 1e-9 * np.abs(values).max(0)
    return np.where(constant, 0.0, centred)


def _at_risk(time: Floats, event: Events, ties: Ties) -> Floats:
    """[E, N] share with which each case is at risk at each event, 0 to 1.

    Efron: the first of d events at one time sees all d at risk, the next (d - 1) / d of each, and
    so on. Breslow: all see all.
    """
    rows = np.flatnonzero(event)
    share = np.asarray(time[rows, None] <= time, np.float64)
    if ties == "efron":
        tied = (time[rows, None] == time) & event  # [E, N]
        before = np.tril(tied[:, rows], -1).sum(1)
        share -= tied * (before / tied.sum(1))[:, None]
    return share


def _log_likelihood(risk: Floats, event: Events, share: Floats) -> float:
    """Sum over events of the risk less the logarithm of the summed hazards."""
    hazard = special.logsumexp(np.broadcast_to(risk, share.shape), axis=1, b=share)  # (E,)
    return float(risk[event].sum() - np.sum(hazard))


def _slopes(values: Floats, risk: Floats, event: Events, share: Floats) -> tuple[Floats, Floats]:
    """(D,) gradient and [D, D] negative second derivatives of the log-likelihood."""
    hazard = special.logsumexp(np.broadcast_to(risk, share.shape), axis=1, b=share)  # (E,)
    chance = share * np.exp(np.where(share > 0, risk - hazard[:, None], -np.inf))  # [E, N]
    expected = chance @ values  # [E, D]
    gradient = values[event].sum(0) - expected.sum(0)
    return gradient, (values.T * chance.sum(0)) @ values - expected.T @ expected


def _maximum(values: Floats, event: Events, share: Floats, ridge: float) -> Floats:
    """(D,) coefficients of the highest penalised likelihood."""

    def objective(coefficients: Floats) -> float:
        penalty = 0.5 * ridge * coefficients @ coefficients
        return _log_likelihood(values @ coefficients, event, share) - float(penalty)

    found = np.zeros(values.shape[1])
    for _ in range(MOST_STEPS if ridge else MOST_STEPS_WITHOUT_RIDGE):
        gradient, curvature = _slopes(values, values @ found, event, share)
        gradient = gradient - ridge * found
        curvature[np.diag_indices(len(found))] += ridge
        step = _solve(curvature, gradient)
        gain = float(gradient @ step)
        if gain <= SMALLEST_GAIN:
            return np.asarray(found + step)
        start, size = objective(found), 1.0
        rounding = 1e-12 * abs(start)
        while not objective(found + size * step) >= start - rounding:
            size /= 2
        found = found + size * step
    raise ValueError("the Cox model has no maximum; give it a ridge above 0, or a larger one")


def _solve(curvature: Floats, gradient: Floats) -> Floats:
    """(D,) Newton step; 0 along what the curvature does not know, such as constant features."""
    diagonal = np.diag(curvature)
    scale = np.sqrt(np.where(diagonal > 0, diagonal, 1))
    scaled = curvature / np.outer(scale, scale)
    step = linalg.lstsq(scaled, gradient / scale, cond=1e-10, lapack_driver="gelsy")[0]
    return np.asarray(step / scale)
