"""Minibatches of regions for training, from the patch embeddings on disk."""

from __future__ import annotations

import itertools
import math
import time
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Self

import numpy as np
import numpy.typing as npt
import torch

from hipt.errors import HiptError
from hipt.pretraining.corpus import GridCorpus
from hipt.pretraining.corpus_list import State, order_name, resumed_at
from hipt.pretraining.order import IntArray, Share, regrouped, remaining
from hipt.slides.closing import Closing
from hipt.slides.recycled import Recycled
from hipt.store.tables import PatchEmbeddings

Grids = npt.NDArray[np.float32]

OPEN_FILES = 512
"""Files that stay open: half of what a process may open on most machines."""

AHEAD = 2
"""Minibatches that are made while one is in use."""

_SERIAL = 32_767
"""Numbers that torch converts without further threads, which training needs itself."""


class GridSource(Closing):
    """An endless iterator of float32 [batch, D, g, g]; to be used in a `with` block.

    A thread of its own reads ahead. In memory a minibatch is laid out as [batch, g, g, D]: the
    channels of a patch lie together, as on disk, so that nothing has to be turned round. Within an
    epoch every region comes once, in one process.
    """

    def __init__(
        self, corpus: GridCorpus, share: Share, batch: int, state: State | None = None
    ) -> None:
        """Nothing is read before the first minibatch is asked for.

        Args:
            corpus: what to draw from.
            share: seed, and which process this is.
            batch: regions per minibatch.
            state: where to go on, from `state()` of a source with the same corpus and share.

        Raises:
            HiptError: if the corpus is too small for the processes, or the state is of another.
        """
        regions = np.array([member.regions for member in corpus.members])
        self._ends = np.cumsum(regions)
        self._starts = self._ends - regions
        if self._ends[-1] < share.ranks:
            raise HiptError(
                f"the pretraining corpus has {self._ends[-1]} regions, fewer than {share.ranks} "
                "GPUs; add slides, or take fewer GPUs"
            )
        first = corpus.members[0]
        self._side = math.isqrt(first.patches // first.regions)
        self._corpus, self._share, self._batch = corpus, share, batch
        facts = {"seed": share.seed, "rank": share.rank, "ranks": share.ranks}
        self._order = order_name(corpus.members, **facts)
        self._position, _ = resumed_at(state, self._order)
        self._file = lru_cache(OPEN_FILES)(self._opened)  # those used last stay open
        self._memory = Recycled()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="grids")
        self._stream = self._minibatches()
        self.waited_s = 0.0
        """Seconds that the consumer has waited for grids."""

    def close(self) -> None:
        """Stop the thread, and close the files that are open."""
        self._stream.close()
        self._thread.shutdown(cancel_futures=True)  # waits for the one at work, not for the rest
        self._file.cache_clear()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Grids:
        return next(self._stream)

    def state(self) -> dict[str, str | int]:
        """Where the minibatch after the last one begins; fit for JSON."""
        return {"order": self._order, "position": self._position}

    def _minibatches(self) -> Generator[Grids, None, None]:
        """Minibatches in order, the next ones being made already."""
        parts = remaining(int(self._ends[-1]), self._share, self._position)
        source = regrouped(parts, self._batch)
        ahead: deque[Future[Grids]] = deque()
        while True:
            for regions in itertools.islice(source, AHEAD + 1 - len(ahead)):
                ahead.append(self._thread.submit(self._read, regions))
            start = time.monotonic()
            grids = ahead.popleft().result()
            self.waited_s += time.monotonic() - start
            self._position += self._batch
            yield grids

    def _read(self, regions: IntArray) -> Grids:
        side, dim = self._side, self._corpus.dim
        # new memory costs more than what is read into it (measured), since the system clears it
        row = side * side, dim * np.dtype(np.float32).itemsize
        out: Grids = self._memory((self._batch, *row)).view(np.float32)
        half = np.empty(out.shape[1:], np.float16)  # writable, as torch wants it
        pieces = range(0, side * side, _SERIAL // dim or 1)
        slides = np.searchsorted(self._ends, regions, side="right")
        for grid, slide, region in zip(out, slides.tolist(), regions.tolist(), strict=True):
            half[:] = self._file(slide).grid(region - int(self._starts[slide]))
            for start in pieces:
                part = np.s_[start : start + pieces.step]
                # torch's conversion is five times as fast as NumPy's (measured)
                torch.from_numpy(grid[part]).copy_(torch.from_numpy(half[part]))
        return out.reshape(-1, side, side, dim).transpose(0, 3, 1, 2)  # (B, D, g, g)

    def _opened(self, slide: int) -> PatchEmbeddings:
        """A slide's embeddings, if they have the shape that its index said."""
        path, member = self._corpus.files[slide], self._corpus.members[slide]
        embeddings = PatchEmbeddings(path)
        shape = len(embeddings), embeddings.dim, member.patches
        wanted = member.regions, self._corpus.dim, member.regions * self._side**2
        if shape != wanted:
            raise HiptError(
                f"{path}: has {shape[0]} regions of {shape[1]} numbers per patch, and not "
                f"{wanted[0]} of {wanted[1]} with {self._side} x {self._side} patches; "
                "run the workflow again, so that all slides are embedded alike"
            )
        return embeddings
