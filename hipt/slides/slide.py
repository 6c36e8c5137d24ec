"""Whole-slide images through OpenSlide: header, pixels, thumbnail. The only import of openslide."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import openslide
from PIL import Image

from hipt.errors import SlideError
from hipt.pictures.drawing import reduced
from hipt.slides.closing import Closing
from hipt.slides.levels import are_levels, left_out, misleading
from hipt.slides.pixel_kind import PixelKind, refuse_unread
from hipt.slides.tiled_tiff import TiffClaims, tiff_claims

RGB = npt.NDArray[np.uint8]  # [h, w, 3]
Patches = npt.NDArray[np.uint8]  # [rows, columns, px, px, 3]
ReaderName = Literal["openslide", "direct"]

_BAND_PX, _SMALLEST_PX = 1024, 128
_THUMBNAIL_TOLERANCE = 1.1
_MOST_TILE_PX = 1 << 28
_MOST_TILE_BYTES = 1 << 31
MOST_THUMBNAIL_PX = 1 << 28  # at 8 um/px a square of 13 cm


class UnreadableTileError(Exception):
    """A rectangle holds a damaged tile."""


@dataclass(frozen=True)
class SlideInfo:
    """What a slide's header says."""

    vendor: str
    objective: float | None
    mpp: tuple[float, float] | None
    """um/px in x and y; None where the header does not say."""
    mpp_source: Literal["header", "tiff"]
    """`tiff`: from the resolution tags of a generic TIFF."""
    width_px: int
    height_px: int
    downsamples: tuple[float | None, ...]
    """Of each of OpenSlide's levels; None for a picture that is no level, and is never read."""
    bounds: tuple[int, int, int, int]
    """x, y, width, height of the part that was scanned, level-0 pixels."""
    pixels: PixelKind | None = None
    """What a pixel of level 0 is; None where it is not known (no TIFF)."""
    note: str = ""
    """What somebody should know about the levels."""


class Thumbnail(NamedTuple):
    """A whole slide, small."""

    pixels: RGB
    scale: float
    """Level-0 pixels per pixel."""
    most_opaque: int | None
    """The highest alpha of what was read, 0 to 255; None: nothing could be read."""


def open_slide(path: Path, kind: Callable[[Path], Slide] | None = None) -> Slide:
    """Open a slide.

    Args:
        path: the file.
        kind: what reads it; None: OpenSlide.

    Raises:
        SlideError: `missing` or `unreadable`, with the reason.
    """
    try:
        empty = path.is_file() and path.stat().st_size == 0
        there = path.exists()
    except OSError as error:
        raise SlideError("missing", f"{path}: {error.strerror}") from None
    if not there:
        link = f" (a link to {path.readlink()}, which is not there)" if path.is_symlink() else ""
        raise SlideError("missing", f"{path}: no such file{link}")
    if empty:
        raise SlideError("unreadable", f"{path}: is empty (0 bytes)")
    return (kind or Slide)(path)


class Slide(Closing):
    """An open slide, read by OpenSlide. Any number of threads may read from it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._handle = _handle(path)
        claims = tiff_claims(path)
        try:
            self.info = _info(self._handle, claims)
            huge = _largest_tile_px(self._handle)
        except openslide.OpenSlideError as error:
            raise SlideError("unreadable", f"{path}: OpenSlide says: {error}") from None
        # OpenSlide would end the whole process where memory ends
        if huge > _MOST_TILE_PX:
            raise SlideError("unreadable", f"{path}: its header says that a tile has {huge:,} px")
        if claims.tile_bytes > _MOST_TILE_BYTES:
            raise SlideError(
                "unreadable", f"{path}: its header says that a tile has {claims.tile_bytes:,} bytes"
            )
        _refuse_other_first(path, self.info, claims)
        refuse_unread(path, self.info.pixels)

    def close(self) -> None:
        """Free the handle."""
        self._handle.close()

    def level_px(self, level: int) -> tuple[int, int]:
        """A level's width and height."""
        width, height = self._handle.level_dimensions[level]
        return width, height

    def factor(self, level: int) -> float:
        """Level-0 pixels per pixel of a level, as OpenSlide counts them.

        Raises:
            ValueError: if the picture is no level.
        """
        downsample = self.info.downsamples[level]
        if downsample is None:
            raise ValueError(f"{self.path}: picture {level} is no level of the slide")
        return downsample

    def coarsest(self, most: float) -> int:
        """The coarsest level with at most so many level-0 pixels per pixel, else level 0."""
        fitting = (i for i, d in enumerate(self.info.downsamples) if d is not None and d <= most)
        return max(fitting, default=0)

    def reader_of(self, level: int, x: int, y: int) -> ReaderName:  # noqa: ARG002
        """Who reads the rectangles of a level that begin there, level-0 pixels."""
        return "openslide"

    def read(self, level: int, x: int, y: int, width_px: int, height_px: int) -> RGB:
        """A rectangle of one level; white outside the slide and where nothing was scanned.

        Args:
            level: the level.
            x: left edge, level-0 pixels.
            y: top edge, level-0 pixels.
            width_px: width in pixels of the level.
            height_px: height in pixels of the level.

        Returns:
            uint8 [height, width, 3], blended on white.

        Raises:
            UnreadableTileError: if the rectangle holds a damaged tile. The slide can be read on.
        """
        return self._read(level, x, y, width_px, height_px)[0]

    def _read(self, level: int, x: int, y: int, width_px: int, height_px: int) -> tuple[RGB, int]:
        """A rectangle, as `read`, and its highest alpha."""
        factor = self.factor(level)
        place = (on_pixel(x, factor), on_pixel(y, factor)), level, (width_px, height_px)
        handle = self._handle
        try:
            return _on_white(handle.read_region(*place))
        except openslide.OpenSlideError:
            # A handle stays in error after a damaged tile, for every thread: which rectangle holds
            # the tile is told by a handle that nobody else reads from.
            fresh = _handle(self.path)
        try:
            pixels = _on_white(fresh.read_region(*place))
        except openslide.OpenSlideError as error:
            self._replace(handle, _handle(self.path))
            raise UnreadableTileError(f"{self.path}: {error}") from None
        self._replace(handle, fresh)
        return pixels

    def read_into(self, level: int, x: int, y: int, out: RGB) -> None:
        """Fill a picture with the rectangle of its size, as `read`."""
        out[:] = self.read(level, x, y, out.shape[1], out.shape[0])

    def read_patches(self, level: int, x: int, y: int, out: Patches) -> None:
        """Square patches side by side, from one read.

        Args:
            level: the level.
            x: left edge, level-0 pixels.
            y: top edge, level-0 pixels.
            out: uint8 [rows, columns, px, px, 3] to be filled.

        Raises:
            UnreadableTileError: as `read`.
        """
        rows, columns, side = out.shape[:3]
        block = self.read(level, x, y, columns * side, rows * side)
        out[:] = block.reshape(rows, side, columns, side, 3).swapaxes(1, 2)

    def thumbnail(self, reduction: float) -> Thumbnail:
        """The whole slide, small, by area means of the coarsest level that is fine enough.

        Args:
            reduction: wanted level-0 pixels per pixel of the thumbnail; at least 1. What comes out
                has at most 10 % more, so that a level of nearly that size serves as it is.

        Returns:
            Its pixels are uint8 [h, w, 3], damaged tiles white; its scale is what it really has,
            so that its edges may lie up to one pixel beyond the slide's.

        Raises:
            SlideError: `unreadable`, if the header claims a size of which no slide is.
        """
        most = reduction * _THUMBNAIL_TOLERANCE
        level = self.coarsest(most)
        downsample = self.factor(level)
        factor = max(1, min(_BAND_PX, int(most / downsample)))
        scale = downsample * factor
        width, height = (
            -(-int(np.ceil(side / downsample)) // factor)
            for side in (self.info.width_px, self.info.height_px)
        )
        if width * height > MOST_THUMBNAIL_PX:
            raise SlideError(
                "unreadable",
                f"{self.path}: its header says {self.info.width_px:,} x {self.info.height_px:,} "
                f"px, a thumbnail of which has {width:,} x {height:,}; if that is true, see to its "
                "mpp, and raise segment.mask_mpp",
            )
        small = np.full((height, width, 3), 255, np.uint8)
        side = max(1, _BAND_PX // factor)
        alphas = [
            alpha
            for top in range(0, height, side)
            for left in range(0, width, 4 * side)
            for alpha in self._fill(
                small[top : top + side, left : left + 4 * side], (left, top), level, factor
            )
        ]
        return Thumbnail(small, scale, max(alphas, default=None))

    def _fill(self, out: RGB, corner: tuple[int, int], level: int, factor: int) -> Iterator[int]:
        """Fill a part of a thumbnail; where it meets a damaged tile, in ever smaller pieces.

        Yields:
            The highest alpha of each piece that could be read.
        """
        rows, columns = out.shape[:2]
        scale = self.factor(level) * factor
        x, y = (round(value * scale) for value in corner)
        try:
            pixels, alpha = self._read(level, x, y, columns * factor, rows * factor)
        except UnreadableTileError:
            if max(rows, columns) * factor <= _SMALLEST_PX or max(rows, columns) == 1:
                return
            axis = 0 if rows > columns else 1
            for first, part in zip((0, out.shape[axis] // 2), _halves(out, axis), strict=True):
                left, top = corner[0] + first * axis, corner[1] + first * (1 - axis)
                yield from self._fill(part, (left, top), level, factor)
        else:
            out[:] = pixels if factor == 1 else reduced(pixels, columns, rows)
            yield alpha

    def _replace(self, broken: openslide.OpenSlide, fresh: openslide.OpenSlide) -> None:
        """A fresh handle for all threads, unless another thread has brought one already."""
        with self._lock:
            if self._handle is broken:
                self._handle = fresh


def _handle(path: Path) -> openslide.OpenSlide:
    """OpenSlide's handle."""
    try:
        return openslide.OpenSlide(path)
    except openslide.OpenSlideUnsupportedFormatError:
        claims = tiff_claims(path)
        reason = misleading(claims.sizes) or "is not a slide that OpenSlide can read"
        if claims.in_strips:
            reason += ": its pictures are in strips; save it as a TIFF with tiles, best a pyramid"
        raise SlideError("unreadable", f"{path}: {reason}") from None
    except (openslide.OpenSlideError, OSError) as error:
        raise SlideError("unreadable", f"{path}: OpenSlide says: {error}") from None


def _on_white(image: Image.Image) -> tuple[RGB, int]:
    """RGBA blended on white, and its highest alpha; no blend where nothing is transparent."""
    alpha = image.getchannel("A")
    least, most = cast(tuple[int, int], alpha.getextrema())
    if least == 255:
        return np.asarray(image.convert("RGB")), most
    white = Image.new("RGB", image.size, (255, 255, 255))
    white.paste(image, mask=alpha)
    return np.asarray(white), most


def on_pixel(value: int, factor: float) -> int:
    """A place in level-0 pixels, at the nearest pixel of a level whose factor is not whole.

    OpenSlide interpolates between pixels; what is left of that here is at most half a level-0
    pixel. Places of whole factors are left as they are: they can be, and are, put on whole pixels.
    """
    if factor.is_integer() or value <= 0:
        return value
    return round(round(value / factor) * factor)


def _info(handle: openslide.OpenSlide, claims: TiffClaims) -> SlideInfo:
    """The header."""
    properties = handle.properties
    vendor = properties.get(openslide.PROPERTY_NAME_VENDOR, "")
    x, y = (_number(properties.get(f"openslide.mpp-{axis}")) for axis in "xy")
    width, height = handle.dimensions
    bounds = [
        _number(properties.get(f"openslide.bounds-{name}"))
        for name in ("x", "y", "width", "height")
    ]
    left, top = int(bounds[0] or 0), int(bounds[1] or 0)
    sizes = [(int(w), int(h)) for w, h in handle.level_dimensions]
    verdicts = are_levels(sizes)
    factors = zip(handle.level_downsamples, verdicts, strict=True)
    return SlideInfo(
        vendor=vendor,
        objective=_number(properties.get(openslide.PROPERTY_NAME_OBJECTIVE_POWER)),
        mpp=(x, y) if x and y else None,
        mpp_source="tiff" if vendor == "generic-tiff" else "header",
        width_px=width,
        height_px=height,
        downsamples=tuple(float(factor) if level else None for factor, level in factors),
        bounds=(left, top, int(bounds[2] or width - left), int(bounds[3] or height - top)),
        pixels=claims.pixels((width, height)),
        note=left_out(sizes, verdicts),
    )


def _refuse_other_first(path: Path, info: SlideInfo, claims: TiffClaims) -> None:
    """Refuse a TIFF whose widest picture is not the slide: OpenSlide takes it for level 0."""
    widest, first = (info.width_px, info.height_px), claims.sizes[:1]
    if info.vendor != "generic-tiff" or first in ([], [widest]):
        return
    if not are_levels([widest, *first])[-1]:
        raise SlideError("unreadable", f"{path}: {misleading(claims.sizes)}")


def _largest_tile_px(handle: openslide.OpenSlide) -> int:
    """Pixels of the largest tile that the header claims; 0 where it says nothing."""
    properties = handle.properties
    sides = (
        [
            properties.get(f"openslide.level[{level}].tile-{side}", "0")
            for side in ("width", "height")
        ]
        for level in range(handle.level_count)
    )
    return max(int(width) * int(height) for width, height in sides)


def _halves(image: RGB, axis: int) -> tuple[RGB, RGB]:
    """Views of the two halves of a picture."""
    half = image.shape[axis] // 2
    return (image[:half], image[half:]) if axis == 0 else (image[:, :half], image[:, half:])


def _number(text: str | None) -> float | None:
    """A header's number above 0; None where it is absent or is none."""
    try:
        value = float(text) if text else None
    except ValueError:
        return None
    return value if value is not None and 0 < value < float("inf") else None
