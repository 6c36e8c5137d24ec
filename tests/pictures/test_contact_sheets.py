"""Contact sheets: every picture is there, whole and undistorted, with its caption."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hipt.pictures.collage import FRAME_PX
from hipt.pictures.contact_sheets import SheetRow, contact_sheet
from hipt.pictures.drawing import shrunk
from hipt.pictures.lettering import LEAST_PX, text_line
from tests.pictures.test_heat import noise, place_of
from tests.pictures.test_lettering import HOSTILE

ID = "TCGA-A2-A0CM-01Z-00-DX1.AC4901DE-4B6D-4185-BB9F-156033839828"


def row(heading: str, *shapes: tuple[int, int], first: int = 0) -> SheetRow:
    pictures = [noise(*shape, seed) for seed, shape in enumerate(shapes, start=first)]
    return SheetRow(heading, pictures, [f"slide {i}\n0.{i}" for i in range(len(shapes))])


shapes = st.lists(st.tuples(*(st.integers(6, 90),) * 2), max_size=4)


@settings(max_examples=25)
@given(st.lists(shapes, min_size=1, max_size=4), st.integers(16, 80))
def test_every_picture_is_whole_undistorted_and_in_its_row(sizes, tile_px):
    rows = [row(f"class {i}", *some, first=10 * i) for i, some in enumerate(sizes)]
    out = contact_sheet(rows, tile_px)
    bottom = 0
    for one in rows:
        right, lowest = 0, bottom
        for picture in one.pictures:
            small = shrunk(picture, tile_px)
            if max(picture.shape[:2]) <= tile_px:
                assert small is picture
            if min(small.shape[:2]) < 4:
                continue  # may be found anywhere
            y, x = place_of(small, out)
            assert y > bottom
            assert x > right
            right, lowest = x + small.shape[1], max(lowest, y + small.shape[0])
            edge = out[y - FRAME_PX : y + small.shape[0] + FRAME_PX, x - FRAME_PX]
            assert (edge == edge[0]).all()
            assert (edge < 255).all()
        bottom = lowest
    for side in (out[0], out[-1], out[:, 0], out[:, -1]):
        assert (side == 255).all()


def test_a_row_without_pictures_says_none():
    out = contact_sheet([row("high risk", (60, 60)), row("low risk")], 60)
    place_of(trimmed(text_line("none", 60, LEAST_PX)), out)


def trimmed(strip: np.ndarray) -> np.ndarray:
    """A line without its white margins."""
    y, x = np.nonzero((strip < 255).any(2))
    return strip[y.min() : y.max() + 1, x.min() : x.max() + 1]


def test_a_caption_stands_below_its_picture_with_both_ends_of_the_id_and_the_value():
    rows = [SheetRow("a", [noise(100, 100, 1), noise(100, 100, 2)], [f"{ID}\n0.93", f"{ID} 0.17"])]
    out = contact_sheet(rows, 100)
    for number, value in ((1, "0.93"), (2, "0.17")):
        y, x = place_of(noise(100, 100, number), out)
        beneath = out[y + 100 + FRAME_PX :, x - 30 : x + 130]
        for text in ("TCGA", value):
            place_of(trimmed(text_line(text, 90, LEAST_PX)), beneath)


@pytest.mark.parametrize("tile_px", [48, 96, 128, 256, 512])
def test_a_slide_id_of_tcga_is_whole(tile_px: int):
    picture, short = noise(40, 40), ID.split(".")[0].replace("1", "0")  # as wide as they come
    out = contact_sheet([SheetRow("a", [picture], [short])], tile_px)
    size = max(LEAST_PX, tile_px // 14)
    place_of(trimmed(text_line(short, 40 * size, size)), out)


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_makes_a_sheet_and_leaves_the_pictures_alone(text: str):
    picture = noise(50, 50)
    place_of(picture, contact_sheet([SheetRow(text, [picture], [text])], 50))


def test_a_sheet_that_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="no rows"):
        contact_sheet([], 50)
    with pytest.raises(ValueError, match="longer"):
        contact_sheet([SheetRow("a", [noise(9, 9)], ["b", "c"])], 50)
