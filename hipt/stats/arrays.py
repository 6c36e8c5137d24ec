"""Arrays by what they hold, shapes stand where they are used; and rows of length 1."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

F = TypeVar("F", bound=np.floating[Any])

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Events = Flags
"""(N,) per case, whether its event was seen."""
Texts = npt.NDArray[np.str_]


def unit_rows(values: npt.NDArray[F]) -> npt.NDArray[F]:
    """Rows of length 1; a row of zeros stays one."""
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(values / np.where(length > 0, length, 1), values.dtype)
