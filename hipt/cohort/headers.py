"""What a slide's header means under the sheet and the settings, or how the slide ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hipt.cohort.batch_run import Row
from hipt.cohort.sheet import SlideRow
from hipt.errors import SlideError
from hipt.geometry.objective import limits, times_apart, usual_mpp
from hipt.geometry.resolution import (
    Mpp,
    MppSource,
    ReadPlan,
    TooCoarseError,
    plan_read,
    resolve_mpp,
)
from hipt.slides.slide import SlideInfo

LEAST_MPP, MOST_MPP = 0.05, 30.0
"""Micrometres per pixel of any slide: light resolves 0.2, and overviews have 30 at most."""

MOST_OBLONG = 2.0
"""How many times as wide as high a pixel may be, or as high as wide."""

SOURCES: dict[MppSource, str] = {
    "sheet": "the sheet's column mpp",
    "header": "its header",
    "tiff": "its TIFF resolution tags",
    "default": "slides.default_mpp",
}
"""Where a resolution was taken from, in words."""

_MENDED = "give the true one in the sheet's column mpp"


def slide_mpp(info: SlideInfo, row: SlideRow, default_mpp: float | None) -> Mpp:
    """A slide's level-0 resolution.

    Args:
        info: its header.
        row: its row of the sheet.
        default_mpp: what to take where neither says anything, um/px.

    Raises:
        SlideError: `no_mpp`, if nothing says it, or it cannot be true. What the sheet says is
            taken even where the objective contradicts it, with a note.
    """
    mpp = resolve_mpp(row.mpp, info.mpp, info.mpp_source, default_mpp)
    usual = usual_mpp(info.objective) if info.objective is not None else 0.0
    hint = f" (its objective of {info.objective:g}x means about {usual:.2g})" if usual else ""
    if mpp is None:
        raise SlideError(
            "no_mpp",
            f"its header does not say how many um a pixel has{hint}; fill in the sheet's column "
            "mpp, or set slides.default_mpp",
        )
    source = SOURCES[mpp.source]
    if not LEAST_MPP * (1 + 1e-9) < mpp.value <= MOST_MPP * (1 + 1e-9):
        raise SlideError(
            "no_mpp",
            f"a pixel of {mpp.value:g} um, from {source}, is none of a microscope, whose have more "
            f"than {LEAST_MPP:g} and at most {MOST_MPP:g}{hint}; {_MENDED}",
        )
    if (
        mpp.source in ("header", "tiff")
        and info.mpp
        and max(info.mpp) > MOST_OBLONG * min(info.mpp)
    ):
        raise SlideError(
            "no_mpp",
            f"a pixel of {info.mpp[0]:g} x {info.mpp[1]:g} um, from {source}, is none of a slide, "
            f"whose are square{hint}; {_MENDED}",
        )
    times = times_apart(mpp.value, info.objective)
    remarkable, most = limits(mpp.value, info.objective, info.vendor)
    if times < remarkable:
        return mpp
    contradiction = (
        f"{mpp.value:g} um/px, from {source}, and its objective of {info.objective:g}x, which "
        f"means about {usual:.2g}, are {times:.3g} times apart"
    )
    if times > most and mpp.source != "sheet":
        raise SlideError("no_mpp", f"{contradiction}; {_MENDED}")
    return replace(mpp, note=joined(mpp.note, contradiction))


def header_note(info: SlideInfo, mpp: Mpp | None = None) -> str:
    """What somebody should know about a slide, as far as its header tells."""
    pixels = "" if info.pixels is None else info.pixels.note()
    return joined(mpp.note if mpp else "", info.note, pixels)


def joined(*notes: str) -> str:
    """Notes on a slide, one after the other."""
    return "; ".join(filter(None, notes))


def slide_plan(
    mpp: Mpp,
    downsamples: Sequence[float | None],
    target_mpp: float,
    tolerance: float,
    patch_px: int,
) -> ReadPlan:
    """How a slide's patches are read; arguments as of `plan_read`.

    Raises:
        SlideError: `too_coarse`, if they would have to be enlarged.
    """
    try:
        return plan_read(mpp.value, downsamples, target_mpp, tolerance, patch_px)
    except TooCoarseError as error:
        source = SOURCES[mpp.source]
        raise SlideError(
            "too_coarse",
            f"{error}; the slide's {mpp.value:g} is from {source}: if it is wrong, {_MENDED}",
        ) from None


def read_plan(facts: Row, patch_px: int) -> ReadPlan:
    """How a slide's patches are read, from its row of the tile index."""
    return ReadPlan(
        level=facts["read_level"],
        downsample=facts["downsample"],
        patch_px=patch_px,
        patch_level_px=round(facts["read_px"] / facts["downsample"]),
        patch_read_px=facts["read_px"],
        read_mpp=facts["read_mpp"],
    )
