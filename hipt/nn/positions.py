"""Position embeddings to start from that say which patches are neighbours.

Legend: s side of the grid of positions, D width, F frequencies per axis.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

SIZE = 0.3
"""Root mean square: as large as the tokens of a new network, so that places are heard among them.
Of 0.02, 0.1, 0.3 and 0.6 the one whose neighbours are used first (decision 30)."""

OCTAVES = 3
"""From half a wave over the grid to 2 ** 3 half waves."""


def sine_positions(side: int, dim: int) -> Tensor:
    """Sines and cosines of rows, then of columns, with mean 0 over the grid: (s*s, D).

    Args:
        side: s.
        dim: D; of one that is no multiple of 4 the last waves are left out.

    Source: sines in two directions are those of MAE (He et al., CVPR 2022).
    Differs: waves are counted by the grid, so that a resampled one stretches them, and are small.
    """
    waves = math.ceil(dim / 4)  # F
    octaves = torch.linspace(0, OCTAVES, waves)
    angle = torch.arange(side)[:, None] * (torch.pi / side * 2**octaves)  # (s, F)
    axis = torch.cat([angle.sin(), angle.cos()], 1)  # (s, 2F)
    rows, columns = (a.expand(side, side, -1) for a in (axis[:, None], axis[None]))
    grid = torch.cat([rows, columns], 2).reshape(side * side, -1)[:, :dim]
    grid = grid - grid.mean(0)
    return grid * (SIZE / grid.square().mean().sqrt())
