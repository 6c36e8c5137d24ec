"""The views that self-supervised pretraining compares: of patches (stage 1) and grids (stage 2).

Parameters are drawn first, for a whole batch and on the generator's device, and applied afterwards;
every sample has its own.

Legend: B samples, H rows, W columns, n side of a view, D width of a vector, K taps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from hipt.config.pretraining import GridViewsConfig, PatchViewsConfig
from hipt.nn.dino.colours import Colours, draw_colours, reach, recolour

TRIES = 10
"""Boxes that are drawn before the whole image is taken."""

ASPECT = (3 / 4, 4 / 3)
"""Least and most width of a box as a share of its height."""

GAP = 4
"""Unused values between columns of pixels: columns a power of two apart evict each other from the
cache, and transposing them then takes three times as long."""

PART = {"cpu": 4}
"""Patches that are worked on together, so that they stay in the cache; elsewhere, the batch."""


class PatchViews:
    """Two large and several small views of each patch.

    Source: Caron et al., ICCV 2021, with the numbers of the released HIPT code.
    Differs: values stay floats from the resampling on, where PIL rounds after every change; the
    blur is a true Gaussian where PIL's is three box filters. Steps are equal to torchvision's.
    """

    def __init__(self, cfg: PatchViewsConfig, mean: Sequence[float], std: Sequence[float]) -> None:
        """Keep the recipe.

        Args:
            cfg: sizes, probabilities, ranges.
            mean: per channel, of values between 0 and 1.
            std: likewise.
        """
        self.cfg = cfg
        self.mean = torch.tensor(mean).view(1, 3, 1, 1)
        self.std = torch.tensor(std).view(1, 3, 1, 1)
        self.sides = (cfg.global_px, cfg.global_px, cfg.local_px)

    def __call__(self, patches: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Draw and make the views.

        Args:
            patches: uint8 (B, H, W, 3).
            generator: the only source of randomness; on any device.

        Returns:
            2 + local_crops float tensors (B, 3, n, n), normalised, where the patches are.
        """
        count, height, width = patches.shape[:3]
        plans = [self._draw(view, count, (height, width), generator) for view in range(3)]
        out = [
            torch.empty(len(plan.boxes), count, 3, side, side, device=patches.device)
            for plan, side in zip(plans, self.sides, strict=True)
        ]
        part = PART.get(patches.device.type, max(count, 1))
        for start in range(0, count, part):
            rows = slice(start, start + part)
            columns = column_major(patches[rows])
            for views, plan in zip(out, plans, strict=True):
                if len(views):
                    self._make(columns, plan.of(rows), views[:, rows])
        return [view for views in out for view in views]

    def _draw(
        self, view: int, count: int, size: tuple[int, int], generator: torch.Generator
    ) -> _Plan:
        """Parameters of a large view, or (2) of all small ones."""
        cfg, number = self.cfg, self.cfg.local_crops if view == 2 else 1
        scale = cfg.local_scale if view == 2 else cfg.global_scale
        n = number * count
        boxes = draw_boxes(n, size, scale, generator)
        flips = draw_flips(n, cfg.flip, cfg.rotate, generator)
        colours = draw_colours(cfg, view, n, generator)
        boxes, flips, *rest = (
            t.view(number, count, *t.shape[1:]) for t in (boxes, flips, *colours)
        )
        return _Plan(boxes, flips, Colours(*rest))

    def _make(self, columns: Tensor, plan: _Plan, out: Tensor) -> None:
        """Cut, colour and normalise into (views, B, 3, n, n)."""
        boxes, flips, *rest = (t.flatten(0, 1) for t in (plan.boxes, plan.flips, *plan.colours))
        x = crop_resize(columns, boxes, flips, out.shape[-1])
        radius = min(reach(self.cfg.blur_sigma[1]), out.shape[-1] - 1)  # as far as a mirror shows
        x = recolour(x, Colours(*rest), radius).view_as(out)
        torch.sub(x, self.mean.to(x), out=out)
        out.div_(self.std.to(x))


class _Plan(NamedTuple):
    """Parameters of some views of B patches: (views, B, ...) each."""

    boxes: Tensor
    flips: Tensor
    colours: Colours

    def of(self, rows: slice) -> _Plan:
        """Those of some patches."""
        colours = Colours(*(c[:, rows] for c in self.colours))
        return _Plan(self.boxes[:, rows], self.flips[:, rows], colours)


class GridViews:
    """Two large and several small views of each grid of vectors, at the grid's own scale.

    A mirrored view has its vectors in mirrored places; what they say of their patch stays.

    Source: Chen et al., CVPR 2022; dropout is the paper's, the released code has none.
    """

    def __init__(self, cfg: GridViewsConfig) -> None:
        """Keep the recipe: sides, probabilities."""
        self.cfg = cfg
        self.sides = [cfg.global_side] * 2 + [cfg.local_side] * cfg.local_crops

    def __call__(self, grids: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Draw and make the views.

        Args:
            grids: float (B, D, H, W).
            generator: the only source of randomness; best on the grids' device, since dropout
                draws a number per value.

        Returns:
            2 + local_crops tensors (B, D, n, n).

        Raises:
            ValueError: if a grid is smaller than a view.
        """
        count, _, height, width = grids.shape
        self._check(height, width)
        views = []
        means = grids.mean((2, 3), keepdim=True) if self.cfg.swap_means else None  # (B, D, 1, 1)
        for side in self.sides:
            corners = draw_corners(count, (height, width), side, generator)
            flips = draw_flips(count, self.cfg.flip, self.cfg.rotate, generator)
            view = crop_grid(grids, corners, flips, side)
            if means is not None:
                view = view + (means[draw_order(count, generator)] - means)
            kept = draw_kept(view.shape, self.cfg.dropout, generator)
            views.append(drop(view, kept, self.cfg.dropout))
        return views

    def _check(self, height: int, width: int) -> None:
        for name in ("global_side", "local_side")[: 1 + bool(self.cfg.local_crops)]:
            side = getattr(self.cfg, name)
            if side > min(height, width):
                raise ValueError(
                    f"a grid of {height} x {width} patches is smaller than a view of {side} x "
                    f"{side}: set {name} to at most {min(height, width)}, or use larger regions"
                )


def draw_boxes(
    count: int, size: tuple[int, int], scale: tuple[float, float], generator: torch.Generator
) -> Tensor:
    """Random boxes: area uniform, logarithm of the aspect ratio uniform, then place uniform.

    The first of ten tries that fits is taken; if none does, the largest box in the middle that has
    an allowed aspect ratio.

    Args:
        count: B.
        size: H and W, pixels.
        scale: least and most area, as shares of the image's.
        generator: the only source of randomness.

    Returns:
        (B, 4) integers: top, left, height, width.
    """
    limits = torch.tensor(size, device=generator.device)  # (2,)
    area = scale[0] + (scale[1] - scale[0]) * _uniform(generator, count, TRIES)
    low, high = (math.log(ratio) for ratio in ASPECT)
    ratio = torch.exp(low + (high - low) * _uniform(generator, count, TRIES))  # (B, tries)
    area = area * size[0] * size[1]
    sides = torch.stack([(area / ratio).sqrt(), (area * ratio).sqrt()], 2).round().long()
    fits = ((sides > 0) & (sides <= limits)).all(2)  # (B, tries)
    first = fits.byte().argmax(1)  # (B,)
    sides = sides[torch.arange(count, device=generator.device), first]  # (B, 2)
    corners = (_uniform(generator, count, 2) * (limits - sides + 1)).long()
    corners = torch.minimum(corners, limits - sides)  # a product may round up
    largest = torch.tensor(_largest(*size), device=generator.device)
    middle = torch.div(limits - largest, 2, rounding_mode="floor")
    fitting = fits.any(1, keepdim=True)
    return torch.cat(
        [torch.where(fitting, corners, middle), torch.where(fitting, sides, largest)], 1
    )


def _largest(height: int, width: int) -> tuple[int, int]:
    """Height and width of the largest box with an allowed aspect ratio."""
    return min(height, round(width / ASPECT[0])), min(width, round(height * ASPECT[1]))


def draw_flips(count: int, flip: float, rotate: bool, generator: torch.Generator) -> Tensor:
    """Random mirrors and turns.

    Args:
        count: B.
        flip: probability of a mirror image, left to right; with `rotate`, also of one upside down.
        rotate: turn by a random number of quarters besides.
        generator: the only source of randomness.

    Returns:
        (B, 3) bool: left to right, then upside down, then rows become columns.
    """
    mirrors = _uniform(generator, count, 2) < flip
    quarters = (_uniform(generator, count) * 4).long()
    if not rotate:
        return torch.stack([mirrors[:, 0], *torch.zeros_like(mirrors.mT)], 1)
    quarter, half = quarters % 2 == 1, quarters >= 2
    return torch.stack([mirrors[:, 0] ^ half ^ quarter, mirrors[:, 1] ^ half, quarter], 1)


def column_major(images: Tensor) -> Tensor:
    """uint8 (B, H, W, 3) -> float (B, W, 3, H), still 0..255; with a gap after each column."""
    b, height, width, channels = images.shape
    columns = torch.empty(b, width * channels, height + GAP, device=images.device)[..., :height]
    columns.copy_(images.reshape(b, height, -1).mT)
    return columns.view(b, width, channels, height)


def crop_resize(columns: Tensor, boxes: Tensor, flips: Tensor, size: int) -> Tensor:
    """Boxes of images, resized with an antialiased bicubic filter.

    Two products with sparse matrices, one per sample and direction: a bag of K columns for each
    column of the view, then a bag of rows. A mirror image mirrors the places of the bags.

    Args:
        columns: (B, W, 3, H) images column by column, as `column_major` lays them out.
        boxes: (N, 4) integers: top, left, height, width; N a multiple of B, box i of image i % B.
        flips: (N, 3) bool: left to right, then upside down, then rows become columns.
        size: n.

    Returns:
        float (N, 3, n, n) in 0..1.
    """
    b, width, channels, height = columns.shape
    count = len(boxes)
    taps = math.ceil(4 * max(1.0, float(boxes[:, 2:].max()) / size))
    turned = bool(flips[:, 2].any())
    boxes, flips = boxes.to(columns.device), flips.to(columns.device)
    channel = torch.arange(channels, device=columns.device)[:, None, None]
    sample = torch.arange(count, device=columns.device).view(-1, 1, 1, 1)
    table = columns.as_strided((b * width * channels, columns.stride(2)), (columns.stride(2), 1))
    places, weights = _taps(boxes[:, 1], boxes[:, 3], flips[:, 0], size, taps)  # (N, n, K)
    places = (sample % b * width + places[:, None]) * channels + channel  # (N, 3, n, K)
    x = _bags(places, weights, table).view(count * channels, size, -1)
    x = x[..., :height].mT.reshape(-1, size)  # (N * 3 * H, n)
    places, weights = _taps(boxes[:, 0], boxes[:, 2], flips[:, 1], size, taps)
    places = (sample * channels + channel) * height + places[:, None]  # (N, 3, n, K)
    x = _bags(places, weights / 255, x).view(count, channels, size, size).clamp_(0, 1)
    if turned:
        x[flips[:, 2]] = x[flips[:, 2]].mT
    return x


def _taps(
    start: Tensor, length: Tensor, mirrored: Tensor, size: int, taps: int
) -> tuple[Tensor, Tensor]:
    """Which places a resampled line of n is made from, and their weights: (B, n, K) each."""
    span = length.float()[:, None]  # (B, 1)
    stretch = (span / size).clamp_min(1)
    centre = (torch.arange(size, device=span.device) + 0.5) * (span / size)  # (B, n)
    centre = torch.where(mirrored[:, None], span - centre, centre)
    first = (centre - 2 * stretch + 0.5).floor()
    places = first[..., None] + torch.arange(taps, device=span.device)  # (B, n, K)
    weights = _cubic((places + 0.5 - centre[..., None]) / stretch[..., None])
    inside = places.clamp_min(0).minimum(span[..., None] - 1)
    weights = weights * (inside == places)
    return inside.long() + start[:, None, None], weights / weights.sum(2, keepdim=True)


def _cubic(t: Tensor) -> Tensor:
    """Keys' kernel with a = -0.5, of two pieces that end smoothly at 1 and 2."""
    near, far = t.abs().clamp_max(1), t.abs().clamp_max(2)
    return (near - 1) ** 2 * (2 * near - 1) - 0.5 * (far - 1) * (far - 2) ** 2


def _bags(places: Tensor, weights: Tensor, table: Tensor) -> Tensor:
    """Sums of K rows of a table at places (N, 3, n, K), by weights (N, n, K)."""
    weights = weights[:, None].expand_as(places).reshape(-1, places.shape[-1])
    bags = places.reshape(weights.shape)
    return F.embedding_bag(bags, table, mode="sum", per_sample_weights=weights)


def draw_corners(
    count: int, size: tuple[int, int], side: int, generator: torch.Generator
) -> Tensor:
    """Random top-left corners (B, 2), row and column, of squares within H x W; all are equal."""
    rows, columns = (
        torch.randint(length - side + 1, (count,), generator=generator, device=generator.device)
        for length in size
    )
    return torch.stack([rows, columns], 1)


def crop_grid(grids: Tensor, corners: Tensor, flips: Tensor, side: int) -> Tensor:
    """Squares of grids, mirrored and turned.

    Args:
        grids: (B, D, H, W).
        corners: (B, 2): top row, left column.
        flips: (B, 3) bool: left to right, then upside down, then rows become columns.
        side: n.

    Returns:
        (B, D, n, n).
    """
    b, dim, _, width = grids.shape
    corners, flips = corners.to(grids.device), flips.to(grids.device)
    steps = torch.arange(side, device=grids.device)
    across = corners[:, 1:] + torch.where(flips[:, 0:1], steps.flip(0), steps)  # (B, n)
    down = corners[:, :1] + torch.where(flips[:, 1:2], steps.flip(0), steps)
    places = down[:, :, None] * width + across[:, None, :]  # (B, n, n)
    places = torch.where(flips[:, 2].view(-1, 1, 1), places.mT, places).reshape(b, 1, -1)
    return grids.flatten(2).gather(2, places.expand(b, dim, -1)).view(b, dim, side, side)


def draw_order(count: int, generator: torch.Generator) -> Tensor:
    """A random permutation of B samples: (B,)."""
    return _uniform(generator, count).argsort()


def draw_kept(shape: Sequence[int], dropout: float, generator: torch.Generator) -> Tensor:
    """Which values stay, each with probability 1 - dropout: 1 or 0, float."""
    return _uniform(generator, *shape).ge_(dropout)


def drop(values: Tensor, kept: Tensor, dropout: float) -> Tensor:
    """Values that are not kept become 0; the others grow by 1 / (1 - dropout)."""
    return (values * kept.to(values)).div_(1 - dropout)


def _uniform(generator: torch.Generator, *shape: int) -> Tensor:
    """Numbers from 0 up to 1, on the generator's device."""
    return torch.rand(*shape, generator=generator, device=generator.device)
