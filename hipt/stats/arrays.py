"""Arrays by what they hold; shapes stand where they are used."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Events = Flags
"""(N,) per case, whether its event was seen."""
Texts = npt.NDArray[np.str_]
