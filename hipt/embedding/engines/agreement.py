"""How far vectors are from those of torch in fp32, and whether they can take their place.

Legend: N inputs, D width of a vector.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hipt.embedding.precisions import Precision
from hipt.stats.arrays import unit_rows

MOST_OFF = 1e-4
"""Of fp32: the largest difference, in standard deviations; float16, as patch vectors are kept,
rounds a number of that size by up to 2.4e-4 of it."""

LEAST_COSINE = 0.999
"""Of bf16."""

LEAST_KEPT = 0.97
"""Of bf16, likewise."""

AS_NEAR = 2.0
"""What an engine's bf16 may be off, in what torch's bf16 is, where bf16 is asked for by name."""

NEIGHBOURS = 5

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Agreement:
    """Vectors against those of torch in fp32, of the same inputs.

    For cosines both are centred first: the mean of all inputs' vectors, which tells none from
    another, would make any two alike.
    """

    most_off: float
    """Largest difference of two numbers, in standard deviations of all numbers."""
    least_cosine: float
    """Of an input's two centred vectors."""
    kept: float
    """Share of the nearest neighbours, by the cosine of centred vectors, that stay."""

    @classmethod
    @np.errstate(invalid="ignore", over="ignore")  # of weights that give no numbers
    def of(cls, reference: Floats, found: Floats) -> Agreement:
        """Compare vectors.

        Args:
            reference: (N, D), of torch in fp32.
            found: (N, D).
        """
        mean = reference.mean(0, dtype=np.float64)
        a, b = reference - mean, found - mean  # (N, D) each
        spread, off = float(reference.std(dtype=np.float64)), float(np.abs(a - b).max())
        cosines = (unit_rows(a) * unit_rows(b)).sum(1)  # (N,)
        return cls(off / spread if spread else off, float(cosines.min()), _kept(a, b))

    def holds(self, precision: Precision) -> bool:
        """Whether the vectors can take the place of torch's; not if any number is none."""
        if precision == "fp32":
            return self.most_off <= MOST_OFF
        return self.least_cosine >= LEAST_COSINE and self.kept >= LEAST_KEPT

    def as_near_as(self, other: Agreement) -> bool:
        """Whether the vectors are hardly further off than others."""
        return 1 - self.least_cosine <= AS_NEAR * (1 - other.least_cosine)

    def text(self) -> str:
        """What a person reads."""
        return (
            f"largest difference {self.most_off:.1e} sd, centred cosine at least "
            f"{self.least_cosine:.4f}, {self.kept:.1%} of {NEIGHBOURS} nearest neighbours kept"
        )


def _kept(a: Floats, b: Floats) -> float:
    """Share of each row's nearest rows that are the same in both; 1 of a row alone."""
    count = min(NEIGHBOURS, len(a) - 1)
    if count < 1:
        return 1.0
    pairs = zip(_nearest(a, count), _nearest(b, count), strict=True)
    return sum(len(set(x) & set(y)) for x, y in pairs) / (count * len(a))


def _nearest(vectors: Floats, count: int) -> list[list[int]]:
    """The nearest rows of each."""
    unit = unit_rows(vectors)
    alike = unit @ unit.T
    np.fill_diagonal(alike, -2)
    nearest: list[list[int]] = np.argsort(-alike, axis=1, kind="stable")[:, :count].tolist()
    return nearest
