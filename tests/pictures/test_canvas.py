"""Pictures and lines of text on a figure: pixel by pixel; whole or visibly shortened."""

from __future__ import annotations

import re
import struct
import xml.etree.ElementTree as ET
import zlib
from base64 import b64decode
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hipt.pictures.canvas import (
    FRAME_PX,
    LEAST_PX,
    Canvas,
    fitting_px,
    line_px,
    shortened,
    text_px,
)
from hipt.pictures.figure import pdf_bytes, rgb_of, style, svg_text

HOSTILE = [
    "",
    " ",
    "x" * 5000,
    "日本語",
    "سرطان",
    "\ud800",
    "a\nb\r\tc\0",
    "e\u0301" * 900,
    "\u202egnp",
    "🧬",
    "$a_b$ \\frac{1}{2}",
]


@pytest.fixture(autouse=True)
def styled() -> Iterator[None]:
    with style():
        yield


def dark(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 100, (height, width, 3), np.uint8)


def written(text: str, width: int, size: int, align: str = "left", around: int = 20) -> np.ndarray:
    """The pixels of a line, and `around` pixels on each side of its room."""
    canvas = Canvas(width + 2 * around, line_px(size) + 2 * around)
    canvas.line(text, around, around, width, size, align)
    return rgb_of(canvas.figure)


def ink(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns with letters."""
    marked = (rgb < 128).all(2)
    return np.flatnonzero(marked.any(1)), np.flatnonzero(marked.any(0))


@settings(max_examples=60)
@given(*(st.tuples(st.integers(1, most), st.integers(1, most)) for most in (60, 900, 90)))
def test_a_picture_lies_where_it_was_put_as_it_is_in_a_frame(size, corner, beyond):
    (h, w), (top, left), (down, right) = size, corner, beyond
    picture = dark(h, w)
    canvas = Canvas(left + w + right, top + h + down)
    canvas.picture(picture, left, top)
    out = rgb_of(canvas.figure)
    assert out.shape == (top + h + down, left + w + right, 3)
    np.testing.assert_array_equal(out[top : top + h, left : left + w], picture)
    frame = np.s_[top - FRAME_PX : top + h + FRAME_PX, left - FRAME_PX : left + w + FRAME_PX]
    line = np.concatenate([out[frame][0], out[frame][-1], out[frame][:, 0], out[frame][:, -1]])
    assert (line == line[0]).all()
    assert 100 < line[0, 0] < 220  # neither tissue nor paper
    out[frame] = 255
    assert (out == 255).all()


def test_a_bar_has_the_pixels_that_were_asked_for():
    canvas = Canvas(97, 53)
    canvas.bar(13, 17, 41, 3)
    rows, columns = ink(rgb_of(canvas.figure))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (17, 19, 13, 53)


def test_a_picture_keeps_its_pixels_and_its_place_in_svg_and_pdf():
    picture = dark(30, 50)
    canvas = Canvas(200, 100)
    canvas.picture(picture, 20, 40)
    root = ET.fromstring(svg_text(canvas.figure, "a"))
    (element,) = root.iter("{http://www.w3.org/2000/svg}image")
    x_scale, _, _, y_scale, x, y = map(
        float, re.findall(r"[-\d.]+", element.attrib["transform"].split("(")[1])
    )
    px = float(root.attrib["viewBox"].split()[2]) / 200
    assert (x / px, x / px + 50 * x_scale / px) == pytest.approx((20, 70))
    assert sorted((y / px, y / px + 30 * y_scale / px)) == pytest.approx([40, 70])
    shown = decoded(element.attrib["{http://www.w3.org/1999/xlink}href"])
    np.testing.assert_array_equal(shown[::-1] if y_scale < 0 else shown, picture)
    pdf = pdf_bytes(canvas.figure)
    (stream,) = re.findall(rb"/Subtype /Image.*?stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL)
    np.testing.assert_array_equal(from_png_rows(stream, 30, 50), picture)


def decoded(uri: str) -> np.ndarray:
    data = np.frombuffer(b64decode(uri.split("base64,")[1]), np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)


def from_png_rows(stream: bytes, height: int, width: int) -> np.ndarray:
    """A picture of a PDF, whose pixels are compressed as a PNG's are."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    png = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", stream) + chunk(b"IEND", b"")
    )
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR_RGB)


@settings(max_examples=40)
@given(st.text() | st.sampled_from(HOSTILE), st.integers(1, 300), st.integers(6, 40))
def test_any_text_stays_in_its_room(text: str, width: int, size: int):
    out = written(text, width, size)
    _, columns = ink(out)
    if width > 3 * size and len(columns):
        assert columns[0] >= 20 - size // 3
        assert columns[-1] <= 20 + width + size // 3
    np.testing.assert_array_equal(out[:10], 255)  # no letter touches the line above


@settings(max_examples=40)
@given(st.text("abcdefWi_-. 0123456789", min_size=1, max_size=200), st.integers(40, 600))
def test_a_text_is_whole_or_has_both_its_ends_and_an_ellipsis(text: str, width: int):
    shown = shortened(text, width, 14)
    assert text_px(shown, 14) <= width
    if text_px(text, 14) <= width and len(text) <= width:
        assert shown == text
    if shown != text:
        start, end = shown.split("…")
        assert text.startswith(start)
        assert text.endswith(end)
        assert len(start) - len(end) in (0, 1)
        longer = text[: len(start) + 1] + "…" + text[len(text) - len(end) - 1 :]
        assert text_px(longer, 14) > width  # as much as there is room for


def test_the_text_stands_where_it_was_asked_for():
    left, centre, right = (
        ink(written("HHH", 200, 20, align, 0))[1] for align in ("left", "center", "right")
    )
    assert left[0] < 4
    assert right[-1] > 195
    assert abs(centre[0] + centre[-1] - 199) <= 3
    assert abs(len(left) - len(right)) <= 1


@pytest.mark.parametrize(
    "text",
    ["µm é ß Łódź", "Ταξινόμηση", "Микроскоп", "a\u0301"],
    ids=["latin", "greek", "cyrillic", "combined"],
)
def test_letters_outside_ascii_are_letters_and_no_boxes(text: str):
    box = written("𓀀", 300, 20)  # in no font of figures
    assert len(ink(box)[1]) > 0
    for letter in text.replace(" ", ""):
        assert not np.array_equal(written(letter, 300, 20), box)


def test_a_long_text_is_made_smaller_before_it_is_shortened():
    text = "a heading of some length"
    assert fitting_px(text, 1000, 30) == 30
    smaller = fitting_px(text, 280, 30)
    assert 15 < smaller < 30
    assert shortened(text, 280, smaller) == text
    assert shortened(text, 280, smaller + 1) != text
    assert fitting_px(text, 20, 60) == 30
    assert fitting_px(text, 20, 14) == LEAST_PX
    assert fitting_px("x" * 10_000_000, 400, 20) == LEAST_PX
