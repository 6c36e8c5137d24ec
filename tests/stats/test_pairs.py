"""Pairs in blocks: every comparable pair once, on the right side of ties, in few steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hipt.stats.pairs import comparable


def listed(time: np.ndarray, event: np.ndarray, risk: np.ndarray, tol: float) -> list[tuple]:
    """Pairs as the blocks have them: event, other case, how its risk lies."""
    result = []
    for blocks in comparable(time, event, risk, tol):
        sides = (blocks.first, blocks.lower, blocks.tied, blocks.last)
        for i, *ends in zip(blocks.event, *sides, strict=True):
            for start, stop, side in zip(ends, ends[1:], ("lower", "tied", "higher"), strict=False):
                result += [(int(i), int(j), side) for j in blocks.order[start:stop]]
    return result


def one_by_one(time: np.ndarray, event: np.ndarray, risk: np.ndarray, tol: float) -> list[tuple]:
    result = []
    for i in np.flatnonzero(event).tolist():
        for j in range(len(time)):
            if time[j] > time[i] or (time[j] == time[i] and not event[j]):
                gap = risk[i] - risk[j]
                side = "tied" if abs(gap) <= tol else "lower" if gap > 0 else "higher"
                result.append((i, j, side))
    return result


@settings(max_examples=150)
@given(st.integers(0, 10**6), st.integers(1, 40), st.sampled_from([0.0, 1e-8, 0.1, 0.5]))
def test_every_pair_once_and_as_a_loop_has_it(seed: int, n: int, tol: float):
    rng = np.random.default_rng(seed)
    time = rng.integers(1, 1 + rng.integers(1, 30), n).astype(float)
    event = rng.random(n) < rng.random()
    risk = np.round(rng.normal(size=n), rng.integers(0, 3)) + rng.choice([0, 1e-8, 3e-9], n)
    assert sorted(listed(time, event, risk, tol)) == sorted(one_by_one(time, event, risk, tol))


@pytest.mark.parametrize("n", [1, 2, 3, 4096, 4097])
def test_blocks_are_few(n: int):
    """N squared pairs are never written down: N numbers per size of a block, and few sizes."""
    time = np.arange(1.0, n + 1)
    sizes = list(comparable(time, np.ones(n, bool), -time, 0.0))
    assert len(sizes) <= 13
    held = sum(len(part) for blocks in sizes for part in blocks)
    assert held <= 13 * 6 * n
    assert sum(int((b.last - b.first).sum()) for b in sizes) == n * (n - 1) // 2
    assert sum(int((b.lower - b.first).sum()) for b in sizes) == n * (n - 1) // 2
