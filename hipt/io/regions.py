"""The regions of many slides as one stream of pixels, read ahead by threads."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt

from hipt.core.geometry import ReadPlan, patches_per_block
from hipt.errors import SlideError
from hipt.io.images import reduced
from hipt.io.slides import Slide, UnreadableTileError, open_slide


@dataclass(frozen=True)
class SlideJob:
    """One slide and the regions to read from it."""

    slide_id: str
    path: Path
    plan: ReadPlan
    grid: int
    """Patches along a region's side."""
    corners: npt.NDArray[np.int64]
    """(R, 2) x, y of the regions, level-0 pixels."""


@dataclass(frozen=True)
class RegionPixels:
    """One region's patches."""

    region: int
    pixels: npt.NDArray[np.uint8]
    """[P, px, px, 3], row-major; white where unreadable or outside the slide."""
    readable: npt.NDArray[np.bool_]
    """[P] False where a damaged tile left the patch white."""


@dataclass(frozen=True)
class _Pending:
    """A region whose blocks are being read."""

    job: SlideJob
    region: RegionPixels | None
    blocks: list[Future[None]]
    error: SlideError | None = None
    last_of: Slide | None = None

    def settle(self) -> None:
        """No thread works on it after this, whether its consumer has taken it or left it."""
        # those that could be cancelled have no thread, and nobody may be left to say so
        wait([block for block in self.blocks if not block.cancel()])


class RegionReader:
    """Threads that read regions ahead of who consumes them, over the borders of slides.

    Blocks of whole patches are read side by side. At most `depth` regions are in memory beside the
    one in use, whatever a slide's size. Results do not depend on the number of threads.
    """

    def __init__(self, threads: int, depth: int = 2) -> None:
        cv2.setNumThreads(1)  # the blocks are what runs side by side
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="reader")
        self._depth = depth
        self.waited_s = 0.0
        """Seconds that the consumer has waited for pixels."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def stream(self, jobs: Iterable[SlideJob]) -> Iterator[tuple[SlideJob, Iterator[RegionPixels]]]:
        """Each slide with its regions, in order.

        A slide that cannot be opened raises its SlideError from its own iterator; the stream goes
        on with the next slide. So it does when an iterator is left before its end.
        """
        for _, group in itertools.groupby(self._ahead(jobs), key=lambda p: p.job.slide_id):
            first = next(group)
            yield first.job, self._regions(itertools.chain([first], group))  # noqa: B031

    def _regions(self, pending: Iterable[_Pending]) -> Iterator[RegionPixels]:
        """One slide's regions as they become ready."""
        for item in pending:
            if item.error is not None:
                raise item.error
            start = time.monotonic()
            for block in item.blocks:
                block.result()
            self.waited_s += time.monotonic() - start
            if item.region is not None:
                yield item.region

    def _ahead(self, jobs: Iterable[SlideJob]) -> Iterator[_Pending]:
        """The regions of all slides, those to come being read already."""
        source = self._submitted(jobs)
        ahead = deque(itertools.islice(source, self._depth))
        try:
            while ahead:
                item = ahead.popleft()
                ahead.extend(itertools.islice(source, 1))
                yield item
                item.settle()
                if item.last_of is not None:
                    item.last_of.close()
        finally:
            for item in ahead:
                item.settle()

    def _submitted(self, jobs: Iterable[SlideJob]) -> Iterator[_Pending]:
        """Opens each slide and hands its regions' blocks to the threads, one region at a time."""
        for job in jobs:
            try:
                slide = open_slide(job.path)
            except SlideError as error:
                yield _Pending(job, None, [], error)
                continue
            if not len(job.corners):
                yield _Pending(job, None, [], last_of=slide)
            for region in range(len(job.corners)):
                last = slide if region == len(job.corners) - 1 else None
                pixels, blocks = self._submit(slide, job, region)
                yield _Pending(job, pixels, blocks, last_of=last)

    def _submit(
        self, slide: Slide, job: SlideJob, region: int
    ) -> tuple[RegionPixels, list[Future[None]]]:
        """One region's buffer, and its blocks on their way into it."""
        grid, px = job.grid, job.plan.patch_px
        pixels = np.empty((grid, grid, px, px, 3), np.uint8)
        readable = np.ones((grid, grid), bool)
        side = patches_per_block(grid, job.plan.patch_level_px)
        blocks = [
            self._pool.submit(
                _read_block,
                *(slide, job.plan, job.corners[region] + np.array([c, r]) * job.plan.patch_read_px),
                *(pixels[r : r + side, c : c + side], readable[r : r + side, c : c + side]),
            )
            for r in range(0, grid, side)
            for c in range(0, grid, side)
        ]
        flat = pixels.reshape(grid * grid, px, px, 3)
        return RegionPixels(region, flat, readable.reshape(grid * grid)), blocks


def _read_block(
    slide: Slide,
    plan: ReadPlan,
    corner: npt.NDArray[np.int64],
    pixels: npt.NDArray[np.uint8],
    readable: npt.NDArray[np.bool_],
) -> None:
    """Fill n x n patches from one read; a damaged tile costs only the patches that it lies in.

    Args:
        slide: where to read.
        plan: how to read.
        corner: x, y of the block, level-0 pixels.
        pixels: [n, n, px, px, 3] to be filled.
        readable: [n, n] to be set False where nothing could be read.
    """
    x, y = int(corner[0]), int(corner[1])
    n, px = len(pixels), plan.patch_px
    side = n * plan.patch_read_px
    if x >= slide.info.width_px or y >= slide.info.height_px or x + side <= 0 or y + side <= 0:
        pixels[:] = 255
        return
    level_px = n * plan.patch_level_px
    try:
        block = slide.read(plan.level, x, y, level_px, level_px)
    except UnreadableTileError:
        if n == 1:
            pixels[:], readable[:] = 255, False
            return
        for r, c in np.ndindex(n, n):
            step = np.array([c, r]) * plan.patch_read_px
            part = np.s_[r : r + 1, c : c + 1]
            _read_block(slide, plan, corner + step, pixels[part], readable[part])
        return
    if plan.patch_level_px != px:
        block = reduced(block, n * px, n * px)
    pixels[:] = block.reshape(n, px, n, px, 3).swapaxes(1, 2)
