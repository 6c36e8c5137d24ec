"""The order in which training draws its items: endless, decided by a seed, entered at any position.

Nothing here knows pixels or grids. A position is the number of items that a process has drawn since
the beginning of training; whoever enters the order there gets what an undisturbed process gets.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]

_EPOCH, _POOL = 1, 2  # first words of the seeds, so that no two orders share one


@dataclass(frozen=True)
class Share:
    """One process's part of an order on which all processes agree."""

    seed: int
    rank: int = 0
    ranks: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.ranks:
            raise ValueError(f"rank {self.rank} is none of {self.ranks} ranks")


@dataclass(frozen=True)
class Pool:
    """Blocks whose patches are shuffled together."""

    blocks: IntArray
    """Their numbers, rising."""
    order: IntArray
    """What is still to be drawn: patches of the pool, numbered block by block."""
    start: int
    """The position of the first of them."""


def epoch_order(items: int, epoch: int, seed: int, rank: int = 0, ranks: int = 1) -> IntArray:
    """One process's share of an epoch's permutation; the shares are disjoint and leave none out.

    Args:
        items: how many there are.
        epoch: which pass over them.
        seed: with the epoch, decides the permutation.
        rank: which process.
        ranks: number of processes.
    """
    permutation = np.random.default_rng([_EPOCH, seed, epoch]).permutation(items)
    return np.ascontiguousarray(permutation[rank::ranks], np.int64)


def remaining(items: int, share: Share, position: int = 0) -> Iterator[IntArray]:
    """What a process still has to draw of the epoch at `position`, then each epoch, without end.

    Raises:
        ValueError: if there are fewer items than processes.
    """
    if items < share.ranks:
        raise ValueError(f"{items} items are too few for {share.ranks} ranks")
    first, drawn = divmod(position, len(range(share.rank, items, share.ranks)))
    for epoch in itertools.count(first):
        yield epoch_order(items, epoch, share.seed, share.rank, share.ranks)[drawn:]
        drawn = 0


def regrouped(parts: Iterable[IntArray], size: int) -> Iterator[IntArray]:
    """The same numbers in the same order, `size` at a time."""
    held = np.zeros(0, np.int64)
    for part in parts:
        held = np.concatenate([held, part])
        whole = len(held) // size * size
        yield from held[:whole].reshape(-1, size)
        held = held[whole:]


def pools(
    counts: npt.NDArray[np.uint8], pool_blocks: int, share: Share, position: int = 0
) -> Iterator[Pool]:
    """A process's patches, pool by pool, without end; a pool never spans two epochs.

    An epoch's blocks are permuted and cut into equal pools, so that its last pool mixes as well as
    the others; the patches of a pool are shuffled together. Within an epoch every patch is drawn
    once, by one process.

    Args:
        counts: (B,) patches of each block, at least 1.
        pool_blocks: most blocks in a pool.
        share: which process.
        position: patches that the process has drawn already.

    Raises:
        ValueError: if there are fewer blocks than processes, or empty ones.
    """
    if len(counts) < share.ranks or not counts.all():
        raise ValueError(
            f"{len(counts)} blocks for {share.ranks} ranks: too few, or some are empty"
        )
    start = 0
    for epoch in itertools.count():
        blocks = epoch_order(len(counts), epoch, share.seed, share.rank, share.ranks)
        total = int(counts[blocks].sum())
        if start + total <= position:  # epochs differ in length: a share's blocks differ
            start += total
            continue
        for number, members in enumerate(np.array_split(blocks, -(-len(blocks) // pool_blocks))):
            total = int(counts[members].sum())
            if start + total > position:
                seed = [_POOL, share.seed, epoch, share.rank, number]
                drawn = max(0, position - start)
                order = np.random.default_rng(seed).permutation(total)[drawn:]
                yield Pool(np.sort(members), order, start + drawn)
            start += total
