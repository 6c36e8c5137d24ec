"""The stream of regions: right pixels, bounded, indifferent to threads, honest about damage."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from skimage.transform import resize_local_mean

from hipt.errors import SlideError
from hipt.geometry.resolution import plan_read
from hipt.pictures.drawing import reduced
from hipt.slides import region_reader as module
from hipt.slides.direct import Opener
from hipt.slides.region_reader import FIRST, RegionReader, SlideJob
from hipt.slides.slide import Slide, open_slide
from tests.slidemaker import damage_tile, tissue_picture, write_slide

CORNERS = np.array([[0, 0], [700, 300], [1500, 1100]])


def job(path: Path, mpp: float = 0.5, corners: np.ndarray = CORNERS, name: str = "s") -> SlideJob:
    with open_slide(path) as slide:
        plan = plan_read(mpp, slide.info.downsamples, 0.5, 0.1, 64)
    return SlideJob(name, path, plan, 4, corners)


def read_all(*jobs: SlideJob, threads: int = 2) -> list[list[module.RegionPixels]]:
    with RegionReader(threads) as reader:
        return [list(regions) for _, regions in reader.stream(jobs)]


@pytest.mark.parametrize("mpp", [0.5, 0.25, 0.125, 0.36, 0.19])
def test_patches_are_plain_reads_of_their_place(tiny_slide: Path, mpp: float):
    """The second opinion: each patch on its own through OpenSlide, reduced by scikit-image."""
    one = job(tiny_slide, mpp)
    plan = one.plan
    for region in read_all(one)[0]:
        for p in (0, 5, 10, 15):
            x, y = one.corners[region.region] + np.array([p % 4, p // 4]) * plan.patch_read_px
            with open_slide(tiny_slide) as slide:
                patch = slide.read(plan.level, int(x), int(y), *(plan.patch_level_px,) * 2)
            expected = resize_local_mean(patch, (64, 64), preserve_range=True)
            assert np.abs(region.pixels[p] - expected).max() <= 1.01
        assert region.readable.all()


@pytest.mark.parametrize("mpp", [0.25, 0.125, 0.36, 0.19])
@pytest.mark.parametrize("opener", [open_slide, Opener("auto")], ids=["openslide", "direct"])
def test_a_patch_is_a_read_of_its_place_made_smaller(tiny_slide: Path, mpp: float, opener):
    """Bit for bit, whatever the factor, whoever reads, and whatever was read beside it."""
    one = job(tiny_slide, mpp, CORNERS[:2])
    plan = one.plan
    with RegionReader(2, opener=opener) as reader, open_slide(tiny_slide) as slide:
        for region in next(reader.stream([one]))[1]:
            for p in range(16):
                x, y = one.corners[region.region] + np.array([p % 4, p // 4]) * plan.patch_read_px
                patch = slide.read(plan.level, int(x), int(y), *(plan.patch_level_px,) * 2)
                np.testing.assert_array_equal(region.pixels[p], reduced(patch, 64, 64))


class Counting(Slide):
    """A slide that says which rectangles of which size were read."""

    asked: ClassVar[list[tuple[int, int, int, int]]] = []

    def read(self, level: int, x: int, y: int, width_px: int, height_px: int):
        self.asked.append((x, y, width_px, height_px))
        return super().read(level, x, y, width_px, height_px)


@pytest.mark.parametrize("mpp", [0.5, 0.36])
def test_only_wanted_patches_are_read(tiny_slide: Path, monkeypatch, mpp: float):
    """Their pixels are those of a whole read; blocks without any are not read at all."""
    monkeypatch.setattr(module, "_BLOCK_PX", 128)  # two patches along a block
    monkeypatch.setattr(module, "_REDUCED_BLOCK_PX", 256)
    monkeypatch.setattr(Counting, "asked", [])
    wanted = np.zeros((3, 16), bool)
    wanted[0, [0, 7, 15]] = wanted[1, 2] = True
    whole = read_all(job(tiny_slide, mpp))[0]
    some = replace(job(tiny_slide, mpp), wanted=wanted)
    with RegionReader(2, opener=partial(open_slide, kind=Counting)) as reader:
        regions = list(next(reader.stream([some]))[1])
    assert [len(region.pixels) for region in regions] == [3, 1, 0]
    for region, all_of_it in zip(regions, whole, strict=True):
        here = wanted[region.region]
        np.testing.assert_array_equal(region.pixels, all_of_it.pixels[here])
        np.testing.assert_array_equal(region.wanted, here)
    side = some.plan.patch_level_px
    step = some.plan.patch_read_px
    corners = [some.corners[0] + (0, 0), some.corners[0] + (3 * step, step)]
    corners += [some.corners[0] + (3 * step, 3 * step), some.corners[1] + (2 * step, 0)]
    expected = {(int(x), int(y), side, side) for x, y in corners}
    assert set(Counting.asked) == expected
    assert len(Counting.asked) == 4


def test_single_patches_come_before_the_regions(tiny_slide: Path):
    places = np.array([[0, 0], [640, 128], [99999, 0]])
    first, *regions = read_all(replace(job(tiny_slide), first=places))[0]
    assert first.region == FIRST
    assert [region.region for region in regions] == [0, 1, 2]
    with open_slide(tiny_slide) as slide:
        for pixels, (x, y) in zip(first.pixels[:2], places, strict=False):
            np.testing.assert_array_equal(pixels, slide.read(0, int(x), int(y), 64, 64))
    assert (first.pixels[2] == 255).all()
    assert first.readable.tolist() == [True] * 3


def test_damage_that_no_wanted_patch_lies_on_is_no_damage(tiny_slide: Path, tmp_path: Path):
    path = Path(shutil.copy2(tiny_slide, tmp_path))
    damage_tile(path, column=3, row=1)  # x 768..1023, y 256..511
    corners, wanted = np.array([[640, 128]]), np.zeros((1, 16), bool)
    wanted[0, [0, 1, 4, 5, 10]] = True  # of which the last lies on the tile
    ((region,),) = read_all(replace(job(path, corners=corners), wanted=wanted))
    assert np.flatnonzero(~region.readable).tolist() == [10]
    ((sound,),) = read_all(job(tiny_slide, corners=corners))
    np.testing.assert_array_equal(region.pixels[:4], sound.pixels[[0, 1, 4, 5]])
    assert (region.pixels[4] == 255).all()


def test_the_number_of_threads_changes_nothing(tiny_slide: Path):
    one = job(tiny_slide, 0.36)
    for a, b in zip(read_all(one, threads=1)[0], read_all(one, threads=5)[0], strict=True):
        np.testing.assert_array_equal(a.pixels, b.pixels)


def test_outside_the_slide_is_white(tiny_slide: Path):
    far = job(tiny_slide, corners=np.array([[1920, 1408], [9999, 9999]]))
    first, second = read_all(far)[0]
    assert (first.pixels[15] == 255).all()
    assert (second.pixels == 255).all()
    assert second.readable.all()


def test_only_the_patches_on_a_damaged_tile_are_unreadable(tiny_slide: Path, tmp_path: Path):
    path = Path(shutil.copy2(tiny_slide, tmp_path))
    damage_tile(path, column=3, row=1)  # x 768..1023, y 256..511
    corners = np.array([[640, 128]])
    region, whole = read_all(job(path, corners=corners), job(tiny_slide, corners=corners, name="w"))
    (damaged,), (sound,) = region, whole
    row, column = np.divmod(np.arange(16), 4)
    hit = (640 + (column + 1) * 64 > 768) & (128 + (row + 1) * 64 > 256)
    np.testing.assert_array_equal(damaged.readable, ~hit)
    assert (damaged.pixels[hit] == 255).all()
    np.testing.assert_array_equal(damaged.pixels[~hit], sound.pixels[~hit])


def test_a_slide_that_cannot_be_opened_does_not_stop_the_others(tiny_slide: Path, tmp_path: Path):
    sound = job(tiny_slide)
    gone = SlideJob("gone", tmp_path / "gone.svs", sound.plan, 4, CORNERS)
    ends = []
    with RegionReader(2) as reader:
        for one, regions in reader.stream([sound, gone, job(tiny_slide, name="t")]):
            try:
                ends.append((one.slide_id, len(list(regions))))
            except SlideError as error:
                ends.append((one.slide_id, error.status))
    assert ends == [("s", 3), ("gone", "missing"), ("t", 3)]


def test_a_slide_may_be_left_before_its_end(tiny_slide: Path):
    with RegionReader(2) as reader:
        seen = [
            (one.slide_id, next(regions).region)
            for one, regions in reader.stream([job(tiny_slide), job(tiny_slide, name="t")])
        ]
    assert seen == [("s", 0), ("t", 0)]


def test_of_a_slide_that_is_left_nothing_more_is_begun(tiny_slide: Path, monkeypatch):
    begun: list[str] = []
    submit = RegionReader._submit

    def watched(self, slide, one, region):
        begun.append(one.slide_id)
        return submit(self, slide, one, region)

    monkeypatch.setattr(RegionReader, "_submit", watched)
    long = job(tiny_slide, corners=np.repeat(CORNERS, 30, 0), name="long")
    with RegionReader(2, depth=2) as reader:
        ends = []
        for one, regions in reader.stream([long, job(tiny_slide, name="t")]):
            ends.append(one.slide_id)
            if one.slide_id == "long":
                next(regions)
            else:
                assert len(list(regions)) == 3
    assert ends == ["long", "t"]
    assert begun == ["long"] * 3 + ["t"] * 3


def test_reading_runs_ahead_over_slides_but_not_far(tiny_slide: Path, monkeypatch):
    begun: list[str] = []
    submit = RegionReader._submit

    def watched(self, slide, one, region):
        begun.append(f"{one.slide_id}{region}")
        return submit(self, slide, one, region)

    monkeypatch.setattr(RegionReader, "_submit", watched)
    with RegionReader(2, depth=2) as reader:
        stream = reader.stream([job(tiny_slide), job(tiny_slide, name="t")])
        _, regions = next(stream)
        next(regions)
        assert begun == ["s0", "s1", "s2"]
        next(regions)
        next(regions)
        assert begun == ["s0", "s1", "s2", "t0", "t1"]


def test_no_thread_stays_behind(tiny_slide: Path):
    before = threading.active_count()

    def consume() -> None:
        with RegionReader(3) as reader:
            for _, regions in reader.stream([job(tiny_slide)]):
                raise KeyError(next(regions).region)

    with pytest.raises(KeyError):
        consume()
    assert threading.active_count() == before


def test_levels_below_the_first_are_read_where_they_fit(tmp_path: Path):
    path = write_slide(tmp_path / "40x.svs", tissue_picture(2048, 1536), 0.25, (1, 2, 8))
    one = job(path, 0.25)
    assert one.plan.level == 1
    with open_slide(path) as slide:
        expected = slide.read(1, 700, 300, 64, 64)
    np.testing.assert_array_equal(read_all(one)[0][1].pixels[0], expected)
