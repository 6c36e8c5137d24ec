"""Tiles that threads share: each decoded once, none overwritten while in use, none too many."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from hipt.slides.tile_cache import TileCache

SHAPE = (8, 8, 3)
BYTES = 8 * 8 * 3


class Decoder:
    """Fills a tile with its number, and counts."""

    def __init__(self) -> None:
        self.calls: Counter[int] = Counter()
        self._lock = threading.Lock()

    def of(self, number: int):
        def decode(out: np.ndarray) -> None:
            with self._lock:
                self.calls[number] += 1
            out[:] = number

        return decode


def test_what_is_held_is_not_decoded_again():
    cache, decoder = TileCache(3 * BYTES), Decoder()
    for number in (1, 2, 3, 1, 2, 3, 1, 2, 3):
        with cache.lent(number, SHAPE, decoder.of(number)) as tile:
            assert (tile == number).all()
    assert decoder.calls == {1: 1, 2: 1, 3: 1}


def test_the_tile_that_was_idle_longest_goes():
    cache, decoder = TileCache(2 * BYTES), Decoder()
    for number in (1, 2, 1, 3, 1, 2):
        with cache.lent(number, SHAPE, decoder.of(number)):
            pass
    assert decoder.calls == {1: 1, 2: 2, 3: 1}


def test_no_tile_is_overwritten_while_it_is_read():
    """Two places, and six readers who look twice."""
    cache, decoder = TileCache(2 * BYTES), Decoder()

    def read(number: int) -> None:
        with cache.lent(number, SHAPE, decoder.of(number)) as tile:
            assert (tile == number).all()
            threading.Event().wait(0.0003)
            assert (tile == number).all()

    numbers = np.random.default_rng(0).integers(0, 9, 600).tolist()
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(read, numbers))


def test_who_comes_while_a_tile_is_decoded_waits_for_it():
    cache, calls = TileCache(4 * BYTES), []
    begun, go = threading.Event(), threading.Event()

    def decode(out: np.ndarray) -> None:
        calls.append(1)
        begun.set()
        go.wait(10)
        out[:] = 7

    def read() -> int:
        with cache.lent("a", SHAPE, decode) as tile:
            return int(tile.max())

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(read)
        assert begun.wait(10)
        others = [pool.submit(read) for _ in range(2)]
        go.set()
        assert [one.result() for one in (first, *others)] == [7, 7, 7]
    assert len(calls) == 1


def test_a_tile_that_cannot_be_decoded_is_tried_again():
    cache, decoder = TileCache(BYTES), Decoder()

    def fail(out: np.ndarray) -> None:  # noqa: ARG001
        raise ValueError("damaged")

    for _ in range(3):  # more often than there are places
        with pytest.raises(ValueError, match="damaged"), cache.lent("a", SHAPE, fail):
            pass
    with cache.lent("a", SHAPE, decoder.of(5)) as tile:
        assert (tile == 5).all()


def test_tiles_of_another_size_get_the_memory_when_it_is_idle():
    cache, decoder = TileCache(2 * BYTES), Decoder()
    small = (4, 4, 3)
    with cache.lent(1, SHAPE, decoder.of(1)) as one:
        for _ in range(2):
            with cache.lent(2, small, decoder.of(2)) as two:
                assert (two == 2).all()
        assert (one == 1).all()
    assert decoder.calls[2] == 2  # nothing was held of it while the other was in use
    for _ in range(2):
        for number in range(3, 11):
            with cache.lent(number, small, decoder.of(number)):
                pass
    assert all(decoder.calls[number] == 1 for number in range(3, 11))


def test_without_memory_everybody_decodes_for_himself():
    cache, decoder = TileCache(0), Decoder()
    for _ in range(2):
        with cache.lent(1, SHAPE, decoder.of(1)) as tile:
            assert (tile == 1).all()
    assert decoder.calls == {1: 2}
