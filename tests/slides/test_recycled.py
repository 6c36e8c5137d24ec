"""Memory that is used again when nobody looks at it any more, and not before."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from hipt.slides.recycled import Recycled

SHAPE = (3, 4, 5)

HOLDERS = {
    "a part": lambda array: array[1:],
    "a part of a part": lambda array: array[1:].reshape(-1)[3:],
    "of another kind": lambda array: array.reshape(-1)[:8].view(np.float32),
    "turned": lambda array: array.T[0],
    "a tensor": lambda array: torch.from_numpy(array.reshape(-1)),
    "a memoryview": memoryview,
}


@pytest.mark.parametrize("name", HOLDERS)
def test_memory_is_not_used_again_while_anybody_has_a_view(name: str):
    recycled = Recycled()
    array = recycled(SHAPE)
    place, holder = array.ctypes.data, HOLDERS[name](array)
    del array
    others = [recycled(SHAPE) for _ in range(3)]
    assert place not in {other.ctypes.data for other in others}
    del holder
    assert recycled(SHAPE).ctypes.data == place


def test_arrays_are_of_the_shape_and_can_be_filled():
    recycled = Recycled()
    for shape in (SHAPE, (7,), SHAPE):
        array = recycled(shape)
        array[:] = 9
        assert (array.shape, array.dtype, int(array.sum())) == (shape, np.uint8, 9 * array.size)
        del array


def test_threads_never_get_the_same_memory():
    recycled = Recycled()

    def work(number: int) -> bool:
        array = recycled((1000,))
        array[:] = number
        return bool((array == number).all())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, [k % 251 for k in range(3000)]))
