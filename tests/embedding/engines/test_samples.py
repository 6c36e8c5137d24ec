"""What engines are tried on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from hipt.embedding.engines.samples import SAMPLED, grid_samples, most_shown, patch_samples
from hipt.geometry.resolution import ReadPlan
from hipt.slides.region_reader import FailedJob, RegionReader, SlideJob
from tests.slidemaker import tissue_picture, write_slide


def job(path: Path, regions: int) -> SlideJob:
    """Regions of 4 x 4 patches of 32 px, row by row."""
    corners = np.array([(128 * (k % 8), 128 * (k // 8)) for k in range(regions)])
    plan = ReadPlan(0, 1, patch_px=32, patch_level_px=32, patch_read_px=32, read_mpp=0.5)
    return SlideJob(path.stem, path, plan, 4, corners)


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    path = tmp_path / "a.svs"
    write_slide(path, tissue_picture(1024, 768))
    return path


def test_patches_that_show_the_most(slide: Path):
    with RegionReader(2) as reader:
        patches = patch_samples([job(slide, 48)], reader)
    assert patches.shape == (SAMPLED, 32, 32, 3)
    assert patches.dtype == torch.uint8
    shown = patches.float().std((1, 2, 3))
    assert float(shown.min()) > 2, "glass is all of one colour"


def test_slides_that_cannot_be_read_are_left_out(slide: Path, tmp_path: Path):
    (tmp_path / "broken.svs").write_bytes(b"no slide")
    jobs = [FailedJob("x", ValueError("x")), job(tmp_path / "broken.svs", 2), job(slide, 2)]
    with RegionReader(1) as reader:
        assert patch_samples(jobs, reader).shape == (32, 32, 32, 3)
        assert len(patch_samples(jobs[:2], reader)) == 0


def test_no_more_slides_are_opened_than_needed(slide: Path):
    def jobs() -> Iterator[SlideJob]:
        yield job(slide, 48)
        pytest.fail("enough patches were there")

    with RegionReader(1) as reader:
        assert len(patch_samples(jobs(), reader)) == SAMPLED


def test_few_are_all_taken():
    parts = [np.full((n, 8, 8, 3), n, np.uint8) for n in (2, 3)]
    assert len(most_shown(parts)) == 5
    assert len(most_shown([])) == 0


def test_grids():
    grids = (torch.full((4, 2, 2), float(k), dtype=torch.float16) for k in range(200))
    made = grid_samples(grids)
    assert made.shape == (SAMPLED, 4, 2, 2)
    assert made.dtype == torch.float32
    assert len(grid_samples(iter([]))) == 0
