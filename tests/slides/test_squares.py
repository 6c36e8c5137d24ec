"""Squares of slides, made small."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from hipt.slides import squares
from hipt.slides.slide import open_slide
from hipt.slides.squares import square
from tests.slidemaker import damage_tile, tissue_picture, write_slide


@pytest.mark.parametrize("read_px", [1024, 256])
@pytest.mark.parametrize("factors", [(1,), (1, 4)])
def test_a_square_is_the_area_mean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_px: int, factors: tuple[int, ...]
):
    picture = tissue_picture(1024, 768)
    monkeypatch.setattr(squares, "READ_PX", read_px)
    with open_slide(write_slide(tmp_path / "a.svs", picture, factors=factors)) as slide:
        small = square(slide, 256, 128, 512, 64)
    expected = cv2.resize(picture[128:640, 256:768], (64, 64), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - expected).mean() < 3


def test_a_damaged_part_stays_white(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(squares, "READ_PX", 256)
    path = write_slide(tmp_path / "a.svs", tissue_picture(1024, 768), factors=(1,))
    damage_tile(path, 1, 1)
    with open_slide(path) as slide:
        small = square(slide, 256, 256, 512, 64)
    assert (small[:32, :32] == 255).all()
    assert (small[:32, 32:] < 250).any()
