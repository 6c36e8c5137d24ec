"""Patches without tissue: which of them are embedded, and what the others get instead.

Glass looks alike all over a slide, and stage 2 hardly tells the mean of a few such vectors from
each patch's own (docs/decisions/0027-background.md). Patches wholly outside of the slide are white,
and all equal: one of them is embedded, and its vector is theirs.

Legend: R regions, P patches of a region, S sampled patches, K patches that are embedded first,
W patches of a region that are embedded with it, D width of a vector.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Shares = npt.NDArray[np.floating]
Vectors = npt.NDArray[np.float16]
Background = Literal["embed", "sample"]

SAMPLES = 16
"""Patches without tissue that are embedded of each slide, at most."""


@dataclass(frozen=True)
class Choice:
    """What becomes of each patch of a slide."""

    wanted: Bools
    """(R, P) embedded with its region."""
    first: Ints
    """(K,) places, among all R * P, of those that are embedded first: samples, then one outside."""
    samples: int
    """S."""
    source: Ints
    """(R, P) whose vector a patch gets that is not wanted: one of the K, or K for their mean."""

    @property
    def computed(self) -> Bools:
        """(R, P) whose vector is that of the patch's own pixels."""
        return np.asarray(self.wanted | (self.source < len(self.first)))

    @property
    def work(self) -> int:
        """Patches that a model computes: of those outside of the slide one stands for all."""
        return int(self.wanted.sum()) + len(self.first)


def choose(tissue: Shares, inside: Shares, patches: int, background: Background) -> Choice:
    """Which patches of a slide are embedded.

    Args:
        tissue: (R * P,) share of each patch that is tissue.
        inside: (R * P,) share of each that lies on the slide.
        patches: P.
        background: `embed`, all that lie on the slide; `sample`, those with tissue, and of the
            others at most `SAMPLES`, evenly over them.
    """
    outside = inside == 0
    wanted = ~outside if background == "embed" else ~outside & (tissue > 0)
    empty = np.flatnonzero(~outside & ~wanted)
    samples = empty[_evenly(len(empty), SAMPLES)]
    first = np.concatenate([samples, np.flatnonzero(outside)[:1]])
    source = np.full(len(wanted), len(first), np.int64)
    source[outside] = len(samples)
    source[samples] = np.arange(len(samples))
    return Choice(wanted.reshape(-1, patches), first, len(samples), source.reshape(-1, patches))


def _evenly(length: int, most: int) -> Ints:
    """At most so many of the places 0 to length - 1, evenly apart."""
    count = min(length, most)
    return np.asarray((np.arange(count) + 0.5) * length / max(count, 1), np.int64)


class Spread:
    """How far vectors lie apart, added up as they come."""

    def __init__(self) -> None:
        """None yet."""
        self._count, self._sum, self._squares = 0, np.zeros(1), 0.0

    def add(self, vectors: Vectors) -> None:
        """Some more, (n, D)."""
        values = vectors.astype(np.float64)
        self._count += len(values)
        self._sum = self._sum + values.sum(0)
        self._squares += float(np.square(values).sum())

    @property
    def value(self) -> float:
        """Root mean square distance from their mean; 0 where there are none."""
        count = max(self._count, 1)
        return float(max(self._squares / count - np.square(self._sum / count).sum(), 0) ** 0.5)


class Completion:
    """A slide's regions, completed by the vectors that were computed first."""

    def __init__(self, choice: Choice) -> None:
        """Nothing is known yet."""
        self._choice = choice
        self._vectors = np.zeros((0, 0), np.float16)  # (K + 1, D), the mean last
        self._readable = np.zeros(0, bool)  # (K + 1,)
        self.sampled, self.wanted = Spread(), Spread()

    def learn(self, vectors: Vectors, readable: Bools) -> None:
        """Take the vectors of the patches that are embedded first.

        Args:
            vectors: (K, D).
            readable: (K,); samples that could not be read are not part of the mean of the others.
        """
        samples = readable[: self._choice.samples]
        kept = np.flatnonzero(samples) if samples.any() else np.arange(len(readable))
        with np.errstate(invalid="ignore"):  # numbers that are none are refused where they lie
            mean = vectors[kept].mean(0, dtype=np.float32).astype(np.float16)
        self.sampled.add(vectors[: self._choice.samples])
        self._vectors = np.concatenate([vectors, mean[None]])
        self._readable = np.append(readable, True)

    def completed(self, region: int, vectors: Vectors, readable: Bools) -> tuple[Vectors, Bools]:
        """All of a region.

        Args:
            region: its number.
            vectors: (W, D) of the wanted patches.
            readable: (P,), true where a patch is not wanted.

        Returns:
            (P, D) vectors, and (P,) which patches could be read: false nowhere but where one was
            tried.
        """
        wanted, source = self._choice.wanted[region], self._choice.source[region]
        if self._choice.samples:
            self.wanted.add(vectors)
        if wanted.all():
            return vectors, readable
        grid = self._vectors[source]
        grid[wanted] = vectors
        return grid, np.where(wanted, readable, self._readable[source])
