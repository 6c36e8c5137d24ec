"""Masks as every program writes them: what shows something is in, whatever its numbers are."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from hipt.errors import HiptError
from hipt.store.images import read_labels, read_mask, read_mask_picture

MASK = np.zeros((12, 16), bool)
MASK[:6, :8] = True  # a quarter


def grey(value: int = 255) -> Image.Image:
    return Image.fromarray(MASK.astype(np.uint8) * np.uint8(value))


def plain(value: int) -> Image.Image:
    return Image.new("L", (16, 12), value)


@pytest.mark.parametrize("name", ["m.png", "m.tif", "m.webp"])
@pytest.mark.parametrize("alpha", [1, 255])
def test_what_is_transparent_is_out(tmp_path: Path, name: str, alpha: int):
    image = Image.merge("RGBA", [plain(255)] * 3 + [grey(alpha)])
    image.save(tmp_path / name, lossless=True, exact=True)
    np.testing.assert_array_equal(read_mask(tmp_path / name), MASK)


def test_white_that_is_transparent_is_out_in_grey_too(tmp_path: Path):
    Image.merge("LA", [plain(255), grey()]).save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), MASK)
    Image.fromarray(np.where(MASK, 7, 255).astype(np.uint8)).save(
        tmp_path / "m.png", transparency=255
    )
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), MASK)
    numbers = Image.fromarray(MASK.astype(np.uint8))
    numbers.putpalette([255, 255, 255, 0, 128, 0])
    numbers.save(tmp_path / "m.png", transparency=0)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), MASK)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_where_all_is_opaque_colours_decide(tmp_path: Path, mode: str):
    Image.merge(mode, [grey()] * (len(mode) - 1) + [plain(255)]).save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), MASK)


WHOLE = [(kind, value) for kind in ("u1", "u2", "i2", "u4", "i4", "i8") for value in (1, 200)]
FRACTIONS = [(kind, value) for kind in ("f2", "f4", "f8") for value in (1, 0.9, 0.004)]


@pytest.mark.parametrize(("kind", "value"), [("bool", 1), *WHOLE, *FRACTIONS])
def test_arrays_of_every_kind_of_number(tmp_path: Path, kind: str, value: float):
    tifffile.imwrite(tmp_path / "m.tif", (MASK * value).astype(kind))
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif"), MASK)


@pytest.mark.parametrize("kind", ["bool", "u1", "u2", "f4"])
def test_compressed_and_tiled_arrays(tmp_path: Path, kind: str):
    mask = np.pad(MASK, ((0, 52), (0, 48)))
    how = {} if kind == "bool" else {"tile": (16, 16)}
    tifffile.imwrite(tmp_path / "m.tif", mask.astype(kind), compression="zlib", **how)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif"), mask)


@pytest.mark.parametrize("kind", ["u1", "u2", "f4"])
def test_arrays_of_several_channels(tmp_path: Path, kind: str):
    channels = np.stack([MASK.astype(kind)] + [np.zeros_like(MASK, kind)] * 2, -1)
    tifffile.imwrite(tmp_path / "m.tif", channels, photometric="rgb")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif"), MASK)
    white = np.stack([np.ones_like(MASK, kind)] * 3 + [MASK.astype(kind)], -1)
    tifffile.imwrite(tmp_path / "m.tif", white, photometric="rgb", extrasamples=["unassalpha"])
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif"), MASK)


def test_numbers_that_are_none_are_out(tmp_path: Path):
    tifffile.imwrite(tmp_path / "m.tif", np.where(MASK, 0.3, np.nan).astype(np.float32))
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif"), MASK)
    tifffile.imwrite(tmp_path / "m.tif", np.where(MASK, -1.5, np.nan))
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif"), MASK)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pngs_of_16_bits_keep_their_low_ones(tmp_path: Path, channels: int):
    values = MASK.astype(np.uint16)
    picture = {
        1: values,
        3: np.dstack([values] * 3),
        4: np.dstack([np.full_like(values, 65535)] * 3 + [values]),
    }
    assert cv2.imwrite(str(tmp_path / "m.png"), picture[channels])
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), MASK)


@pytest.mark.parametrize("name", ["m.png", "m.tif", "m.bmp", "m.gif"])
def test_one_bit(tmp_path: Path, name: str):
    grey().convert("1").save(tmp_path / name)
    np.testing.assert_array_equal(read_mask(tmp_path / name), MASK)


@pytest.mark.parametrize("how", [{}, {"compression": "group4"}])
def test_a_scan_that_stores_white_as_0_is_what_it_shows(tmp_path: Path, how: dict):
    tags = {"tiffinfo": {262: 0}} | how
    grey().convert("1").save(tmp_path / "m.tif", **tags)
    with Image.open(tmp_path / "m.tif") as image:
        shown = np.asarray(image)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif"), shown)


@pytest.mark.parametrize("name", ["m.tif", "m.jpg"])
def test_inks_of_a_printer(tmp_path: Path, name: str):
    grey().convert("CMYK").save(tmp_path / name, quality=100)
    mask = read_mask(tmp_path / name)
    np.testing.assert_array_equal(mask[:, 8:], MASK[:, 8:])
    assert mask[:5].mean() == pytest.approx(0.5, abs=0.2)


def test_what_cannot_be_read_says_what_it_is(tmp_path: Path):
    tifffile.imwrite(tmp_path / "m.tif", MASK.astype(np.float64), compression="zlib")
    with pytest.raises(HiptError, match=r"m\.tif: holds float64 in 1 channels, compressed, which"):
        read_mask(tmp_path / "m.tif")
    grey().convert("RGB").convert("LAB").save(tmp_path / "m.tif")
    with pytest.raises(HiptError, match=r"m\.tif: holds CIELAB colours"):
        read_mask(tmp_path / "m.tif")


@pytest.mark.parametrize("value", [256, 65535])
def test_a_label_map_has_classes_up_to_255(tmp_path: Path, value: int):
    Image.fromarray(MASK.astype(np.uint16) * np.uint16(value)).save(tmp_path / "m.png")
    with pytest.raises(HiptError, match=rf"m\.png: is no label map: it holds {value}, classes"):
        read_labels(tmp_path / "m.png")


def test_probabilities_are_told_from_classes_and_from_blurred_edges(tmp_path: Path):
    rng = np.random.default_rng(0)
    kinds = {
        "probabilities": rng.random((60, 80)),
        "classes": rng.integers(0, 9, (60, 80)).astype(np.uint8),
        "mask": cv2.blur(np.kron(MASK, np.ones((9, 9))).astype(np.uint8) * 255, (5, 5)),
        "nothing": np.zeros((60, 80)),
        "grey": (255 * rng.random((60, 80))).astype(np.uint8),
    }
    for name, values in kinds.items():
        tifffile.imwrite(tmp_path / f"{name}.tif", values)
    graded = {name for name in kinds if read_mask_picture(tmp_path / f"{name}.tif").graded}
    assert graded == {"probabilities", "grey"}
