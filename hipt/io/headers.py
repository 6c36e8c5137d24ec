"""What a slide's header means under the sheet and the settings, or how the slide ends."""

from __future__ import annotations

from collections.abc import Sequence

from hipt.core.geometry import Mpp, ReadPlan, TooCoarseError, plan_read, resolve_mpp
from hipt.errors import SlideError
from hipt.io.indices import Row
from hipt.io.sheets import SlideRow
from hipt.io.slides import SlideInfo

LEAST_MPP, MOST_MPP = 0.01, 100.0
"""Micrometres per pixel of any slide: light resolves 0.2, and thumbnails have 50."""


def slide_mpp(info: SlideInfo, row: SlideRow, default_mpp: float | None) -> Mpp:
    """A slide's level-0 resolution.

    Args:
        info: its header.
        row: its row of the sheet.
        default_mpp: what to take where neither says anything, um/px.

    Raises:
        SlideError: `no_mpp`, if nothing says it, or it cannot be true.
    """
    mpp = resolve_mpp(row.mpp, info.mpp, info.mpp_source, default_mpp)
    if mpp is None:
        raise SlideError(
            "no_mpp",
            "its header does not say how many um a pixel has; fill in the sheet's column mpp, or "
            "set slides.default_mpp",
        )
    if not LEAST_MPP <= mpp.value <= MOST_MPP:
        raise SlideError(
            "no_mpp",
            f"a pixel of {mpp.value:g} um (from: {mpp.source}) is none of a microscope, whose have "
            f"{LEAST_MPP:g} to {MOST_MPP:g}; correct it in the sheet's column mpp",
        )
    return mpp


def slide_plan(
    mpp: float, downsamples: Sequence[float], target_mpp: float, tolerance: float, patch_px: int
) -> ReadPlan:
    """How a slide's patches are read; arguments as of `plan_read`.

    Raises:
        SlideError: `too_coarse`, if they would have to be enlarged.
    """
    try:
        return plan_read(mpp, downsamples, target_mpp, tolerance, patch_px)
    except TooCoarseError as error:
        raise SlideError("too_coarse", str(error)) from None


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
