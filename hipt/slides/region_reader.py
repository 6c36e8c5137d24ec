"""The regions of many slides as one stream of pixels, read ahead by threads."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from hipt.geometry.resolution import ReadPlan, patches_per_block
from hipt.pictures.drawing import reduce_into
from hipt.slides.closing import Closing
from hipt.slides.recycled import Recycled
from hipt.slides.slide import ReaderName, Slide, UnreadableTileError, open_slide

Pixels = npt.NDArray[np.uint8]

_BLOCK_PX, _REDUCED_BLOCK_PX = 1024, 2048
"""Side of what one thread reads at a time: small enough to keep all busy, large enough that few
tiles lie in two."""

FIRST = -1
"""In place of a region's number: the patches that are read before all regions."""


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
    wanted: npt.NDArray[np.bool_] | None = None
    """(R, P) which patches are read; None: all."""
    first: npt.NDArray[np.int64] | None = None
    """(K, 2) x, y of single patches that are read before the regions, as region `FIRST`."""


@dataclass(frozen=True)
class FailedJob:
    """A slide of which nobody could say what to read; the error is its end."""

    slide_id: str
    error: Exception


@dataclass(frozen=True)
class RegionPixels:
    """One region's patches, or those of them that are wanted."""

    region: int
    pixels: npt.NDArray[np.uint8]
    """[W, px, px, 3] of the wanted, row-major; white where unreadable or outside the slide."""
    readable: npt.NDArray[np.bool_]
    """[P] False where a damaged tile left a wanted patch white."""
    wanted: npt.NDArray[np.bool_] | None = None
    """[P] which patches are wanted; None: all."""
    reader: ReaderName = "openslide"
    """Who read it, but for what a damaged tile leaves."""

    @property
    def shown(self) -> Pixels:
        """[N, px, px, 3] a copy of the wanted patches that could be read."""
        return self.pixels[self.readable if self.wanted is None else self.readable[self.wanted]]


@dataclass(frozen=True)
class _Block:
    """Patches side by side that one thread reads at a time."""

    corner: npt.NDArray[np.int64]
    """x, y, level-0 pixels."""
    pixels: Pixels
    """[m, n, px, px, 3] to be filled."""
    readable: npt.NDArray[np.bool_]
    """[m, n] to be set False where nothing could be read."""
    wanted: npt.NDArray[np.bool_]
    """[m, n] which patches matter; at least one."""

    def part(self, rows: slice, columns: slice, read_px: int) -> _Block:
        """Some of the patches, each `read_px` wide in level-0 pixels."""
        corner = self.corner + np.array([columns.start, rows.start]) * read_px
        part = rows, columns
        return _Block(corner, self.pixels[part], self.readable[part], self.wanted[part])

    def trimmed(self, read_px: int) -> _Block:
        """Without rows and columns of which no patch matters, at the edges."""
        rows, columns = (
            slice(int(at[0]), int(at[-1]) + 1)
            for at in (np.flatnonzero(self.wanted.any(axis)) for axis in (1, 0))
        )
        return self.part(rows, columns, read_px)


@dataclass(frozen=True)
class _Pending:
    """A region whose blocks are being read."""

    job: SlideJob | FailedJob
    region: RegionPixels | None
    blocks: list[Future[None]]
    slide: Slide | None = None
    error: Exception | None = None
    last: bool = True
    """Whether its slide has no region after it."""

    def settle(self) -> None:
        """No thread works on it after this, whether its consumer has taken it or left it."""
        # those that could be cancelled have no thread, and nobody may be left to say so
        wait([block for block in self.blocks if not block.cancel()])
        if self.last and self.slide is not None:
            with suppress(Exception):  # its pixels are read: nothing is lost
                self.slide.close()

    def finished(self) -> RegionPixels | None:
        """The region, once all of it is read.

        Raises:
            SlideError: if the slide could not be opened, or is refused.
            Exception: whatever else ended it.
        """
        if self.error is not None:
            raise self.error
        for block in self.blocks:
            block.result()
        if self.region is None or self.slide is None or isinstance(self.job, FailedJob):
            return None
        x, y = (int(v) for v in self.job.corners[max(self.region.region, 0)])
        reader, pixels = self.slide.reader_of(self.job.plan.level, x, y), _only_wanted(self.region)
        return replace(self.region, pixels=pixels, reader=reader)


class RegionReader(Closing):
    """Threads that read regions ahead of who consumes them, over the borders of slides.

    Blocks of whole patches are read side by side. At most `depth` regions are in memory beside the
    one in use, whatever a slide's size. Results do not depend on the number of threads.
    """

    def __init__(
        self,
        threads: int,
        depth: int = 2,
        opener: Callable[[Path], Slide] = open_slide,
        allocate: Callable[[tuple[int, ...]], Pixels] | None = None,
    ) -> None:
        """Start no thread yet.

        Args:
            threads: how many read; as many as there are cores to spare.
            depth: regions that are read ahead.
            opener: opens a slide.
            allocate: gives memory of a shape for a region's pixels; None: memory that earlier
                regions no longer use.
        """
        cv2.setNumThreads(1)  # the blocks are what runs side by side
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="reader")
        self._depth, self._open, self._allocate = depth, opener, allocate or Recycled()
        self._scratch = Recycled()
        self._streams: list[Generator[_Pending, None, None]] = []
        self._left: SlideJob | FailedJob | None = None
        """The slide that was left for the next one last."""
        self.waited_s = 0.0
        """Seconds that the consumer has waited for pixels."""

    def close(self) -> None:
        """Stop the threads, and close the slides that are open."""
        for stream in self._streams:
            stream.close()  # slides are closed in order, and not as the garbage collector comes by
        self._pool.shutdown(cancel_futures=True)

    def stream(
        self, jobs: Iterable[SlideJob | FailedJob]
    ) -> Iterator[tuple[SlideJob | FailedJob, Iterator[RegionPixels]]]:
        """Each slide with its regions, in order.

        A slide that cannot be opened or read raises its error from its own iterator; the stream
        goes on with the next slide. So it does when an iterator is left before its end; what was
        not yet begun of that slide is not read.
        """
        ahead = self._ahead(jobs)
        self._streams.append(ahead)
        for _, group in itertools.groupby(ahead, key=lambda p: p.job.slide_id):
            first = next(group)
            yield first.job, self._regions(itertools.chain([first], group))  # noqa: B031
            self._left = first.job

    def _regions(self, pending: Iterable[_Pending]) -> Iterator[RegionPixels]:
        """One slide's regions as they become ready."""
        for item in pending:
            start = time.monotonic()
            region = item.finished()
            self.waited_s += time.monotonic() - start
            if region is not None:
                yield region

    def _ahead(self, jobs: Iterable[SlideJob | FailedJob]) -> Generator[_Pending, None, None]:
        """The regions of all slides, those to come being read already."""
        source = self._submitted(jobs)
        ahead = deque(itertools.islice(source, self._depth))
        try:
            while ahead:
                ahead.extend(itertools.islice(source, 1))
                yield ahead[0]
                ahead.popleft().settle()
        finally:
            for item in ahead:
                item.settle()
            source.close()

    def _submitted(self, jobs: Iterable[SlideJob | FailedJob]) -> Generator[_Pending, None, None]:
        """Opens each slide and hands its regions' blocks to the threads, one region at a time."""
        for job in jobs:
            if isinstance(job, FailedJob):
                yield _Pending(job, None, [], error=job.error)
                continue
            try:
                slide = self._open(job.path)
            except Exception as error:  # noqa: BLE001 (raised where its regions are asked for)
                yield _Pending(job, None, [], error=error)
                continue
            if not len(job.corners):
                yield _Pending(job, None, [], slide)
            for region in range(0 if job.first is None else FIRST, len(job.corners)):
                left = job is self._left
                pending = (
                    _Pending(job, None, [], slide) if left else self._begun(slide, job, region)
                )
                try:
                    yield pending
                except GeneratorExit:
                    if not pending.last:  # nobody will come to the region that would close it
                        slide.close()
                    raise
                if pending.last:
                    break

    def _begun(self, slide: Slide, job: SlideJob, region: int) -> _Pending:
        """One region on its way, or the error that ends its slide there."""
        try:
            pixels, blocks = self._submit(slide, job, region)
        except Exception as error:  # noqa: BLE001 (raised where the region is asked for)
            return _Pending(job, None, [], slide, error)
        return _Pending(job, pixels, blocks, slide, last=region == len(job.corners) - 1)

    def _submit(
        self, slide: Slide, job: SlideJob, region: int
    ) -> tuple[RegionPixels, list[Future[None]]]:
        """One region's buffer, and its blocks on their way into it."""
        grid, px, read_px = job.grid, job.plan.patch_px, job.plan.patch_read_px
        squares, wanted = job.corners[region : region + 1], job.wanted
        if region == FIRST and job.first is not None:
            grid, squares, wanted = 1, job.first, None
        shape = len(squares), grid, grid
        pixels, readable = self._allocate((*shape, px, px, 3)), np.ones(shape, bool)
        chosen = np.ones(shape, bool) if wanted is None else wanted[region].reshape(shape)
        block_px = _BLOCK_PX if job.plan.patch_level_px == px else _REDUCED_BLOCK_PX
        side = patches_per_block(grid, job.plan.patch_level_px, block_px)
        blocks: list[Future[None]] = []
        try:
            for square, corner in enumerate(squares):
                whole = _Block(corner, pixels[square], readable[square], chosen[square])
                for r, c in itertools.product(range(0, grid, side), repeat=2):
                    block = whole.part(slice(r, r + side), slice(c, c + side), read_px)
                    if block.wanted.any():
                        given = slide, job.plan, block.trimmed(read_px), self._scratch
                        blocks.append(self._pool.submit(_read_block, *given))
        except BaseException:
            wait(blocks)  # the slide is closed after this
            raise
        flat = pixels.reshape(-1, px, px, 3)
        kept = None if wanted is None else chosen.reshape(-1)
        return RegionPixels(region, flat, readable.reshape(-1), kept), blocks


def _only_wanted(region: RegionPixels) -> Pixels:
    """[W, px, px, 3] the wanted patches, at the front of the memory of all."""
    if region.wanted is None:
        return region.pixels
    places = np.flatnonzero(region.wanted)
    for to, place in enumerate(places):
        if to < place:
            region.pixels[to] = region.pixels[place]
    return region.pixels[: len(places)]


def _read_block(slide: Slide, plan: ReadPlan, block: _Block, scratch: Recycled) -> None:
    """Fill patches from one read; a damaged tile costs only the patches that it lies in.

    Args:
        slide: where to read.
        plan: how to read.
        block: what to fill.
        scratch: memory for pixels of the level.
    """
    x, y = (int(v) for v in block.corner)
    rows, columns = block.wanted.shape
    right, bottom = x + columns * plan.patch_read_px, y + rows * plan.patch_read_px
    if x >= slide.info.width_px or y >= slide.info.height_px or right <= 0 or bottom <= 0:
        block.pixels[:] = 255
        return
    try:
        _read_patches(slide, plan, (x, y), scratch, block.pixels)
    except UnreadableTileError:
        if block.wanted.size == 1:
            block.pixels[:], block.readable[:] = 255, False
            return
        for r, c in np.argwhere(block.wanted):
            patch = block.part(slice(r, r + 1), slice(c, c + 1), plan.patch_read_px)
            _read_block(slide, plan, patch, scratch)


def _read_patches(
    slide: Slide, plan: ReadPlan, corner: tuple[int, int], scratch: Recycled, pixels: Pixels
) -> None:
    """Fill patches from one read of their level, made smaller where that is to be.

    Raises:
        UnreadableTileError: if the read holds a damaged tile.
    """
    if plan.patch_level_px == plan.patch_px:
        slide.read_patches(plan.level, *corner, pixels)
        return
    (rows, columns), side = pixels.shape[:2], plan.patch_level_px
    square = scratch((max(rows, columns) * side,) * 2 + (3,))  # few shapes: memory of each is kept
    block = square.reshape(-1)[: rows * columns * side**2 * 3].reshape(rows * side, -1, 3)
    slide.read_into(plan.level, *corner, block)
    for r, c in np.ndindex(rows, columns):  # each by itself: it does not depend on its block
        top, left = r * side, c * side
        reduce_into(pixels[r, c], block[top : top + side, left : left + side])
