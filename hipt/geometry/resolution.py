"""Micrometres and pixels: a slide's resolution, and how to read patches of a wanted one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

MppSource = Literal["sheet", "header", "tiff", "default"]

_CONTRADICTION = 0.10
_ANISOTROPY = 0.01
_NOMINAL = 0.005
_WHOLE = 1e-8
_MOST_MEAN = 4
"""Pixels of a finer level per pixel, along a side, that are averaged rather than interpolated."""


class TooCoarseError(ValueError):
    """The finest level is coarser than what is wanted: it would have to be enlarged."""


@dataclass(frozen=True)
class Mpp:
    """A slide's level-0 resolution."""

    value: float
    """Micrometres per pixel."""
    source: MppSource
    note: str = ""
    """What somebody should know about it."""


@dataclass(frozen=True)
class ReadPlan:
    """How patches of one slide are read: whole pixels of one level, then an area mean."""

    level: int
    downsample: int | float
    """Level-0 pixels per pixel of the level; whole where it nearly is (4.001 counts as 4)."""
    patch_px: int
    """Side of a patch as it comes out."""
    patch_level_px: int
    """Side of a patch in pixels of the level."""
    patch_read_px: int
    """Side of a patch in level-0 pixels."""
    read_mpp: float
    """Resolution of what comes out, um/px."""

    @property
    def reduction(self) -> float:
        """Pixels of the level per pixel that comes out; at least 1."""
        return self.patch_level_px / self.patch_px


def resolve_mpp(
    sheet: float | None,
    header: tuple[float, float] | None,
    header_source: Literal["header", "tiff"],
    default: float | None,
) -> Mpp | None:
    """A slide's resolution: from the sheet, else its header, else the default; None without any.

    Args:
        sheet: what the sheet says, um/px.
        header: what the header says in x and y, um/px.
        header_source: `tiff` where the header's numbers are resolution tags.
        default: what to take where neither says anything, um/px.
    """
    if header is None:
        if sheet is not None:
            return Mpp(sheet, "sheet")
        return Mpp(default, "default") if default is not None else None
    x, y = header
    mean = (x + y) / 2
    notes = []
    if abs(x - y) > _ANISOTROPY * mean:
        notes.append(f"mpp differs in x ({x:g}) and y ({y:g})")
    if sheet is None:
        return Mpp(mean, header_source, "; ".join(notes))
    if abs(sheet - mean) > _CONTRADICTION * mean:
        notes.append(f"the sheet's mpp {sheet:g} contradicts the header's {mean:g}")
    return Mpp(sheet, "sheet", "; ".join(notes))


def nominal(downsample: float) -> int | float:
    """A level's factor as a whole number where it nearly is one: 4.001 counts as 4."""
    whole = round(downsample)
    return whole if abs(downsample - whole) <= _NOMINAL * whole else downsample


def is_whole(downsample: float) -> bool:
    """Whether a level's pixels begin on whole pixels of level 0, over the whole of any slide.

    OpenSlide counts a level's factor from rounded sides: of most slides of odd size it is 2.0003 or
    so, and whatever begins on no pixel of the level is interpolated.
    """
    return abs(downsample - round(downsample)) <= _WHOLE * downsample


def on_level(value: float, downsample: float) -> int:
    """The last pixel of a level that begins at or before a place; both in level-0 pixels."""
    return round(int(value / downsample) * downsample)


def plan_read(
    mpp: float,
    downsamples: Sequence[float | None],
    target_mpp: float,
    tolerance: float,
    patch_px: int,
) -> ReadPlan:
    """How to read patches at a resolution that the slide need not have.

    The coarsest level that is still finer than or equal to the target, within the tolerance, and
    whose factor is whole, so that nothing is interpolated; from it a whole-number area mean where
    that comes within the tolerance, else an area mean of the exact factor. A level whose factor is
    not whole is read where the mean would be of more than 4 x 4 pixels. The patch's side is rounded
    once, in pixels of the level, and a region is whole patches of that: its parts fall on whole
    pixels always. Nothing is ever enlarged.

    Args:
        mpp: level-0 resolution, um/px.
        downsamples: level-0 pixels per pixel of each level; None: it is none.
        target_mpp: wanted resolution, um/px.
        tolerance: how far off it may be, as a share.
        patch_px: side of a patch at the wanted resolution.

    Raises:
        TooCoarseError: if the finest level is coarser than the target beyond the tolerance.
        ValueError: if a resolution is not above 0.
    """
    if mpp <= 0 or target_mpp <= 0:
        raise ValueError(f"resolutions must be above 0, got {mpp:g} and {target_mpp:g} um/px")
    factors = {i: nominal(d) for i, d in enumerate(downsamples) if d is not None}
    limit = target_mpp * (1 + tolerance)
    fitting = [i for i, factor in factors.items() if mpp * factor <= limit]
    if not fitting:
        raise TooCoarseError(
            f"the finest level has {mpp * min(factors.values()):g} um/px, wanted are "
            f"{target_mpp:g} (tolerance {tolerance:.0%}); pixels are never enlarged"
        )
    level = max(fitting, key=factors.__getitem__)
    whole = [i for i in fitting if is_whole(downsamples[i] or 0)]
    sharp = max(whole, key=factors.__getitem__, default=level)
    if factors[level] <= _MOST_MEAN * factors[sharp]:
        level = sharp
    level_mpp = mpp * factors[level]
    reduction = max(1, round(target_mpp / level_mpp))
    if abs(level_mpp * reduction / target_mpp - 1) <= tolerance:
        patch_level_px = reduction * patch_px
    else:
        patch_level_px = round(patch_px * target_mpp / level_mpp)
    return ReadPlan(
        level=level,
        downsample=factors[level],
        patch_px=patch_px,
        patch_level_px=patch_level_px,
        patch_read_px=round(patch_level_px * factors[level]),
        read_mpp=level_mpp * patch_level_px / patch_px,
    )


def patches_per_block(grid: int, patch_level_px: int, block_px: int) -> int:
    """Patches along a block's side: as many as fit into about `block_px`, dividing the grid."""
    fitting = [n for n in range(1, grid + 1) if grid % n == 0 and n * patch_level_px <= block_px]
    return max(fitting, default=1)
