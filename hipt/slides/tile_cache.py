"""Decoded tiles that were used last, in one piece of memory that is used over and over."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock

import numpy as np
import numpy.typing as npt

Tile = npt.NDArray[np.uint8]  # [h, w, 3]


class _Entry:
    """A tile, decoded by the first who asks for it; the others wait for its lock."""

    __slots__ = ("decoding", "error", "pixels", "ready", "slot", "users")

    def __init__(self, pixels: Tile, slot: int | None) -> None:
        self.pixels = pixels
        self.slot = slot
        """Its place in the memory; None: it has its own and is not kept."""
        self.users = 1
        self.ready = False
        self.error: Exception | None = None
        self.decoding = Lock()
        self.decoding.acquire()

    def decode(self, decode: Callable[[Tile], None]) -> None:
        """Fill the tile, and let go those who wait for it."""
        try:
            decode(self.pixels)
        except Exception as error:
            self.error = error
            raise
        finally:
            self.ready = True
            self.decoding.release()

    def wait(self) -> None:
        """Wait until the tile is decoded.

        Raises:
            Exception: what decoding it raised.
        """
        if not self.ready:
            with self.decoding:
                pass
        if self.error is not None:
            raise self.error


class _Lent:
    """A tile in use, as long as a `with` block lasts."""

    __slots__ = ("_cache", "_decode", "_entry", "_key", "_shape")

    def __init__(
        self,
        cache: TileCache,
        key: Hashable,
        shape: tuple[int, int, int],
        decode: Callable[[Tile], None],
    ) -> None:
        self._cache, self._key, self._shape, self._decode = cache, key, shape, decode

    def __enter__(self) -> Tile:
        entry, mine = self._cache.claimed(self._key, self._shape)
        self._entry = entry
        try:
            if mine:
                entry.decode(self._decode)
            else:
                entry.wait()
        except BaseException:
            self._cache.left(self._key, entry)
            raise
        return entry.pixels

    def __exit__(self, *_: object) -> None:
        self._cache.left(self._key, self._entry)


class TileCache:
    """Tiles that threads share. None is decoded twice at a time, and none vanishes while in use.

    Memory that was never used before is slow to write to: places are used again. All tiles of a
    slide have one size, and the places are cut anew when another slide comes with another. What
    stands here runs for every tile, one thread at a time in all of Python: it is kept short.
    """

    def __init__(self, most_bytes: int) -> None:
        """Take no memory yet.

        Args:
            most_bytes: what is held at most; 0: nothing is, and everybody decodes for himself.
        """
        self._most = most_bytes
        self._lock = Lock()
        self._known: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._memory = np.empty(0, np.uint8)
        self._slots = np.empty((0, 0), np.uint8)
        self._free: list[int] = []

    def lent(
        self, key: Hashable, shape: tuple[int, int, int], decode: Callable[[Tile], None]
    ) -> _Lent:
        """A tile, to be read in a `with` block, which raises what `decode` raises.

        Args:
            key: names the tile.
            shape: its shape.
            decode: fills it, where it is not there yet.
        """
        return _Lent(self, key, shape, decode)

    def claimed(self, key: Hashable, shape: tuple[int, int, int]) -> tuple[_Entry, bool]:
        """The tile's entry, and whether it is for the caller to decode it."""
        with self._lock:
            entry = self._known.get(key)
            if entry is not None:
                entry.users += 1
                self._known.move_to_end(key)
                return entry, False
            size = math.prod(shape)
            slot = self._slot(size)
            if slot is None:
                return _Entry(np.empty(shape, np.uint8), None), True
            entry = _Entry(self._slots[slot, :size].reshape(shape), slot)
            self._known[key] = entry
            return entry, True

    def _slot(self, size: int) -> int | None:
        """A place for a tile; that of the one that was idle longest, where all are taken."""
        if size != self._slots.shape[1]:
            if any(entry.users for entry in self._known.values()):
                return None
            self._cut(size)
        if self._free:
            return self._free.pop()
        for key, entry in self._known.items():
            if not entry.users:
                del self._known[key]
                return entry.slot
        return None

    def _cut(self, size: int) -> None:
        """Forget all tiles, and make places for those of another size."""
        if not len(self._memory):
            self._memory = np.empty(self._most, np.uint8)
        self._known.clear()
        places = self._most // size
        self._slots = self._memory[: places * size].reshape(places, size)
        self._free = list(range(places))

    def left(self, key: Hashable, entry: _Entry) -> None:
        """One user less; a tile that could not be decoded is not kept."""
        with self._lock:
            entry.users -= 1
            if entry.users or entry.error is None or entry.slot is None:
                return
            if self._known.get(key) is entry:
                del self._known[key]
                self._free.append(entry.slot)
