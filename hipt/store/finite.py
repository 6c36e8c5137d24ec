"""Vectors that are none: numbers that are nan or infinite, or too large for their type."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hipt.errors import SlideError

MOST_FLOAT16 = 65504
"""The largest number of float16; what is above became infinite."""


@dataclass
class Broken:
    """Counts the vectors of a slide that cannot be used, part by part."""

    vectors: int = 0
    """All that were looked at."""
    nan: int = 0
    """Those with a number that is none."""
    infinite: int = 0
    """The others with a number that is infinite, or was too large."""
    first: tuple[int, int] | None = None
    """Part and place of the first of them."""

    def add(self, values: npt.NDArray[np.floating], part: int) -> None:
        """Look at some vectors.

        Args:
            values: (N, D), in the type that they are stored in.
            part: which of the slide's parts they are, e.g. a region's number.
        """
        self.vectors += len(values)
        wrong = ~np.isfinite(values).all(1)  # (N,)
        if not wrong.any():
            return
        nan = np.isnan(values).any(1)
        self.nan += int(nan.sum())
        self.infinite += int((wrong & ~nan).sum())
        if self.first is None:
            self.first = part, int(np.argmax(wrong))

    def counted(self, limit: str) -> str:
        """How many vectors hold what, in words.

        Args:
            limit: what is infinite: beyond this.
        """
        kinds = ((self.nan, "nan"), (self.infinite, f"numbers beyond {limit}"))
        held = " and ".join(f"{count:,} with {what}" for count, what in kinds if count)
        return (
            f"{self.nan + self.infinite:,} of its {self.vectors:,} vectors cannot be used: {held}"
        )

    def refuse(self, limit: str, part: str, place: str | None = None) -> None:
        """End the slide if there is any such vector.

        Args:
            limit: what is infinite: beyond this.
            part: what a part is called.
            place: what a place in it is called; None: a part has one vector.

        Raises:
            SlideError: `failed`, with the count and the first of them.
        """
        if self.first is None:
            return
        named = f"{part} {self.first[0]}"
        if place is not None:
            named = f"{place} {self.first[1]} of {named}"
        raise SlideError(
            "failed",
            f"{self.counted(limit)}; the first is {named}. See to the weights, and try "
            "embed.precision: fp32",
        )
