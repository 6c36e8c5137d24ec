"""Contact sheets: every picture is there, whole and undistorted, with its caption."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hipt.pictures.canvas import FRAME_PX
from hipt.pictures.contact_sheets import SheetRow, contact_sheet
from hipt.pictures.drawing import shrunk
from hipt.pictures.figure import rgb_of
from tests.pictures.test_canvas import HOSTILE
from tests.pictures.test_heat import noise, place_of

ID = "TCGA-A2-A0CM-01Z-00-DX1.AC4901DE-4B6D-4185-BB9F-156033839828"


def drawn(rows: list[SheetRow], tile_px: int) -> np.ndarray:
    return rgb_of(contact_sheet(rows, tile_px))


def texts(rows: list[SheetRow], tile_px: int) -> list[str]:
    """What is written on a sheet."""
    return [item.get_text() for item in contact_sheet(rows, tile_px).texts]


def row(heading: str, *shapes: tuple[int, int], first: int = 0) -> SheetRow:
    pictures = [noise(*shape, seed) for seed, shape in enumerate(shapes, start=first)]
    return SheetRow(heading, pictures, [f"slide {i}\n0.{i}" for i in range(len(shapes))])


shapes = st.lists(st.tuples(*(st.integers(6, 90),) * 2), max_size=4)


@settings(max_examples=25)
@given(st.lists(shapes, min_size=1, max_size=4), st.integers(16, 80))
def test_every_picture_is_whole_undistorted_and_in_its_row(sizes, tile_px):
    rows = [row(f"class {i}", *some, first=10 * i) for i, some in enumerate(sizes)]
    out = drawn(rows, tile_px)
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
    rows = [row("high risk", (60, 60)), row("low risk")]
    assert texts(rows, 60) == ["high risk", "slide 0", "0.0", "low risk", "none"]


def test_a_caption_stands_below_its_picture_with_both_ends_of_the_id_and_the_value():
    pictures = [noise(100, 100, 1), noise(100, 100, 2)]
    rows = [SheetRow("a", pictures, [f"{ID}\n0.93", f"{ID} 0.17"])]
    sheet = contact_sheet(rows, 100)
    _, long, value, both = sheet.texts
    assert long.get_text().startswith("TCGA-A2")
    assert long.get_text().endswith(ID[-5:])
    assert value.get_text() == "0.93"
    assert both.get_text().endswith(" 0.17")
    for picture, lines in zip(pictures, [(long, value), (both,)], strict=True):
        y, x = place_of(picture, rgb_of(sheet))
        at = [line.get_position() for line in lines]
        assert [middle for middle, _ in at] == pytest.approx([x + 50] * len(at), abs=1)
        falling = [y + 100, *(baseline for _, baseline in at)]
        assert falling == sorted(falling)


@pytest.mark.parametrize("tile_px", [48, 96, 128, 256, 512])
def test_a_slide_id_of_tcga_is_whole(tile_px: int):
    short = ID.split(".")[0].replace("1", "0")  # as wide as they come
    assert short in texts([SheetRow("a", [noise(40, 40)], [short])], tile_px)


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_makes_a_sheet_and_leaves_the_pictures_alone(text: str):
    picture = noise(50, 50)
    place_of(picture, drawn([SheetRow(text, [picture], [text])], 50))


def test_a_sheet_that_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="no rows"):
        contact_sheet([], 50)
    with pytest.raises(ValueError, match="longer"):
        contact_sheet([SheetRow("a", [noise(9, 9)], ["b", "c"])], 50)
