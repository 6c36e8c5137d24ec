"""Memory for large arrays that come and go."""

from __future__ import annotations

import weakref

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]


class Recycled:
    """Gives arrays in memory that earlier ones no longer use.

    The system hands out large arrays page by page, each filled with zeros first, which may take
    longer than to fill them with pixels. An array's memory is used again when nobody has the array
    any more, nor any view of it.
    """

    def __init__(self) -> None:
        """Take no memory yet."""
        self._free: dict[tuple[int, ...], list[Bytes]] = {}

    def __call__(self, shape: tuple[int, ...]) -> Bytes:
        """An array of a shape; what is in it is left from before."""
        free = self._free.setdefault(shape, [])
        try:
            memory = free.pop()
        except IndexError:
            memory = np.empty(shape, np.uint8)
        # Views refer to this array, and not to the memory, since another kind lies between.
        owner = np.frombuffer(memory.data.cast("B"), np.uint8)
        # Lists are safe among threads; a lock could be held by whoever the finaliser interrupts.
        weakref.finalize(owner, free.append, memory).atexit = False
        return owner.reshape(shape)
