"""Masks and pictures on disk, their sizes, and what is drawn on them."""

from __future__ import annotations

import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hipt.errors import HiptError
from hipt.store.images import (
    jpeg_bytes,
    read_labels,
    read_mask,
    read_png_text,
    read_rgb,
    write_jpeg,
    write_mask,
)

TEXT = {"hipt": json.dumps({"a": "ä / 日本", "long": "x" * 5000}), "other": ""}


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([0.0, 0.3, 1.0]))
def test_a_mask_and_its_texts_are_read_as_written(tmp_path_factory, height, width, share):
    path = tmp_path_factory.mktemp("m") / "mask.png"
    mask = np.random.default_rng(height).random((height, width)) < share
    write_mask(path, mask, TEXT)
    np.testing.assert_array_equal(read_mask(path), mask)
    assert read_png_text(path) == TEXT


def test_a_mask_is_a_1_bit_png_the_same_each_time_and_alone_in_its_folder(tmp_path: Path):
    mask = noise(50, 70)[..., 0] < 90
    write_mask(tmp_path / "new" / "a.png", mask, TEXT)
    first = (tmp_path / "new" / "a.png").read_bytes()
    write_mask(tmp_path / "new" / "a.png", mask, TEXT)
    assert (tmp_path / "new" / "a.png").read_bytes() == first
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.png"]
    with Image.open(tmp_path / "new" / "a.png") as image:
        assert (image.format, image.mode, image.size) == ("PNG", "1", (70, 50))


def test_a_cut_mask_is_an_error_at_every_length(tmp_path: Path):
    write_mask(tmp_path / "a.png", noise(20, 30)[..., 0] < 90, {"hipt": "text"})
    content, cut = (tmp_path / "a.png").read_bytes(), tmp_path / "cut.png"
    for length in range(len(content) - 24):  # the last bytes are the end chunk and a checksum
        cut.write_bytes(content[:length])
        for read in (read_mask, read_png_text):
            with pytest.raises(HiptError, match=r"cut\.png: is damaged or no picture"):
                read(cut)


def huge_png() -> bytes:
    """A few bytes that claim to be 200,000 px wide and high."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 200_000, 200_000, 1, 0, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


@pytest.mark.parametrize("content", [b"", b"hello", huge_png()], ids=["empty", "text", "huge"])
@pytest.mark.parametrize("read", [read_mask, read_png_text, read_rgb])
def test_what_is_no_picture_is_one_sentence(tmp_path: Path, read, content: bytes):
    path = tmp_path / "ä b.png"
    with pytest.raises(HiptError, match=r"ä b\.png: no such picture"):
        read(path)
    path.write_bytes(content)
    with pytest.raises(
        HiptError, match=r"ä b\.png: (is damaged or no picture|has 200,000)"
    ) as error:
        read(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["L", "I;16", "RGB", "RGBA", "P"])
def test_any_pixel_that_is_not_black_is_in_the_mask(tmp_path: Path, kind: str):
    mask = np.array([[False, True, False], [False, False, True]])
    if kind == "P":
        image = Image.fromarray(mask.astype(np.uint8))
        image.putpalette([0, 0, 0, 0, 0, 3])
    elif kind.startswith("RGB"):
        image = Image.fromarray(mask[..., None] * np.array([1, 0, 0], np.uint8)).convert(kind)
    else:
        image = Image.fromarray(mask.astype(np.uint16 if kind == "I;16" else np.uint8))
    image.save(tmp_path / "m.png")
    with Image.open(tmp_path / "m.png") as back:
        assert back.mode == kind
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), mask)


def test_a_jpeg_is_nearly_the_picture_and_better_at_higher_quality(tmp_path: Path):
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    rgb = np.stack([np.tile(ramp, (48, 1)), np.tile(ramp[::-1], (48, 1)), np.full((48, 64), 9)], -1)
    rgb = rgb.astype(np.uint8)
    write_jpeg(tmp_path / "a.jpg", rgb)
    back = read_rgb(tmp_path / "a.jpg")
    assert (back.shape, back.dtype) == (rgb.shape, np.uint8)
    assert np.abs(back.astype(int) - rgb).mean() < 3
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.format == "JPEG"
    best = np.asarray(Image.open(io.BytesIO(jpeg_bytes(rgb, 100))))
    assert np.abs(best.astype(int) - rgb).mean() < np.abs(back.astype(int) - rgb).mean()


@pytest.mark.parametrize("mode", ["L", "P", "1", "I;16"])
def test_a_label_map_is_its_numbers_whatever_their_colour(tmp_path: Path, mode: str):
    values = np.array([[0, 1, 1], [0, 0, 1]], np.uint16 if mode == "I;16" else np.uint8)
    image = Image.fromarray(values * 255).convert("1") if mode == "1" else Image.fromarray(values)
    if mode == "P":
        image.putpalette([200, 0, 0, 0, 200, 0])
    image.save(tmp_path / "a.png")
    assert read_labels(tmp_path / "a.png").tolist() == values.tolist()


def test_a_coloured_picture_is_no_label_map(tmp_path: Path):
    Image.new("RGB", (3, 2)).save(tmp_path / "a.png")
    with pytest.raises(HiptError, match=r"a\.png: is no label map \(mode RGB\)"):
        read_labels(tmp_path / "a.png")


def small_png(path: Path, bits: int, values: np.ndarray) -> None:
    """A grey PNG with a few bits per pixel, as programs that make files small write it."""
    lines = [sum(int(v) << bits * (len(row) - 1 - i) for i, v in enumerate(row)) for row in values]
    size = values.shape[1] * bits // 8
    parts = {
        b"IHDR": struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, 0, 0, 0, 0),
        b"IDAT": zlib.compress(b"".join(b"\0" + line.to_bytes(size, "big") for line in lines)),
        b"IEND": b"",
    }
    chunks = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts.items()
    ]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


@pytest.mark.parametrize("bits", [2, 4])
def test_classes_in_a_few_bits_are_their_numbers(tmp_path: Path, bits: int):
    classes = np.array([[0, 1, 2, 3], [3, 3, 1, 0]])
    small_png(tmp_path / "a.png", bits, classes)
    tifffile.imwrite(tmp_path / "a.tif", classes.astype(np.uint8), bitspersample=bits)
    for name in ("a.png", "a.tif"):
        assert read_labels(tmp_path / name).tolist() == classes.tolist()


@pytest.mark.parametrize("kind", ["bool", "int8", "uint16", "int32", "int64", "uint64"])
def test_classes_that_python_wrote_as_tiff_are_their_numbers(tmp_path: Path, kind: str):
    classes = np.array([[0, 1, 0, 1], [0, 0, 1, 0]]).astype(kind)
    tifffile.imwrite(tmp_path / "a.tif", classes)
    assert read_labels(tmp_path / "a.tif").tolist() == classes.astype(int).tolist()


def test_classes_of_which_0_is_shown_white(tmp_path: Path):
    tifffile.imwrite(tmp_path / "a.tif", np.array([[0, 1, 2]], np.uint8), photometric="miniswhite")
    assert read_labels(tmp_path / "a.tif").tolist() == [[0, 1, 2]]


def test_several_channels_are_no_label_map(tmp_path: Path):
    tifffile.imwrite(tmp_path / "a.tif", np.ones((4, 4, 3), np.uint16), photometric="rgb")
    with pytest.raises(HiptError, match=r"is no label map \(several channels\); save one whole"):
        read_labels(tmp_path / "a.tif")
