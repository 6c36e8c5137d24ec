"""The vectors of all regions of a cohort in memory, and the nearest of them, by cosine.

Legend: N regions in memory, D width of a vector.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hipt.errors import HiptError
from hipt.layout import Results
from hipt.stats.arrays import unit_rows
from hipt.stats.neighbours import nearest_by_rank
from hipt.store.tables import matrix, read_table
from hipt.view.cohort import WHOLE

log = logging.getLogger(__name__)

BLOCK_ROWS = 1 << 15
"""Regions whose vectors lie together, so that more can come without a copy of all."""

Vectors = npt.NDArray[np.float32]

Rank = Callable[[str], int]
"""Of a slide: 0 comes first, then 1; below 0 it is left out."""


@dataclass(frozen=True)
class Found:
    """A neighbour: a region, or a patch in it."""

    slide_id: str
    region: int
    patch: int | None
    x: int
    """Left edge, level-0 pixels."""
    y: int
    """Top edge."""
    distance: float
    """1 less the cosine."""


def distance(cosine: float) -> float:
    """How far vectors are apart, from 0 to 2."""
    return round(min(2.0, max(0.0, 1 - float(cosine))), 6)


@dataclass
class _Block:
    """Regions whose vectors lie together; the first `rows` places are filled."""

    vectors: Vectors
    """(BLOCK_ROWS, D), each of length 1."""
    slide: npt.NDArray[np.int32]
    """(BLOCK_ROWS,) number of its slide."""
    place: npt.NDArray[np.int32]
    """(BLOCK_ROWS, 3) region, x, y."""
    rows: int = 0

    @classmethod
    def empty(cls, width: int) -> _Block:
        """A block for vectors of a width."""
        return cls(
            np.empty((BLOCK_ROWS, width), np.float32),
            np.empty(BLOCK_ROWS, np.int32),
            np.empty((BLOCK_ROWS, 3), np.int32),
        )


@dataclass
class _Loaded:
    """What is in memory."""

    slides: list[str] = field(default_factory=list)
    """By number."""
    times: dict[str, int] = field(default_factory=dict)
    """When each slide's file was written; files that cannot be read too."""
    blocks: list[_Block] = field(default_factory=list)
    """All but the last are full."""


class RegionVectors:
    """The vectors of a cohort's regions; slides are added while a run goes on."""

    def __init__(self, results: Results) -> None:
        self._folder = results.shard("embed_regions", "a").parent
        self._loaded = _Loaded()
        self._at_work = threading.Lock()
        self._folder_time = -1
        self.waiting = 0
        """Slides whose vectors are still to be read."""

    def refresh(self) -> None:
        """Read what is new, in a thread of its own; nothing if there is none, or one is at it."""
        try:
            changed = self._folder.stat().st_mtime_ns
        except OSError:
            return
        if changed == self._folder_time or not self._at_work.acquire(blocking=False):
            return
        self._folder_time = changed
        paths = sorted(self._folder.glob(WHOLE))
        self.waiting = sum(path.stem not in self._loaded.times for path in paths)
        threading.Thread(target=self._read, args=(paths,)).start()

    def wait(self) -> None:
        """Until nothing is being read."""
        with self._at_work:
            pass

    def _read(self, paths: Sequence[Path]) -> None:
        """Read the slides that are new; all of them if one that was read has changed or gone.

        It ends with the slide at work when the program ends: a thread that is cut off inside of
        Arrow aborts the process.
        """
        try:
            times = {path.stem: path.stat().st_mtime_ns for path in paths}
            loaded = self._loaded
            if any(times.get(slide) != time for slide, time in loaded.times.items()):
                loaded, self.waiting = _Loaded(), len(paths)
            for path in paths:
                if not threading.main_thread().is_alive():
                    return
                if path.stem not in loaded.times:
                    _add(loaded, path)
                    loaded.times[path.stem] = times[path.stem]
                    self.waiting = max(0, self.waiting - 1)
            self._loaded = loaded
        except OSError as error:
            log.warning("%s; vectors of regions are read again", error)
            self._folder_time = -1
        finally:
            self.waiting = 0
            self._at_work.release()

    def nearest(
        self, query: Vectors, own: tuple[str, int], rank: Rank, most: int
    ) -> tuple[list[Found], int]:
        """The regions that are most like a vector, and how many were searched.

        Args:
            query: (D,).
            own: slide and region that are no neighbour.
            rank: of each slide, see `Rank`.
            most: how many, fewer where there are not so many.
        """
        loaded = self._loaded
        blocks = [(block, block.rows) for block in loaded.blocks]  # before slides: it may grow
        if not blocks or blocks[0][0].vectors.shape[1] != len(query):
            return [], 0
        slides, unit = list(loaded.slides), unit_rows(query[None])[0]
        ranks = np.array([rank(slide) for slide in slides], np.int8)
        cosine = np.concatenate([block.vectors[:rows] @ unit for block, rows in blocks])  # (N,)
        slide = np.concatenate([block.slide[:rows] for block, rows in blocks])
        places = [block.place for block, _ in blocks]
        ranked = ranks[slide]
        for item in np.flatnonzero(slide == slides.index(own[0])) if own[0] in slides else ():
            if places[item // BLOCK_ROWS][item % BLOCK_ROWS, 0] == own[1]:
                ranked[item] = -1
        found = []
        for item in nearest_by_rank(cosine, ranked, most).tolist():
            region, x, y = places[item // BLOCK_ROWS][item % BLOCK_ROWS].tolist()
            apart = distance(cosine[item])
            found.append(Found(slides[slide[item]], region, None, x, y, apart))
        return found, int(np.count_nonzero(ranked >= 0))


def _add(loaded: _Loaded, path: Path) -> None:
    """Add a slide's regions; one that cannot be read, or of other vectors, is left out."""
    try:
        table = read_table(path)
        unit = unit_rows(np.asarray(matrix(table["embedding"]), np.float32))
        place = np.stack([table[name].to_numpy() for name in ("region", "x", "y")], 1)
    except (HiptError, KeyError, AttributeError) as error:
        log.warning("%s; its regions are no neighbours", error)
        return
    width = unit.shape[1]
    if loaded.blocks and loaded.blocks[0].vectors.shape[1] != width:
        log.warning("%s: has vectors of another width; its regions are no neighbours", path)
        return
    loaded.slides.append(path.stem)
    start = 0
    while start < len(unit):
        if not loaded.blocks or loaded.blocks[-1].rows == BLOCK_ROWS:
            loaded.blocks.append(_Block.empty(width))
        block = loaded.blocks[-1]
        end = min(len(unit), start + BLOCK_ROWS - block.rows)
        to = slice(block.rows, block.rows + end - start)
        block.vectors[to], block.place[to] = unit[start:end], place[start:end]
        block.slide[to] = len(loaded.slides) - 1
        block.rows = to.stop  # from here on it is searched
        start = end
