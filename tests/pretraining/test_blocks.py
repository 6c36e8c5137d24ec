"""Slides that threads share, and blocks read from them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from hipt.errors import HiptError, SlideError
from hipt.geometry.resolution import plan_read
from hipt.pretraining import blocks as module
from hipt.pretraining.blocks import Block, OpenSlides
from hipt.pretraining.corpus import CorpusSlide
from hipt.pretraining.corpus_list import Member
from hipt.slides.slide import open_slide


class FakeSlide:
    """Says whether it was closed while somebody read from it."""

    alive = 0
    most = 0

    def __init__(self, path: Path) -> None:
        self.path, self.readers, self.closed = path, 0, False
        FakeSlide.alive += 1
        FakeSlide.most = max(FakeSlide.most, FakeSlide.alive)

    def close(self) -> None:
        assert not self.closed
        assert self.readers == 0
        self.closed = True
        FakeSlide.alive -= 1


@pytest.fixture
def fake():
    FakeSlide.alive = FakeSlide.most = 0


@pytest.mark.usefixtures("fake")
def test_no_slide_is_closed_while_somebody_reads():
    slides, lock = OpenSlides(2, FakeSlide), threading.Lock()

    def use(number: int) -> None:
        with slides.lent(Path(str(number % 7))) as slide:
            with lock:
                slide.readers += 1
            assert not slide.closed
            threading.Event().wait(0.0005)
            assert not slide.closed
            with lock:
                slide.readers -= 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, np.random.default_rng(0).integers(0, 100, 400).tolist()))
    assert FakeSlide.alive <= 2
    assert FakeSlide.most <= 2 + 4
    slides.close()
    assert FakeSlide.alive == 0


@pytest.mark.usefixtures("fake")
def test_the_slide_used_last_stays_open():
    slides = OpenSlides(2, FakeSlide)
    seen = []
    for name in ("a", "b", "a", "c", "a"):
        with slides.lent(Path(name)) as slide:
            seen.append(slide)
    assert seen[0] is seen[2] is seen[4]
    assert seen[1].closed


def test_a_slide_that_is_missing_can_be_opened_again(tmp_path: Path):
    slides = OpenSlides(2)
    for _ in range(3):
        with pytest.raises(SlideError, match="no such file"), slides.lent(tmp_path / "no.svs"):
            pass


@pytest.mark.parametrize("read_px", [2048, 128, 64])
@pytest.mark.parametrize("mask", [0xFFFF, 0x8001, 0x0001, 0x0440])
def test_the_patches_of_a_mask_are_read_in_order(tiny_slide, monkeypatch, read_px, mask):
    """The same, whether in one read, in four, or in sixteen."""
    monkeypatch.setattr(module, "_READ_PX", read_px)
    with open_slide(tiny_slide) as slide:
        plan = plan_read(0.5, slide.info.downsamples, 0.5, 0.1, 64)
        bits = [k for k in range(16) if mask >> k & 1]
        expected = [
            slide.read(0, 500 + k % 4 * 64, 300 + k // 4 * 64, 64, 64).tobytes() for k in bits
        ]
    corners, masks = np.array([[0, 0], [500, 300]]), np.array([1, mask], np.uint16)
    one = CorpusSlide(Member("s", "f", 1, 1), tiny_slide, plan, corners, masks)
    pixels = np.zeros((len(bits), 64, 64, 3), np.uint8)
    readable = np.ones(len(bits), bool)
    slides = OpenSlides(1)
    assert Block(one, 1, pixels, readable).read(slides) is None
    slides.close()
    assert [patch.tobytes() for patch in pixels] == expected
    assert readable.all()


def test_a_slide_that_raises_costs_its_patches_alone(tiny_slide: Path, monkeypatch):
    with open_slide(tiny_slide) as slide:
        plan = plan_read(0.5, slide.info.downsamples, 0.5, 0.1, 64)
    corners, masks = np.array([[0, 0]]), np.array([3], np.uint16)
    one = CorpusSlide(Member("s", "f", 1, 2), tiny_slide, plan, corners, masks)
    error: Exception = ZeroDivisionError("nobody foresaw this")

    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(module.Slide, "read", broken)
    readable, slides = np.ones(2, bool), OpenSlides(1)
    block = Block(one, 0, np.zeros((2, 64, 64, 3), np.uint8), readable)
    assert block.read(slides) == "ZeroDivisionError: nobody foresaw this"
    assert not readable.any()
    error = MemoryError("9 GiB")
    with pytest.raises(HiptError, match="this is the machine's trouble"):
        block.read(slides)
