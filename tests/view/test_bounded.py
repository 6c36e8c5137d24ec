"""The cache: a value is made once, what was used last stays, what fails is made again."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from hipt.view.bounded import Bounded


def test_many_threads_make_a_value_once():
    cache, made, barrier = Bounded[str, object](3), [], threading.Barrier(8)

    def make() -> object:
        made.append(1)
        return object()

    def ask(_: int) -> object:
        barrier.wait()
        return cache.get("a", make)

    with ThreadPoolExecutor(8) as pool:
        values = set(pool.map(ask, range(8)))
    assert (len(values), len(made)) == (1, 1)


def test_what_was_used_last_stays_within_the_bound():
    cache = Bounded[int, bytes](10, len)
    for key in range(5):
        cache.get(key, lambda: b"xxx")
        cache.get(0, lambda: pytest.fail("0 was used last"))
        assert cache.size <= 10
    made = []
    for key in (4, 0, 1):
        cache.get(key, lambda key=key: made.append(key) or b"xxx")
    assert made == [1]


def test_a_value_beyond_the_bound_is_kept_alone():
    cache = Bounded[str, bytes](4, len)
    cache.get("small", lambda: b"x")
    assert cache.get("large", lambda: b"xxxxxxxx") == b"xxxxxxxx"
    assert cache.size == 8
    cache.get("small", lambda: b"x")
    assert cache.size == 1


def test_what_fails_is_made_again():
    cache = Bounded[str, int](1)
    with pytest.raises(OSError, match="gone"):
        cache.get("a", lambda: (_ for _ in ()).throw(OSError("gone")))
    assert cache.get("a", lambda: 2) == 2
