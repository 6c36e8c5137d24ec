"""Slides that are being looked at: open ones, their tiles and crops as JPEG."""

from __future__ import annotations

import logging
import threading
from functools import cached_property
from pathlib import Path

from hipt.errors import SlideError
from hipt.machine import usable_cores
from hipt.slides.slide import Slide, Thumbnail, open_slide
from hipt.store.images import jpeg_bytes
from hipt.store.tables import Row
from hipt.view.answers import RefusedError, quoted, without_folders
from hipt.view.bounded import Bounded
from hipt.view.tiles import DeepZoom, needs_small, piece, small_picture, tile

log = logging.getLogger(__name__)

OPEN_SLIDES = 16
"""Slides that stay open, each with up to 32 MiB of tiles that OpenSlide keeps, and perhaps a small
picture of up to 12 MiB."""

TILES_BYTES = 128 << 20
"""Tiles that are kept as JPEG."""

QUALITY = 85


class OpenSlide:
    """An open slide and what is known of it; closed when nobody holds it any more."""

    def __init__(self, path: Path) -> None:
        self.slide: Slide = open_slide(path)
        info = self.slide.info
        self.zoom = DeepZoom(info.width_px, info.height_px)
        self._making = threading.Lock()

    def small(self) -> Thumbnail:
        """All of the slide, small; made once."""
        with self._making:
            return self._small

    @cached_property
    def _small(self) -> Thumbnail:
        return small_picture(self.slide)


class Slides:
    """The slides of a cohort, opened when they are looked at; as many reads at once as cores."""

    def __init__(self) -> None:
        self._open: Bounded[tuple[Path, int, int], OpenSlide] = Bounded(OPEN_SLIDES)
        self._tiles: Bounded[tuple[object, ...], bytes] = Bounded(TILES_BYTES, len)
        self._reads = threading.BoundedSemaphore(usable_cores() + 1)

    def open(self, row: Row) -> OpenSlide:
        """A slide, by its row of the slide table.

        Raises:
            RefusedError: 404, if its file is gone or cannot be read.
        """
        return self._opened(row)[1]

    def tile(self, row: Row, level: int, column: int, tile_row: int) -> bytes:
        """A tile as JPEG.

        Raises:
            RefusedError: 404, if there is no such tile, or the slide cannot be read.
        """
        key, opened = self._opened(row)
        box = opened.zoom.box(level, column, tile_row)

        def made() -> bytes:
            scale = opened.zoom.scale(level)
            with self._reads:
                small = opened.small() if needs_small(opened.slide, scale) else None
                pixels = tile(opened.slide, small, scale, box)
            return jpeg_bytes(pixels, QUALITY)

        return self._tiles.get((*key, level, column, tile_row), made)

    def crop(self, row: Row, corner: tuple[float, float], side_px: float, px: int) -> bytes:
        """A square of a slide as JPEG.

        Args:
            row: the slide's.
            corner: x, y, level-0 pixels.
            side_px: of the square, level-0 pixels; no longer than the slide.
            px: side of the picture.

        Raises:
            RefusedError: 400, if it lies outside of the slide, or is larger; 404 as of `open`.
        """
        key, opened = self._opened(row)
        info = opened.slide.info
        inside = all(
            -side_px < start < whole
            for start, whole in zip(corner, (info.width_px, info.height_px), strict=True)
        )
        if not inside or not 1 <= side_px <= max(info.width_px, info.height_px):
            size = f"{info.width_px} x {info.height_px} px"
            raise RefusedError(400, f"the square lies outside of the slide of {size}")

        def made() -> bytes:
            with self._reads:
                return jpeg_bytes(piece(opened.slide, *corner, side_px / px, (px, px)), QUALITY)

        return self._tiles.get((*key, corner, side_px, px), made)

    def overview(self, row: Row, longest_px: int) -> bytes:
        """All of a slide as JPEG, with at most this longest side.

        Raises:
            RefusedError: 404, as of `open`.
        """
        key, opened = self._opened(row)
        info = opened.slide.info
        scale = max(1.0, max(info.width_px, info.height_px) / longest_px)
        size = max(1, round(info.width_px / scale)), max(1, round(info.height_px / scale))

        def made() -> bytes:
            with self._reads:
                return jpeg_bytes(piece(opened.slide, 0, 0, scale, size), QUALITY)

        return self._tiles.get((*key, longest_px), made)

    def _opened(self, row: Row) -> tuple[tuple[Path, int, int], OpenSlide]:
        """An open slide; the file as it is now, and not one that was there before."""
        path = Path(row["path"])
        try:
            stat = path.stat()
            key = path, stat.st_mtime_ns, stat.st_size
            return key, self._open.get(key, lambda: OpenSlide(path))
        except (OSError, SlideError, ValueError) as error:
            log.warning("%s: %s", row["slide_id"], error)
            cause = f"cannot be read: {_reason(error, path)}" if _there(path) else "is not there"
            sentence = f"the file of slide {quoted(row['slide_id'])} {cause}"
            raise RefusedError(404, sentence) from None


def _there(path: Path) -> bool:
    """Whether a file is there, and not only a folder."""
    try:
        return path.is_file()
    except OSError:
        return False


def _reason(error: Exception, path: Path) -> str:
    """Why a file cannot be read, without the folders of this machine."""
    text = error.strerror if isinstance(error, OSError) else str(error)
    return without_folders(str(text).replace(f"{path}: ", "").replace(str(path), path.name))
