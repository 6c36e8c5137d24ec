"""Maps inside a region, against crops that are read and looked at one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openslide
import torch

from hipt.config.config import PatchEncoderConfig, RegionEncoderConfig
from hipt.embedding.weights_files import load_patch_encoder, load_region_encoder
from hipt.geometry.resolution import plan_read
from hipt.heatmaps.cells import RegionAt, cell_maps
from tests.slidemaker import tissue_picture, write_slide

SHAPE = {"depth": 2, "dim": 16, "heads": 2}
GRID, PX, CELLS = 3, 64, 4


def test_the_mean_over_true_shifts(tmp_path: Path):
    path = write_slide(tmp_path / "a.svs", tissue_picture(512, 512), factors=(1,))
    encoder = load_patch_encoder(PatchEncoderConfig.model_validate({"shape": SHAPE, "random": 1}))
    model = load_region_encoder(
        RegionEncoderConfig.model_validate({"shape": SHAPE, "random": 2}), 16
    )
    plan = plan_read(0.5, [1.0], 0.5, 0.1, PX)
    found = cell_maps(encoder, model, RegionAt("a", path, plan, GRID, 96, 64), 2, 1)

    side = GRID * CELLS
    total, count = np.zeros((3, side, side)), np.zeros((side, side))
    with openslide.OpenSlide(path) as slide, torch.no_grad():
        for shift in (0, PX // 2):
            patches, cells = torch.zeros(GRID, GRID, 16), np.zeros((side, side))
            for r, c in np.ndindex(GRID, GRID):
                place = (96 + shift + c * PX, 64 + shift + r * PX)
                crop = slide.read_region(place, 0, (PX, PX)).convert("RGB")
                x = torch.from_numpy(np.array(crop))[None]
                patches[r, c] = encoder(x)[0]
                seen = encoder.model.attention((x.movedim(-1, 1) / 255 - 0.5) / 0.5)[0].mean(0)
                box = np.s_[r * CELLS : (r + 1) * CELLS, c * CELLS : (c + 1) * CELLS]
                cells[box] = seen.reshape(CELLS, CELLS)
            grid = model.attention(patches.permute(2, 0, 1)[None])[0].mean(0)
            grid = np.kron(grid.reshape(GRID, GRID).numpy(), np.ones((CELLS, CELLS)))
            sums = cells.reshape(GRID, CELLS, GRID, CELLS).sum((1, 3))
            product = grid * cells / np.kron(sums, np.ones((CELLS, CELLS)))
            move = shift // 16
            for k, one in enumerate((cells, grid, product)):
                total[k, move:, move:] += one[: side - move, : side - move]
            count[move:, move:] += 1
    for got, expected in zip(found[1:], total / count, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-7)
    assert found.picture.shape == (GRID * PX, GRID * PX, 3)
    assert len(np.unique(count)) == 2
