"""Tiles decoded directly: OpenSlide's pixels to the last bit, or OpenSlide itself."""

from __future__ import annotations

import gc
import logging
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from hipt.demo.tiff import write_slide as write_demo_slide
from hipt.errors import SlideError
from hipt.geometry.resolution import plan_read
from hipt.pretraining.blocks import OpenSlides
from hipt.slides.direct import DirectSlide, Opener
from hipt.slides.region_reader import RegionReader, SlideJob
from hipt.slides.slide import Slide, UnreadableTileError, open_slide
from hipt.slides.tile_cache import TileCache
from tests.tilemaker import Coding, replace_tile, speckled, tile_bytes, write_tiles

SIZE = 1100, 900
"""No whole number of tiles, and a whole number of pixels on both levels."""

CODINGS = {
    "YCbCr 4:2:0": (Coding(), 2),
    "YCbCr 4:2:2, tiles of 240": (Coding(subsampling="422", tile=(240, 240)), 2),
    "YCbCr 4:4:4": (Coding(subsampling="444"), 2),
    "RGB": (Coding(rgb=True), 2),
    "shared tables": (Coding(shared_tables=True), 2),
    "RGB, shared tables": (Coding(rgb=True, shared_tables=True, tile=(240, 240)), 2),
    "BigTIFF, generic, oblong tiles": (Coding(bigtiff=True, kind="generic", tile=(512, 128)), 2),
    "JPEG 2000": (Coding(jpeg_2000=True), 2),
    "tiles are missing": (Coding(missing=((0, 7), ())), 1),
    "tiles are missing on a coarse level": (Coding(missing=((), (1,))), 1),
    "tiles are missing, generic": (Coding(missing=((0, 7), (1,)), kind="generic"), 2),
    "a factor that is not whole": (Coding(factors=(1, 3, 4)), 2),
}
"""And how many levels are read directly."""


def direct(path: Path, cache_bytes: int = 1 << 21) -> Slide:
    return Opener("auto", TileCache(cache_bytes))(path)


def rectangles(slide: Slide, level: int, count: int) -> Iterator[tuple[int, int, int, int]]:
    """Corners and sides: inside, over edges, beyond them, before the slide."""
    rng = np.random.default_rng(level)
    factor, (width, height) = slide.info.downsamples[level], slide.level_px(level)
    yield 0, 0, min(width, 1200), min(height, 1000)
    left, top = max(0, width - 700), max(0, height - 600)
    yield round(left * factor), round(top * factor), 800, 650
    for step in (round(factor), 1) * (count // 2):
        x, y = rng.integers(-80, width + 40), rng.integers(-80, height + 40)
        sides = rng.integers(1, 400, 2)
        yield int(x) * step, int(y) * step, int(sides[0]), int(sides[1])


def same_everywhere(path: Path, count: int = 30) -> list[str]:
    """Compares rectangles on all levels; who reads each level from its corner."""
    with direct(path) as one, open_slide(path) as other:
        for level in range(len(other.info.downsamples)):
            for box in rectangles(other, level, count):
                try:
                    expected = other.read(level, *box)
                except UnreadableTileError:
                    with pytest.raises(UnreadableTileError):
                        one.read(level, *box)
                else:
                    np.testing.assert_array_equal(one.read(level, *box), expected, str(box))
        return [one.reader_of(level, 0, 0) for level in range(len(other.info.downsamples))]


@pytest.mark.parametrize("name", CODINGS)
def test_pixels_are_those_of_openslide(tmp_path: Path, name: str):
    coding, levels = CODINGS[name]
    readers = same_everywhere(write_tiles(tmp_path / "a.svs", speckled(*SIZE), coding))
    assert readers.count("direct") == levels
    assert readers[0] == "direct"


def test_pixels_of_the_demo_are_those_of_openslide(tmp_path: Path):
    write_demo_slide(tmp_path / "a.svs", speckled(1500, 1000), 0.25, 40, (4,))
    assert same_everywhere(tmp_path / "a.svs") == ["direct", "direct"]


def test_pixels_of_tifffiles_slides_are_those_of_openslide(tiny_slide: Path):
    assert same_everywhere(tiny_slide) == ["direct", "direct"]


@pytest.mark.real
def test_pixels_of_real_slides_are_those_of_openslide(shared_dir: Path):
    found = [p for p in sorted((shared_dir / "slides").iterdir()) if p.suffix in (".tif", ".svs")]
    assert len(found) >= 10
    for path in found:
        assert same_everywhere(path, 12)[0] == "direct", path.name


def test_patches_side_by_side_are_those_of_openslide(tmp_path: Path):
    path = write_tiles(tmp_path / "a.svs", speckled(*SIZE), Coding(tile=(240, 240)))
    found, expected = (np.zeros((3, 3, 100, 100, 3), np.uint8) for _ in range(2))
    with direct(path) as one, open_slide(path) as other:
        for corner in ((0, 0), (333, 517), (900, 700), (-40, -60), (2000, 0)):
            one.read_patches(0, *corner, found)
            other.read_patches(0, *corner, expected)
            np.testing.assert_array_equal(found, expected)


def test_where_a_patch_begins_between_pixels_openslide_reads(tmp_path: Path):
    path = write_tiles(tmp_path / "a.svs", speckled(*SIZE), Coding())
    with direct(path) as one, open_slide(path) as other:
        assert one.reader_of(1, 400, 200) == "direct"
        assert one.reader_of(1, 401, 200) == "openslide"
        expected = other.read(1, 401, 200, 64, 64)
        np.testing.assert_array_equal(one.read(1, 401, 200, 64, 64), expected)


@pytest.mark.parametrize("cache_bytes", [0, 1 << 18, 1 << 22])
def test_many_threads_read_the_same_slide(tmp_path: Path, cache_bytes: int):
    path = write_tiles(tmp_path / "a.svs", speckled(*SIZE), Coding(tile=(128, 128)))
    with open_slide(path) as other:
        boxes = list(rectangles(other, 0, 80))
        expected = [other.read(0, *box) for box in boxes]
    with direct(path, cache_bytes) as one, ThreadPoolExecutor(8) as pool:
        for found, known in zip(pool.map(lambda b: one.read(0, *b), boxes), expected, strict=True):
            np.testing.assert_array_equal(found, known)


def damages(sound: bytes, coding: Coding) -> dict[str, bytes]:
    """What may have become of a tile's bytes."""
    rng, size = np.random.default_rng(0), len(sound)
    found = {f"cut at {share}": sound[: int(size * share)] for share in (0.02, 0.3, 0.99)}
    found |= {"zeros": b"", "without its end": sound[:-2], "no head": sound[30:]}
    for k in range(4 if coding.jpeg_2000 else 12):
        other = bytearray(sound)
        for place in rng.integers(0, size, 1 + k % 3):
            other[place] = rng.integers(256)
        found[f"flipped {k}"] = bytes(other)
    for k in range(2 if coding.jpeg_2000 else 6):
        start = int(rng.integers(20, size - 80))
        found[f"garbled {k}"] = sound[:start] + rng.bytes(60) + sound[start + 60 :]
    if not coding.jpeg_2000:
        small = np.full((64, 64, 3), 200, np.uint8)
        found["smaller"] = bytes(imagecodecs.jpeg8_encode(small, 50))
        frame = sound.index(b"\xff\xc0")
        found["of giant size"] = sound[: frame + 5] + b"\xff\xdc\xff\xdc" + sound[frame + 9 :]
    return found


@pytest.mark.parametrize("name", ["YCbCr 4:2:0", "RGB", "JPEG 2000"])
def test_the_same_patches_are_unreadable(tmp_path: Path, name: str):
    """Whatever has become of a tile's bytes, and wherever the tile lies."""
    coding = CODINGS[name][0]
    path = write_tiles(tmp_path / "a.svs", speckled(*SIZE), coding)
    plan = plan_read(0.5, (1.0, 4.0), 0.5, 0.1, 64)
    job = SlideJob("a", path, plan, 8, np.array([[150, 90], [590, 400]]))
    lost = 0
    for index in (0, 6):  # one that is compared beforehand, and one that is not
        sound = tile_bytes(path, index)
        for damage, data in damages(sound, coding).items():
            replace_tile(path, index, data)
            regions = []
            for opener in (open_slide, Opener("auto", TileCache(1 << 22))):
                with RegionReader(2, opener=opener) as reader:
                    regions.append(list(next(reader.stream([job]))[1]))
            for one, other in zip(*regions, strict=True):
                np.testing.assert_array_equal(one.readable, other.readable, damage)
                np.testing.assert_array_equal(one.pixels, other.pixels, damage)
                lost += int((~one.readable).sum())
        replace_tile(path, index, sound)
    assert lost > (0 if coding.jpeg_2000 else 200)


def contradict(path: Path) -> None:
    """Tiles that call themselves RGB, in a file that calls them YCbCr, whom OpenSlide trusts."""
    with tifffile.TiffFile(path) as tif:
        count = len(tif.pages[0].databytecounts)
    for index in range(count):
        jpeg = tile_bytes(path, index)
        marker = b"\xff\xee\x00\x0eAdobe\x00\x64" + bytes(5)
        replace_tile(path, index, jpeg[:2] + marker + jpeg[20:])  # 18 bytes of JFIF


def test_a_slide_whose_tiles_differ_is_openslides(tmp_path: Path, caplog):
    path = write_tiles(tmp_path / "a.svs", speckled(*SIZE), Coding())
    contradict(path)
    with caplog.at_level(logging.INFO):
        assert same_everywhere(path) == ["openslide", "direct"]
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert "level 0: decoded tiles differ from OpenSlide's at x 0, y 0" in caplog.text


def test_a_slide_whose_tiles_differ_can_be_refused(tmp_path: Path):
    path = write_tiles(tmp_path / "a.svs", speckled(*SIZE), Coding())
    contradict(path)
    plan = plan_read(0.5, (1.0,), 0.5, 0.1, 64)
    job = SlideJob("a", path, plan, 2, np.array([[0, 0], [128, 0]]))
    with RegionReader(2, opener=Opener("direct")) as reader:
        _, regions = next(reader.stream([job]))
        with pytest.raises(SlideError, match=r"differ.*set it to auto") as caught:
            next(regions)
    assert caught.value.status == "unreadable"


def test_what_cannot_be_decoded_here_is_openslides(tmp_path: Path, caplog):
    path = tmp_path / "lzw.tif"
    options = {"tile": (256, 256), "photometric": "rgb", "metadata": None}
    tifffile.imwrite(path, speckled(*SIZE), compression="deflate", **options)
    with caplog.at_level(logging.INFO):
        assert same_everywhere(path) == ["openslide"]
    assert "level 0 is read through OpenSlide: its tiles are" in caplog.text
    assert "DEFLATE" in caplog.text


def test_a_tile_that_openslide_alone_can_decode(tmp_path: Path, caplog):
    """Bytes after the picture's end: a strict decoder objects, OpenSlide does not see them."""
    path = write_tiles(tmp_path / "a.svs", speckled(*SIZE), Coding())
    jpeg = tile_bytes(path, 6)
    at = jpeg.index(b"\xff\xe0")
    shorter = jpeg[:at] + jpeg[at + 18 :]
    replace_tile(path, 6, shorter[:-2] + bytes(9) + shorter[-2:])
    with open_slide(path) as other:
        other.read(0, 256, 256, 256, 256)
    with caplog.at_level(logging.INFO):
        same_everywhere(path)
    assert "differ" not in caplog.text


def test_the_reader_of_a_region_is_said(tmp_path: Path):
    path = write_tiles(tmp_path / "a.svs", speckled(*SIZE), Coding())
    plan = plan_read(0.5, (1.0,), 0.5, 0.1, 64)
    job = SlideJob("a", path, plan, 2, np.array([[10, 20], [300, 300]]))
    for opener, reader in ((open_slide, "openslide"), (Opener("auto"), "direct")):
        with RegionReader(1, opener=opener) as regions:
            assert [one.reader for one in next(regions.stream([job]))[1]] == [reader] * 2


def open_files(folder: Path) -> int:
    """How many files of a folder this process has open."""
    links = (link for link in Path("/proc/self/fd").iterdir() if link.is_symlink())
    return sum(str(link.readlink()).startswith(str(folder)) for link in links)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted on Linux")
def test_few_files_stay_open(tmp_path: Path):
    first = write_tiles(tmp_path / "0.svs", speckled(300, 300), Coding(factors=(1,)))
    paths = [first, *(Path(shutil.copy2(first, tmp_path / f"{k}.svs")) for k in range(1, 12))]
    slides, most = OpenSlides(2, Opener("auto")), 0
    for path in paths * 2:
        with slides.lent(path) as slide:
            slide.read(0, 0, 0, 100, 100)
        most = max(most, open_files(tmp_path))
    assert most <= 2 * 3  # one of ours, and what OpenSlide keeps for one thread
    slides.close()
    assert open_files(tmp_path) == 0


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted on Linux")
@pytest.mark.parametrize("regions", [0, 1, 3, 5, 6])
def test_no_file_stays_open_when_regions_are_left(tmp_path: Path, regions: int):
    """Wherever the consumer stops: within a slide, at its end, before it."""
    path = write_tiles(tmp_path / "a.svs", speckled(300, 300), Coding(factors=(1,)))
    plan = plan_read(0.5, (1.0,), 0.5, 0.1, 64)
    jobs = [SlideJob(name, path, plan, 1, np.full((3, 2), 50)) for name in "abc"]

    def consume(reader: RegionReader) -> None:
        stream = (one for _, some in reader.stream(jobs) for one in some)
        for _ in range(regions):
            next(stream)
        raise KeyError

    with pytest.raises(KeyError), RegionReader(2, opener=Opener("auto")) as reader:
        consume(reader)
    gc.collect()
    assert open_files(tmp_path) == 0


def test_what_is_no_slide_says_so_by_either_reader(tmp_path: Path):
    (tmp_path / "a.svs").write_text("hello")
    for name in ("a.svs", "gone.svs"):
        said = []
        for opener in (Opener("openslide"), Opener("auto"), Opener("direct")):
            with pytest.raises(SlideError) as caught:
                opener(tmp_path / name)
            said.append((caught.value.status, caught.value.reason))
        assert len(set(said)) == 1


def test_raw_tiles_are_those_that_squares_touch_each_once(tmp_path: Path):
    path = write_tiles(tmp_path / "a.svs", speckled(*SIZE), Coding())
    with Opener("auto", TileCache(0))(path) as slide:
        assert isinstance(slide, DirectSlide)
        raw = slide.raw(0, [(0, 0), (100, 100), (700, 500), (5000, 5000)], 300)
        assert raw is not None
        across, side = raw.level.across, raw.level.tile_width_px
        touched = {0, 1, across, across + 1} | {
            r * across + c
            for r in range(500 // side, -(-800 // side))
            for c in range(700 // side, -(-1000 // side))
        }
        with tifffile.TiffFile(path) as tif:
            page = tif.pages[0]
            assert len(raw.data) == len(touched)
            for data, index in zip(raw.data, sorted(touched), strict=True):
                tif.filehandle.seek(page.dataoffsets[index])
                assert data == tif.filehandle.read(page.databytecounts[index])


def test_slides_of_openslide_have_no_raw_tiles(tmp_path: Path):
    path = write_tiles(tmp_path / "a.svs", speckled(*SIZE), Coding(factors=(1, 3, 4)))
    with Opener("auto", TileCache(0))(path) as slide:
        assert isinstance(slide, DirectSlide)
        assert slide.raw(0, [(0, 0)], 300) is not None
        uneven = [i for i, d in enumerate(slide.info.downsamples) if not d.is_integer()]
        assert uneven
        assert slide.raw(uneven[0], [(0, 0)], 300) is None
