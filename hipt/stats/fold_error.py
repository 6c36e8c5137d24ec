"""How sure a mean over folds is: they share training cases, so their scores hang together."""

from __future__ import annotations

import numpy as np

from hipt.stats.arrays import Flags


def corrected_error(sd: float, folds: int, test_share: float) -> float:
    """Standard error of a mean over folds; sd / sqrt(folds) is too small.

    The variance of the mean is sd^2 (1 / folds + t / (1 - t)): the second part stands for the
    training cases that folds share, and does not shrink with their number.

    Args:
        sd: standard deviation of the folds' scores, as of a sample.
        folds: how many have a score.
        test_share: t, share of the units that a fold tests, between 0 and 1: 0.1 for 10 folds.

    Returns:
        NaN with fewer than two folds.

    Raises:
        ValueError: if `test_share` is not between 0 and 1.

    Source: Nadeau and Bengio, Mach Learn 2003.
    """
    if not 0 < test_share < 1:
        raise ValueError(f"test_share must be between 0 and 1, got {test_share}")
    if folds < 2:
        return np.nan
    return float(sd * np.sqrt(1 / folds + test_share / (1 - test_share)))


def share_tested(tested: Flags, used: Flags) -> float:
    """Mean over folds of the share of a fold's units that it tests; NaN where none is used.

    Args:
        tested: (N, folds) whether a fold tests each unit.
        used: (N, folds) whether it uses it at all.
    """
    units = used.sum(0)
    known = units > 0
    return float((tested.sum(0)[known] / units[known]).mean()) if known.any() else np.nan
