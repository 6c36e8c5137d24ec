"""What stage 1 does to the colours of its views: jitter, grayscale, blur, solarise.

Parameters are drawn first, for a whole batch, and applied afterwards; every sample has its own.

Legend: B images, h rows, w columns; images are float (B, 3, h, w) with values in 0..1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from hipt.config.pretraining import PatchViewsConfig

LUMA = (0.2989, 0.587, 0.114)
"""Weights of red, green and blue in a grey value."""

SOLARISE_FROM = 128 / 255
"""Values from here on are inverted."""


class Colours(NamedTuple):
    """What happens to the colours of each of B images."""

    jitter: Tensor
    """(B,) bool: whether brightness, contrast, saturation and hue are changed."""
    order: Tensor
    """(B, 4): in which order they are; entry k is the index of the k-th change."""
    factors: Tensor
    """(B, 4): factors of the first three, and the turn of the hue as a share of the circle."""
    grey: Tensor
    """(B,) bool: whether colour is removed."""
    sigma: Tensor
    """(B,): standard deviation of the blur in pixels; 0: none."""
    solarise: Tensor
    """(B,) bool: whether bright values are inverted."""


def draw_colours(
    cfg: PatchViewsConfig, view: int, count: int, generator: torch.Generator
) -> Colours:
    """Random parameters, on the generator's device.

    Args:
        cfg: probabilities and ranges.
        view: 0 and 1, the large views; from 2 on, small ones.
        count: B.
        generator: the only source of randomness.

    Source: Caron et al., ICCV 2021, via the released HIPT code; blur differs between the views, and
    only the second large view is solarised.
    """

    def uniform(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator, device=generator.device)

    changes = (cfg.brightness, cfg.contrast, cfg.saturation)
    ends = [(max(0.0, 1 - most), 1 + most) for most in changes] + [(-cfg.hue, cfg.hue)]
    low, high = torch.tensor(ends, device=generator.device).unbind(1)
    least, most = cfg.blur_sigma
    return Colours(
        jitter=uniform() < cfg.jitter,
        order=uniform(4).argsort(1),
        factors=low + (high - low) * uniform(4),
        grey=uniform() < cfg.grayscale,
        sigma=(uniform() < cfg.blur[min(view, 2)]) * (least + (most - least) * uniform()),
        solarise=uniform() < (cfg.solarise if view == 1 else 0.0),
    )


def recolour(images: Tensor, colours: Colours, blur_radius: int) -> Tensor:
    """Change colours in place: jitter, then grey, then blur, then solarise.

    Args:
        images: (B, 3, h, w) in 0..1.
        colours: parameters of the B images, on any device.
        blur_radius: reach of the blur in pixels; see `reach`.

    Returns:
        The same tensor; values stay in 0..1 up to rounding.
    """
    _jitter(images, colours)
    _change(images, colours.grey.nonzero(), lambda x, _: grayscale(x))
    blurred, sigma = colours.sigma.nonzero(), colours.sigma
    _change(images, blurred, lambda x, rows: blur(x, sigma[rows], blur_radius))
    _change(images, colours.solarise.nonzero(), lambda x, _: solarise(x))
    return images


def _jitter(images: Tensor, colours: Colours) -> None:
    """Change brightness, contrast, saturation and hue of images together that share an order."""
    orders = colours.order.tolist()
    groups: dict[tuple[int, ...], list[int]] = {}
    for row in colours.jitter.nonzero()[:, 0].tolist():
        groups.setdefault(tuple(orders[row]), []).append(row)
    for order, members in groups.items():
        change = partial(_jittered, colours.factors, order)
        _change(images, torch.tensor(members)[:, None], change)


def _jittered(factors: Tensor, order: tuple[int, ...], images: Tensor, rows: Tensor) -> Tensor:
    """Images, which have the factors of these rows, after the four changes in an order."""
    for index in order:
        images = CHANGES[index](images, factors[rows, index])
    return images


def _change(images: Tensor, rows: Tensor, change: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Replace some images, by row (rows, 1), by what `change` makes of them."""
    rows = rows[:, 0]
    if len(rows) == len(images):
        images.copy_(change(images, rows))
    elif len(rows) == 1:
        image = images[int(rows) :][:1]
        image.copy_(change(image, rows))
    elif len(rows):
        places = rows.to(images.device)
        images.index_copy_(0, places, change(images.index_select(0, places), rows))


def adjust_brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Images times their factors (B,), cut to 0..1."""
    return (images * _column(factor, images)).clamp_(0, 1)


def adjust_contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Distances from an image's mean grey value times its factor (B,), cut to 0..1."""
    mean = (images.mean((2, 3)) @ images.new_tensor(LUMA)).view(-1, 1, 1, 1)
    return _blend(images, mean, factor)


def adjust_saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Distances from each pixel's grey value times the image's factor (B,), cut to 0..1."""
    return _blend(images, _grey(images), factor)


def adjust_hue(images: Tensor, turn: Tensor) -> Tensor:
    """Hues turned, in HSV.

    A turn leaves the largest and smallest channel values of a pixel as they are; so the hue, as a
    place on the hexagon from -3 to 3 with red at 0, is all that is computed. Its distance from red
    is (largest - smallest + green + blue - red - smallest) / (largest - smallest).

    Args:
        images: (B, 3, h, w) in 0..1.
        turn: (B,), share of the full circle, -0.5 to 0.5.

    Returns:
        (B, 3, h, w).
    """
    red, green, blue = images[:, 0:1], images[:, 1:2], images[:, 2:3]
    least = torch.minimum(torch.minimum(red, green), blue)
    most = torch.maximum(torch.maximum(red, green), blue)
    chroma = most - least  # (B, 1, h, w)
    away = (green - red).add_(blue).add_(most).sub_(least, alpha=2)
    away.div_(chroma.clamp_min(1e-8)).copysign_(green - blue)
    away.div_(6).add_(_column(turn, images) + 2)  # above 0, so that frac is a modulus
    corners = images.new_tensor([0, 4, 2]).div_(6).view(1, 3, 1, 1)
    wave = (away + corners).frac_().mul_(6)  # (B, 3, h, w)
    wave.sub_(3).abs_().sub_(1).clamp_(0, 1)
    return wave.mul_(chroma).add_(least)


CHANGES = (adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue)
"""What a number in `Colours.order` stands for."""


def grayscale(images: Tensor) -> Tensor:
    """Grey values in all three channels: (B, 3, h, w), as a view."""
    return _grey(images).expand_as(images)


def solarise(images: Tensor) -> Tensor:
    """Values from 128 of 255 on, inverted."""
    return images.clone().ge_(SOLARISE_FROM).sub_(images).abs_()  # |1 - x| or |0 - x|


def reach(sigma: float) -> int:
    """Radius in pixels at which a Gaussian is cut off: three standard deviations."""
    return math.ceil(3 * sigma)


def blur(images: Tensor, sigma: Tensor, radius: int) -> Tensor:
    """Gaussian blur, mirrored at the edges.

    Args:
        images: (B, 3, h, w), h and w above `radius`.
        sigma: (B,), standard deviations in pixels, above 0.
        radius: the kernel has 2 * radius + 1 taps.

    Returns:
        (B, 3, h, w).
    """
    b, channels, h, w = images.shape
    steps = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    taps = torch.softmax(-0.5 * (steps / sigma.to(images)[:, None]) ** 2, dim=1)  # (B, taps)
    taps = taps.repeat_interleave(channels, 0).view(b * channels, 1, 1, -1)
    x = F.pad(images, [radius] * 4, mode="reflect")
    x = x.view(1, b * channels, h + 2 * radius, w + 2 * radius)  # one group per image and channel
    x = F.conv2d(x, taps, groups=b * channels)
    x = F.conv2d(x, taps.mT, groups=b * channels)
    return x.view(b, channels, h, w)


def _grey(images: Tensor) -> Tensor:
    """Grey values: (B, 1, h, w)."""
    red, green, blue = LUMA
    return (images[:, 0:1] * red).add_(images[:, 1:2], alpha=green).add_(images[:, 2:3], alpha=blue)


def _blend(images: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    """Factor (B,) times the images and the rest from another, cut to 0..1."""
    share = _column(factor, images)
    return (images * share).add_(other * (1 - share)).clamp_(0, 1)


def _column(values: Tensor, images: Tensor) -> Tensor:
    """Values (B,) as (B, 1, 1, 1), where and of what type the images are."""
    return values.to(images).view(-1, 1, 1, 1)
