"""The order of items: complete, disjoint, decided by the seed, entered anywhere."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hipt.pretraining.order import Share, epoch_order, pools, regrouped, remaining

COUNTS = np.random.default_rng(0).integers(1, 17, 100).astype(np.uint8)

few = settings(max_examples=30)


def patches(counts: np.ndarray, pool_blocks: int, share: Share, position: int = 0, epochs: int = 1):
    """(block, patch) of the stream, up to the end of some epochs of one process."""
    blocks = [
        epoch_order(len(counts), e, share.seed, share.rank, share.ranks) for e in range(epochs)
    ]
    end = sum(int(counts[b].sum()) for b in blocks)
    drawn: list[tuple[int, int]] = []
    for pool in pools(counts, pool_blocks, share, position):
        if pool.start >= end:
            return drawn
        places = [(int(b), p) for b in pool.blocks for p in range(counts[b])]
        drawn += [places[i] for i in pool.order]
    raise AssertionError


@given(st.integers(0, 50), st.integers(0, 5), st.integers(0, 2**40), st.integers(1, 4))
@few
def test_the_shares_of_an_epoch_are_disjoint_and_complete(items, epoch, seed, ranks):
    shares = [epoch_order(items, epoch, seed, rank, ranks) for rank in range(ranks)]
    assert sorted(np.concatenate(shares).tolist()) == list(range(items))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_seed_and_epoch_alone_decide_the_permutation():
    first = epoch_order(1000, 3, 7)
    np.testing.assert_array_equal(first, epoch_order(1000, 3, 7))
    for other in (epoch_order(1000, 4, 7), epoch_order(1000, 3, 8)):
        assert (first == other).mean() < 0.02
    np.testing.assert_array_equal(first[1::2], epoch_order(1000, 3, 7, 1, 2))


@given(st.integers(3, 20), st.integers(0, 100), st.integers(0, 2))
@few
def test_the_order_can_be_entered_at_any_position(items, position, rank):
    share = Share(5, rank, 3)
    whole = itertools.chain.from_iterable(remaining(items, share))
    entered = itertools.chain.from_iterable(remaining(items, share, position))
    assert list(itertools.islice(whole, position, position + 50)) == list(
        itertools.islice(entered, 50)
    )


def test_minibatches_run_on_over_epochs():
    parts = list(itertools.islice(remaining(5, Share(0)), 4))
    batches = list(regrouped(parts, 3))
    assert [len(b) for b in batches] == [3] * 6
    np.testing.assert_array_equal(np.concatenate(batches), np.concatenate(parts)[:18])


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("pool_blocks", [1, 7, 1000])
def test_every_patch_is_drawn_once_in_an_epoch(ranks, pool_blocks):
    drawn = [d for r in range(ranks) for d in patches(COUNTS, pool_blocks, Share(1, r, ranks))]
    assert sorted(drawn) == [(b, p) for b in range(len(COUNTS)) for p in range(COUNTS[b])]


@given(st.integers(0, 2500), st.integers(1, 40), st.integers(0, 1))
@few
def test_pools_can_be_entered_at_any_position(position, pool_blocks, rank):
    share = Share(3, rank, 2)
    whole = patches(COUNTS, pool_blocks, share, 0, 9)
    first = next(pools(COUNTS, pool_blocks, share, position))
    assert first.start == position
    assert patches(COUNTS, pool_blocks, share, position, 9) == whole[position:]


def test_pools_are_of_nearly_one_size():
    """So that the end of an epoch mixes as well as its middle."""
    sizes = [len(pool.blocks) for pool in itertools.islice(pools(COUNTS, 33, Share(0)), 4)]
    assert sizes == [25] * 4


def test_epochs_and_seeds_differ_in_their_order():
    one, two = (patches(COUNTS, 1000, Share(seed), 0, 2) for seed in (0, 1))
    half = len(one) // 2
    assert sorted(one[:half]) == sorted(one[half:])
    assert one[:half] != one[half:]
    assert one != two


def test_a_minibatch_is_nearly_a_random_sample_of_all_slides():
    """100 slides of 64 blocks: pairs of patches from one slide are little more than 1 % of all."""
    stream = itertools.islice(pools(np.full(6400, 16, np.uint8), 128, Share(0)), 10)
    drawn = [np.repeat(pool.blocks, 16)[pool.order] // 64 for pool in stream]
    pairs = []
    for batch in np.concatenate(drawn).reshape(-1, 256):
        counts = np.bincount(batch)
        assert (counts > 0).sum() > 60
        pairs.append((counts * (counts - 1)).sum() / (256 * 255))
    assert 0.01 < np.mean(pairs) < 0.01 + 1.2 / 128  # what one pool more than a random sample has


def test_impossible_shares_are_refused():
    with pytest.raises(ValueError, match="rank 2 is none of 2"):
        Share(0, 2, 2)
    with pytest.raises(ValueError, match="2 items are too few for 3"):
        next(remaining(2, Share(0, 0, 3)))
    for counts in (COUNTS[:2], np.array([3, 0, 2, 2], np.uint8)):
        with pytest.raises(ValueError, match="for 3 ranks: too few, or some are empty"):
            next(pools(counts, 4, Share(0, 0, 3)))
