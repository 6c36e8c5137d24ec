"""Pen marks against stain of the same colour.

Haematoxylin, eosin and PAS absorb green at least about as much as red, and more than blue. Blue ink
absorbs red far more than green, green ink absorbs green least, black ink absorbs all alike, and
much; red ink absorbs green and blue, and next to no red. But so do Alcian blue, Masson's trichrome,
Perls, Luxol, Verhoeff, silver, carbon and blood. What tells ink from stain is how it lies there: it
is on the cover slip, out of focus, and shows no structure; it is drawn, long and of one width; and
a slide has little of it beside its stain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from hipt.config.config import SegmentConfig
from hipt.geometry.channels import Channels, channels
from hipt.geometry.masks import Mask, closed, distance_within, grown, without_small

Density = npt.NDArray[np.float32]  # [h, w, 3]
Colours = Channels[np.float32]
Colour = Literal["blue", "green", "black", "red"]

_LONG, _EVEN = 3.0, 0.6
"""A stroke: its area in squares of its width, and the share of it that has at least half of it."""
_TOUCHES, _ENCLOSED = 0.1, 0.9
"""Shares of a part's surroundings that are other stain."""
_SPECK = 0.01
"""Other stain of less than this share of a colour is dust."""
_ON_TISSUE = 0.65
"""Blood is commoner than red pens: red that has more stain than this around it is stain."""


@dataclass(frozen=True)
class Ink:
    """What is as blue, green, black or red as ink, [h, w] each."""

    pen: Mask
    """Pen marks."""
    dark: Mask
    """Black stain and pigment, which the spread of colours does not show."""


@dataclass(frozen=True)
class _Part:
    """A connected part of one colour, in a window that holds its surroundings too."""

    window: tuple[slice, slice]
    mask: Mask
    area_mm2: float
    beside: float
    """Share of its surroundings that is other stain; of red parts, any stain."""
    drawn: bool
    structured: bool


def find_ink(density: Density, stained: Mask, mpp: float, cfg: SegmentConfig) -> Ink:
    """Pen marks.

    Args:
        density: optical density relative to glass, [h, w, 3].
        stained: where there is colour of any kind, [h, w].
        mpp: um/px.
        cfg: the criteria.

    Returns:
        Pen marks, without a margin, and black stain.
    """
    pen, dark = np.zeros(stained.shape, bool), np.zeros(stained.shape, bool)
    smooth = channels(np.asarray(cv2.blur(density, (3, 3)), np.float32))  # noise has colours too
    colours = _coloured(smooth, cfg)
    if not colours:
        return Ink(pen, dark)
    coloured = stained & (smooth.highest - smooth.lowest > cfg.min_chroma_od)
    everything_mm2 = float((stained | _any_of(colours, stained.shape)).sum()) * mpp**2 / 1e6
    for colour, mask in colours.items():
        other = coloured & ~_faint(colour, smooth, cfg)
        other = without_small(other, cfg.min_tissue_mm2, mpp)
        around = stained if colour == "red" else other & ~mask
        parts = list(_parts(mask, around, density, mpp, cfg))
        share = sum(p.area_mm2 for p in parts if not p.drawn) / max(everything_mm2, 1e-9)
        alone = colour != "black" and (other & ~mask).sum() < _SPECK * mask.sum()
        for part in parts:
            if _is_stain(part, colour, share >= cfg.ink_stain_share, alone, cfg):
                if colour == "black" and part.beside >= _TOUCHES:
                    dark[part.window] |= part.mask
            else:
                pen[part.window] |= part.mask
    return Ink(pen, dark)


def _is_stain(part: _Part, colour: Colour, usual: bool, alone: bool, cfg: SegmentConfig) -> bool:
    """Whether a part is stain or pigment.

    Args:
        part: the part.
        colour: its colour.
        usual: the colour is one of the slide's stains.
        alone: the slide has no other stain.
        cfg: the criteria.
    """
    pigment = part.beside >= _ENCLOSED and part.area_mm2 <= cfg.max_pigment_mm2
    if pigment or part.structured:
        return True
    if colour == "red":
        return alone or not part.drawn or part.beside >= _ON_TISSUE
    return usual and not part.drawn and (alone or part.beside >= _TOUCHES)


def _coloured(density: Colours, cfg: SegmentConfig) -> dict[Colour, Mask]:
    """Where it is as dark and of the colour of ink; colours that are nowhere are left out."""
    red, green, blue, lowest, highest = density
    strong = highest > cfg.ink_od
    black = strong & (lowest > cfg.black_od) & (highest - lowest < 0.15 * highest)
    cool = strong & ~black & ((red > cfg.ink_red_to_green * green) | _is_green(density))
    pink = strong & (highest > 2 * cfg.ink_od) & (blue > 0.6 * green) & (red < 0.4 * green)
    masks: dict[Colour, Mask] = {"black": black, "red": pink}
    if cool.any():
        # the nearest 5 x 5 pixels vote, so that noise does not make two colours of one
        green_too = cool & _is_green(density)
        votes = [cv2.blur(mask.astype(np.float32), (5, 5)) for mask in (green_too, cool)]
        masks["green"] = cool & (votes[0] > 0.5 * votes[1])
        masks["blue"] = cool & ~masks["green"]
    return {colour: mask for colour, mask in masks.items() if mask.any()}


def _is_green(density: Colours) -> Mask:
    """Where green is absorbed least."""
    least = 1.1 * density.green
    return np.asarray((density.red > least) & (density.blue > least))


def _faint(colour: Colour, density: Colours, cfg: SegmentConfig) -> Mask:
    """Where it has a colour of ink, however faint."""
    red, green, blue, lowest, highest = density
    if colour == "black":
        return np.asarray(highest - lowest < 0.15 * highest)
    if colour == "red":
        return np.asarray((blue > 0.6 * green) & (red < 0.4 * green))
    return np.asarray((red > cfg.ink_red_to_green * green) | _is_green(density))


def _any_of(masks: dict[Colour, Mask], shape: tuple[int, ...]) -> Mask:
    """The union of masks."""
    return np.asarray(np.logical_or.reduce([*masks.values(), np.zeros(shape, bool)]))


def _parts(
    mask: Mask, other: Mask, density: Density, mpp: float, cfg: SegmentConfig
) -> Iterator[_Part]:
    """The connected parts of one colour that are large enough for a pen mark."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    margin_px = max(1.0, cfg.ink_margin_um / mpp)
    pad = int(np.ceil(2 * margin_px)) + 1
    for label in range(1, len(stats)):
        left, top, width, height, area_px = (int(v) for v in stats[label])
        if area_px * mpp**2 / 1e6 < cfg.min_ink_mm2:
            continue
        rows = slice(max(0, top - pad), top + height + pad)
        columns = slice(max(0, left - pad), left + width + pad)
        part = labels[rows, columns] == label
        outside = distance_within(~part)
        ring = (outside > margin_px) & (outside <= 2 * margin_px)
        yield _Part(
            (rows, columns),
            part,
            area_px * mpp**2 / 1e6,
            float(other[rows, columns][ring].mean()) if ring.any() else 0.0,
            _is_drawn(part),
            _is_structured(density[rows, columns], part, cfg),
        )


def _is_drawn(part: Mask) -> bool:
    """Whether a part is a stroke: long, and of one width. Pinholes of noise do not count."""
    filled = closed(np.pad(part, 3), 2)
    within = distance_within(filled)
    radius, area = float(within.max()), int(filled.sum())
    if area < _LONG * (2 * radius) ** 2:
        return False
    opened = grown(within >= radius / 2, radius / 2)
    return bool((opened & filled).sum() >= _EVEN * area)


def _is_structured(density: Density, part: Mask, cfg: SegmentConfig) -> bool:
    """Whether a part shows structure, in the light of the colour that it absorbs most."""
    channel = int(density[part].mean(0).argmax())
    inner = distance_within(np.pad(part, 1))[1:-1, 1:-1] > 2
    if not inner.any():
        return False
    light = 10 ** -density[..., channel]
    fine = np.abs(light - cv2.blur(light, (3, 3)))
    return float(np.mean(fine[inner])) >= cfg.ink_structure
