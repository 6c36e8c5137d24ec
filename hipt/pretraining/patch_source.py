"""Minibatches of patches for training, read straight from the slides ahead of who trains.

Blocks of neighbouring patches are cheap to read; pools of many blocks, shuffled together, make
minibatches of many slides out of them. Two pools are in memory, whatever the corpus: one that is
drawn from, and the next, which threads fill meanwhile.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt

from hipt.errors import HiptError
from hipt.pretraining.blocks import Block, OpenSlides
from hipt.pretraining.corpus import Corpus
from hipt.pretraining.corpus_list import State, order_name, resumed_at
from hipt.pretraining.order import Pool, Share, pools
from hipt.slides.closing import Closing

log = logging.getLogger(__name__)

Pixels = npt.NDArray[np.uint8]

OPEN_SLIDES = 16
"""Slides that stay open when nobody reads from them."""

_HOPELESS = 4096
"""This many unreadable patches in a row have a common cause."""


@dataclass(frozen=True)
class _Filling:
    """A pool that threads are reading."""

    pool: Pool
    pixels: Pixels
    """[P, px, px, 3] the pool's patches, block by block; a part of a buffer."""
    readable: npt.NDArray[np.bool_]
    """[P]"""
    blocks: dict[Future[str | None], str]
    """Each ends with what was wrong, if anything; and the slide's id."""


class PatchSource(Closing):
    """An endless iterator of uint8 [batch, px, px, 3]; to be used in a `with` block.

    What comes out depends on the corpus and the share alone, not on threads. Within an epoch every
    patch comes once, in one process; those that cannot be read are left out and counted.
    """

    def __init__(
        self,
        corpus: Corpus,
        share: Share,
        batch: int,
        pool_blocks: int,
        threads: int,
        state: State | None = None,
    ) -> None:
        """Nothing is read before the first minibatch is asked for.

        Args:
            corpus: what to draw from.
            share: seed, and which process this is.
            batch: patches per minibatch.
            pool_blocks: most blocks in a pool.
            threads: how many read.
            state: where to go on, from `state()` of a source with the same corpus and share.

        Raises:
            HiptError: if the corpus is too small for the processes, or the state is of another.
        """
        if len(corpus.counts) < share.ranks:
            raise HiptError(
                f"the pretraining corpus has {len(corpus.counts)} blocks of patches, fewer than "
                f"{share.ranks} GPUs; add slides, or take fewer GPUs"
            )
        cv2.setNumThreads(1)  # the blocks are what runs side by side
        self._corpus, self._share, self._batch = corpus, share, batch
        self._pool_blocks = pool_blocks
        facts = {"seed": share.seed, "rank": share.rank, "ranks": share.ranks}
        self._order = order_name(corpus.members, pool_blocks=pool_blocks, **facts)
        self._position, self.skipped = resumed_at(state, self._order)
        self._said: set[str] = set()
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="patches")
        self._slides = OpenSlides(OPEN_SLIDES, corpus.opener)
        self._stream = self._minibatches()
        self.waited_s = 0.0
        """Seconds that the consumer has waited for pixels."""

    def close(self) -> None:
        """Stop the threads, and close the slides that are open."""
        self._stream.close()
        self._threads.shutdown(cancel_futures=True)  # waits for those who read, not for the rest
        self._slides.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Pixels:
        return next(self._stream)

    def state(self) -> dict[str, str | int]:
        """Where the minibatch after the last one begins; fit for JSON."""
        return {"order": self._order, "position": self._position, "skipped": self.skipped}

    def _minibatches(self) -> Generator[Pixels, None, None]:
        """The patches of one pool after the other; a minibatch may lie in several."""
        px = self._corpus.slides[0].plan.patch_px
        out, filled, skipped = np.empty((self._batch, px, px, 3), np.uint8), 0, self.skipped
        for filling in self._filled():
            order = filling.pool.order
            steps, done = np.flatnonzero(filling.readable[order]), 0
            while done < len(steps):
                taken = steps[done : done + self._batch - filled]
                part = out[filled : filled + len(taken)]
                # without "clip", NumPy would copy twice
                np.take(filling.pixels, order[taken], axis=0, out=part, mode="clip")
                done, filled = done + len(taken), filled + len(taken)
                if filled == self._batch:
                    passed = int(taken[-1]) + 1
                    self._position = filling.pool.start + passed
                    self.skipped = skipped + passed - done
                    yield out
                    out, filled = np.empty_like(out), 0
            skipped += len(order) - len(steps)

    def _filled(self) -> Iterator[_Filling]:
        """Pools that are wholly read; the next one is being read meanwhile."""
        plans = pools(self._corpus.counts, self._pool_blocks, self._share, self._position)
        px = self._corpus.slides[0].plan.patch_px
        most = int(np.sort(self._corpus.counts)[-self._pool_blocks :].sum())
        buffers = [np.empty((most, px, px, 3), np.uint8) for _ in range(2)]
        ahead, lost = self._submit(next(plans), buffers[0]), 0
        for turn in itertools.count(1):
            # whoever asks has drawn all of the pool before, so that its buffer is free
            filling, ahead = ahead, self._submit(next(plans), buffers[turn % 2])
            trouble = self._settle(filling)
            none = not filling.readable[filling.pool.order].any()
            lost = lost + len(filling.pool.order) if none else 0
            if lost >= min(_HOPELESS, self._corpus.patches):
                raise HiptError(
                    f"none of the last {lost} patches for training could be read ({trouble}); "
                    "see to the slides or their disk, then go on from the last checkpoint"
                )
            yield filling

    def _submit(self, pool: Pool, buffer: Pixels) -> _Filling:
        """Hand a pool's blocks to the threads, slide by slide."""
        ends = np.cumsum(self._corpus.counts[pool.blocks], dtype=np.int64)
        readable = np.ones(ends[-1], bool)
        filling = _Filling(pool, buffer[: ends[-1]], readable, {})
        for i in np.unique(np.searchsorted(ends, pool.order, side="right")):  # not those drawn
            slide, index = self._corpus.block(int(pool.blocks[i]))
            part = slice(ends[i - 1] if i else 0, ends[i])
            job = Block(slide, index, filling.pixels[part], readable[part])
            filling.blocks[self._threads.submit(job.read, self._slides)] = slide.member.slide_id
        return filling

    def _settle(self, filling: _Filling) -> str:
        """Wait until a pool is read; says once per slide what was wrong, and returns the last."""
        start, trouble = time.monotonic(), ""
        for block, slide_id in filling.blocks.items():
            message = block.result()
            trouble = message or trouble
            if message and slide_id not in self._said:
                self._said.add(slide_id)
                log.warning("%s: patches are left out of training: %s", slide_id, message)
        self.waited_s += time.monotonic() - start
        return trouble
