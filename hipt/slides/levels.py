"""Which pictures of a file are levels of the slide's pyramid, and not a label or an overview."""

from __future__ import annotations

from collections.abc import Sequence

from hipt.errors import some_of

Size = tuple[int, int]
"""Width and height in pixels."""

ROUNDING_PX = 2
"""How far the sides of a level may be from those of the slide by one factor: each writer rounds
them in its own way, some to even numbers."""

NAMED = 3
"""Most pictures that a note names."""


def are_levels(sizes: Sequence[Size]) -> tuple[bool, ...]:
    """For each picture, whether it is the slide made smaller: one factor for width and height.

    The first picture is level 0. A picture that is as large as the level before it is none.

    Args:
        sizes: of the pictures, in OpenSlide's order.
    """
    verdicts, before = [True], sizes[0]
    for size in sizes[1:]:
        smaller = size != before and size[0] <= before[0] and size[1] <= before[1]
        verdicts.append(smaller and _same_shape(sizes[0], size))
        before = size if verdicts[-1] else before
    return tuple(verdicts)


def left_out(sizes: Sequence[Size], verdicts: Sequence[bool]) -> str:
    """A note on the pictures that are no levels; empty where there is none."""
    others = [
        f"level {number} ({width:,} x {height:,} px)"
        for number, ((width, height), level) in enumerate(zip(sizes, verdicts, strict=True))
        if not level
    ]
    if not others:
        return ""
    width, height = sizes[0]
    return (
        f"{some_of(others, NAMED)} left out: not the slide of {width:,} x {height:,} px made "
        "smaller (a label, an overview)"
    )


def misleading(sizes: Sequence[Size]) -> str:
    """Why OpenSlide does not see the slide in a TIFF; empty where that is not due to sizes.

    Args:
        sizes: of the tiled pictures, in the file's order; the first one is the slide.
    """
    for width, height in sizes[1:]:
        if not are_levels([sizes[0], (width, height)])[-1]:
            return (
                f"a tiled picture of {width:,} x {height:,} px (a label, an overview) stands among "
                f"the levels of the slide of {sizes[0][0]:,} x {sizes[0][1]:,} px, so that "
                "OpenSlide does not see which is which; save the slide without it"
            )
    return ""


def _same_shape(slide: Size, size: Size) -> bool:
    """Whether one factor explains both sides, but for rounding."""
    lowest = max(whole / (side + ROUNDING_PX) for whole, side in zip(slide, size, strict=True))
    highest = min(
        whole / max(side - ROUNDING_PX, 1e-9) for whole, side in zip(slide, size, strict=True)
    )
    return lowest <= highest
