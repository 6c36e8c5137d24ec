"""Where both networks look inside one region, down to cells; reads pixels.

Legend: P patches of a region, G of them along its side, E cells along a patch's side, H heads.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hipt.config.config import CELL_PX
from hipt.geometry.resolution import ReadPlan
from hipt.heatmaps.table import CellMaps
from hipt.nn.encoders import PatchEncoder
from hipt.nn.vit import ViT
from hipt.pictures.drawing import RGB, reduced
from hipt.slides.region_reader import RegionReader, SlideJob

MINIBATCH = 16
"""Patches per pass."""

PICTURE_PX = 1024
"""Most pixels along the side of a region's picture."""

Floats = npt.NDArray[np.float64]


class RegionAt(NamedTuple):
    """A region of a slide, and how it is read."""

    slide_id: str
    path: Path
    plan: ReadPlan
    grid: int
    """G"""
    x: int
    y: int


def cell_maps(
    encoder: PatchEncoder, model: ViT, region: RegionAt, shifts: int, threads: int
) -> CellMaps:
    """The maps of a region, each the mean over true shifts of the image.

    Pass k sees the region's square moved by k / shifts of a patch to the right and down, in whole
    cells: its pixels are read anew, and both networks look at them. A cell's value is the mean over
    the passes that see it.

    Args:
        encoder: stage 1, a ViT256.
        model: stage 2.
        region: where to look.
        shifts: passes.
        threads: that read.

    Raises:
        SlideError: if the slide cannot be opened any more.
    """
    per_patch = region.plan.patch_px // CELL_PX
    side = region.grid * per_patch
    total, count = np.zeros((3, side, side)), np.zeros((side, side))
    picture: RGB | None = None
    moves = [k * per_patch // shifts for k in range(shifts)]  # in cells
    for move, pixels in zip(moves, _passes(region, moves, threads), strict=True):
        seen = _maps(encoder, model, pixels)  # [3, side, side]
        total[:, move:, move:] += seen[:, : side - move, : side - move]
        count[move:, move:] += 1
        if picture is None:
            picture = _joined(pixels, region.grid)
    assert picture is not None
    cells, patches, product = total / count
    return CellMaps(picture, cells, patches, product)


def _passes(region: RegionAt, moves: list[int], threads: int) -> Iterator[npt.NDArray[np.uint8]]:
    """[P, px, px, 3] of every pass."""
    step = CELL_PX * region.plan.patch_read_px / region.plan.patch_px  # level-0 pixels per cell
    corners = np.array([(region.x + m * step, region.y + m * step) for m in moves])
    job = SlideJob(
        region.slide_id,
        region.path,
        region.plan,
        region.grid,
        np.round(corners).astype(np.int64),
    )
    with RegionReader(threads) as reader:
        for _, regions in reader.stream([job]):
            for passed in regions:
                yield passed.pixels


@torch.no_grad()
def _maps(encoder: PatchEncoder, model: ViT, pixels: npt.NDArray[np.uint8]) -> Floats:
    """[3, G*E, G*E] cells, patches, product of one pass."""
    vectors, inside = [], []
    for part in torch.split(torch.from_numpy(pixels), MINIBATCH):
        vector, attention = encoder.seen(part)
        vectors.append(vector)
        inside.append(attention.mean(1))  # (b, E*E)
    grid = round(len(pixels) ** 0.5)
    square = torch.cat(vectors).T.reshape(1, -1, grid, grid)
    patches = model.attention(square)[0].mean(0)  # (P,)
    cells = torch.cat(inside)  # (P, E*E)
    shares = patches[:, None] * cells / cells.sum(1, keepdim=True)
    flat = [cells, patches[:, None].expand_as(cells), shares]
    return np.stack([_laid_out(values, grid) for values in flat])


def _laid_out(values: Tensor, grid: int) -> Floats:
    """[G*E, G*E] of (P, E*E)."""
    side = round(values.shape[1] ** 0.5)
    laid = values.reshape(grid, grid, side, side).transpose(1, 2).reshape(grid * side, -1)
    return np.asarray(laid, np.float64)


def _joined(pixels: npt.NDArray[np.uint8], grid: int) -> RGB:
    """The region as one picture, made small."""
    px = pixels.shape[1]
    small = max(1, min(px, PICTURE_PX // grid))
    patches = [reduced(patch, small, small) if small < px else patch for patch in pixels]
    rows = np.stack(patches).reshape(grid, grid, small, small, 3).swapaxes(1, 2)
    return np.ascontiguousarray(rows.reshape(grid * small, grid * small, 3))
