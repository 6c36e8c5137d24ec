"""Blocks of neighbouring patches, read by threads that share a few open slides."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt

from hipt.cohort.failures import in_one_line, refuse_machine_trouble
from hipt.errors import SlideError
from hipt.geometry.resolution import ReadPlan, patches_per_block
from hipt.pictures.drawing import reduced
from hipt.pretraining.corpus import BLOCK, CorpusSlide
from hipt.slides.slide import Slide, UnreadableTileError, open_slide

Pixels = npt.NDArray[np.uint8]

_READ_PX = 2048
"""Longest side of one read, pixels of the level: bounds what a thread holds."""


@dataclass(frozen=True)
class Block:
    """A block's patches and where they go."""

    slide: CorpusSlide
    index: int
    pixels: Pixels
    """[n, px, px, 3] one for each bit of the block's mask."""
    readable: npt.NDArray[np.bool_]
    """[n] to be set False where nothing could be read."""

    def read(self, slides: OpenSlides) -> str | None:
        """Read the patches; what was wrong, if anything."""
        try:
            with slides.lent(self.slide.path) as slide:
                return self._read(slide)
        except SlideError as error:
            self.readable[:] = False
            return error.reason
        except Exception as error:  # noqa: BLE001 (no slide ends a training)
            refuse_machine_trouble(self.slide.path.stem, error)
            self.readable[:] = False
            return in_one_line(error)

    def _read(self, slide: Slide) -> str | None:
        """One read for the whole block, or a few where its pixels are very many."""
        mask = int(self.slide.masks[self.index])
        cells = np.array([divmod(k, BLOCK) for k in range(BLOCK**2) if mask >> k & 1])  # (n, 2)
        side = patches_per_block(BLOCK, self.slide.plan.patch_level_px, _READ_PX)
        parts = (cells // side) @ np.array([BLOCK, 1])
        messages = [
            self._read_box(slide, cells, np.flatnonzero(parts == part)) for part in np.unique(parts)
        ]
        return next(filter(None, messages), None)

    def _read_box(
        self, slide: Slide, cells: npt.NDArray[np.int64], which: npt.NDArray[np.int64]
    ) -> str | None:
        """The smallest box with some of the patches; each on its own where a tile is damaged."""
        plan = self.slide.plan
        low, high = cells[which].min(0), cells[which].max(0) + 1  # row, column
        corner = self.slide.corners[self.index] + low[::-1] * plan.patch_read_px
        height, width = (int(side) for side in (high - low) * plan.patch_level_px)
        try:
            box = slide.read(plan.level, int(corner[0]), int(corner[1]), width, height)
        except UnreadableTileError as error:
            if len(which) == 1:
                self.readable[which] = False
                return str(error)
            messages = [self._read_box(slide, cells, places) for places in which[:, None]]
            return next(filter(None, messages), None)
        for i in which:
            self.pixels[i] = _cell(box, cells[i] - low, plan)
        return None


def _cell(box: Pixels, cell: npt.NDArray[np.int64], plan: ReadPlan) -> Pixels:
    """One patch of a box; reduced by itself, so that it does not depend on the box."""
    side = plan.patch_level_px
    top, left = (int(v) * side for v in cell)
    patch = box[top : top + side, left : left + side]
    return patch if side == plan.patch_px else reduced(patch, plan.patch_px, plan.patch_px)


@dataclass
class _Entry:
    """A slide, opened by the first who needs it."""

    lock: Lock = field(default_factory=Lock)
    slide: Slide | None = None
    users: int = 0


class OpenSlides:
    """Slides that threads share: a few stay open, and none is closed while somebody reads."""

    def __init__(self, most: int, opener: Callable[[Path], Slide] = open_slide) -> None:
        self._most, self._open = most, opener
        self._lock = Lock()
        self._entries: OrderedDict[Path, _Entry] = OrderedDict()

    @contextmanager
    def lent(self, path: Path) -> Iterator[Slide]:
        """A slide to read from.

        Raises:
            SlideError: if it cannot be opened.
        """
        with self._lock:
            entry = self._entries.setdefault(path, _Entry())
            self._entries.move_to_end(path)
            entry.users += 1
        try:
            with entry.lock:
                entry.slide = entry.slide or self._open(path)
            yield entry.slide
        finally:
            with self._lock:
                entry.users -= 1
            self._shrink(self._most)

    def close(self) -> None:
        """Close what nobody reads from."""
        self._shrink(0)

    def _shrink(self, most: int) -> None:
        """Close those that were idle longest."""
        with self._lock:
            idle = [path for path, entry in self._entries.items() if not entry.users]
            surplus = idle[: max(0, len(self._entries) - most)]
            entries = [self._entries.pop(path) for path in surplus]
        for entry in entries:
            if entry.slide is not None:
                entry.slide.close()
