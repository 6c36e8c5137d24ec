"""Open slides and their tiles: bounded, shared by readers, closed when nobody looks any more."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from hipt.view import slides as module
from hipt.view.answers import RefusedError
from hipt.view.slides import Slides
from tests.slidemaker import tissue_picture, write_slide
from tests.view.test_answers import picture


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("many")
    return [write_slide(folder / f"{i}.svs", tissue_picture(768, 512, seed=i)) for i in range(6)]


def row_of(path: Path) -> dict[str, str]:
    return {"slide_id": path.stem, "path": str(path)}


def held_open(folder: Path) -> set[str]:
    gc.collect()
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the folder's own
            found.add(link.readlink())
    return {path.name for path in found if path.parent == folder}


def test_memory_does_not_grow_with_slides_tiles_or_readers(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "OPEN_SLIDES", 2)
    monkeypatch.setattr(module, "TILES_BYTES", 60_000)
    slides = Slides()
    first = {path: slides.tile(row_of(path), 10, 1, 1) for path in paths}
    assert len(set(first.values())) == len(paths)

    def look(turn: int) -> bool:
        path = paths[turn % len(paths)]
        slides.tile(row_of(path), 10, turn % 3, turn % 2)
        slides.crop(row_of(path), (turn % 50, 0), 100, 64)
        return slides.tile(row_of(path), 10, 1, 1) == first[path]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(look, range(120)))
    assert slides._tiles.size <= 60_000
    assert slides._open.size <= 2
    # OpenSlide opens a TIFF for each read, and keeps some handles of what is open
    assert len(held_open(paths[0].parent)) <= 2


def test_a_crop_is_the_square(paths: list[Path]):
    slides = Slides()
    for corner, side, px in [((0.0, 0.0), 512, 64), ((100.5, 60.0), 33, 99), ((-30, -30), 60, 20)]:
        crop = picture(slides.crop(row_of(paths[0]), corner, side, px))
        assert crop.shape == (px, px, 3)
    whole = picture(slides.overview(row_of(paths[0]), 384))
    assert whole.shape == (256, 384, 3)
    small = picture(slides.crop(row_of(paths[0]), (0, 0), 512, 256))
    assert np.abs(small.astype(int) - whole[:, :256]).mean() < 3


@pytest.mark.parametrize(
    ("corner", "side"),
    [((768, 0), 10), ((-11, 0), 10), ((0, 512), 10), ((0, 0), 769), ((0, 0), 0.5)],
)
def test_squares_outside_are_refused(paths: list[Path], corner: tuple[float, float], side: float):
    with pytest.raises(RefusedError, match="lies outside of the slide of 768 x 512 px"):
        Slides().crop(row_of(paths[0]), corner, side, 32)
