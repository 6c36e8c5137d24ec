"""What a training loop draws from."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hipt.pretraining.corpus_list import State

Minibatch = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
"""Patches as uint8 [batch, px, px, 3], or grids as float32 [batch, D, g, g]."""


class Source(AbstractContextManager["Source"], Protocol):
    """Minibatches without end, epoch after epoch; to be used in a `with` block."""

    waited_s: float
    """Seconds that the consumer has waited for minibatches."""

    def __next__(self) -> Minibatch:
        """The next minibatch."""

    def state(self) -> State:
        """Where the minibatch after the last one begins; a source made with it goes on there."""
