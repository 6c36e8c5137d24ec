"""A cache that many threads share: what was used last stays, and each value is made once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Bounded(Generic[K, V]):
    """Values by key, made when they are first wanted; the least recently used go first.

    A value that leaves stays whole for whoever holds it. What fails is not kept.
    """

    def __init__(self, most: int, size_of: Callable[[V], int] = lambda _: 1) -> None:
        """An empty cache.

        Args:
            most: the sum of sizes that is kept; the value that came last is kept whatever its size.
            size_of: the size of a value; without it values are counted.
        """
        self._most, self._size_of = most, size_of
        self._lock = threading.Lock()
        self._values: OrderedDict[K, Future[V]] = OrderedDict()
        self._sizes: dict[K, int] = {}
        self._held = 0

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The value of a key; threads that want it while it is made wait for it.

        Raises:
            Exception: what `make` raises.
        """
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
            else:
                mine = self._values[key] = Future()
        if value is not None:
            return value.result()
        try:
            made = make()
        except BaseException as error:
            with self._lock:
                del self._values[key]
            mine.set_exception(error)
            raise
        mine.set_result(made)
        self._kept(key, made)
        return made

    @property
    def size(self) -> int:
        """The sum of the sizes of what is kept."""
        return self._held

    def _kept(self, key: K, made: V) -> None:
        """Count a new value, and let others go for it."""
        with self._lock:
            self._sizes[key] = self._size_of(made)
            self._held += self._sizes[key]
            while self._held > self._most:
                ready = (old for old in self._values if old in self._sizes and old != key)
                if (old := next(ready, None)) is None:
                    break
                del self._values[old]
                self._held -= self._sizes.pop(old)
