"""Pixels that are no 8-bit colour on bright glass: said, whatever they are."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import shapely
import shapely.geometry
import tifffile

from hipt.errors import SlideError
from hipt.slides.pixel_kind import NO_COLOUR, nothing_found, picture_note
from hipt.slides.slide import open_slide
from tests.slidemaker import damage_tile, tissue_picture, write_levels, write_slide
from tests.steps.conftest import Chain

SLIDE = tissue_picture(1021, 765)
LEVELS = [SLIDE, cv2.resize(SLIDE, (255, 191), interpolation=cv2.INTER_AREA)]
GREY = [cv2.cvtColor(level, cv2.COLOR_RGB2GRAY) for level in LEVELS]
USUAL = (170, 80, 150)


def with_fourth(value: int) -> list[np.ndarray]:
    """The slide with a fourth sample."""
    return [np.dstack([level, np.full(level.shape[:2], value, np.uint8)]) for level in LEVELS]


def fluorescent() -> list[np.ndarray]:
    """Blue and green light of stained tissue, on black."""
    tissue = SLIDE[..., 1] < 160
    picture = np.random.default_rng(0).integers(0, 12, SLIDE.shape).astype(np.uint8)
    picture[tissue] = np.minimum(picture[tissue] * np.uint8(7) + (0, 60, 140), 255)
    return [picture, cv2.resize(picture, (255, 191), interpolation=cv2.INTER_AREA)]


def of_type(kind: str, scale: float) -> list[np.ndarray]:
    return [(level * float(scale)).astype(kind) for level in LEVELS]


CMYK = [np.dstack([255 - level, np.zeros(level.shape[:2], np.uint8)]) for level in LEVELS]
RAMP = np.arange(256, dtype=np.uint16) * 257
PALETTE = np.stack([RAMP, RAMP // 2, RAMP])

ENDS = {
    "8-bit colour": (LEVELS, {}, "ok", ""),
    "12 bits in 16": (of_type("uint16", 16), {}, "unreadable", "only the lower 12 are used"),
    "10 bits in 16": (of_type("uint16", 4), {}, "unreadable", "only the lower 10 are used"),
    "14 bits in 16": (of_type("uint16", 64), {}, "unreadable", "only the lower 14 are used"),
    "16 bits": (of_type("uint16", 257), {}, "ok", "16 bits, of which the upper 8 are read"),
    "signed": (of_type("int8", 1), {}, "ok", "its samples are signed"),
    "float": (of_type("float32", 1 / 255), {}, "unreadable", "32-bit floating-point numbers"),
    "half": (of_type("float16", 1 / 255), {}, "unreadable", "16-bit floating-point numbers"),
    "32 bits": (of_type("uint32", 1 << 24), {}, "unreadable", "32-bit whole numbers"),
    "a fourth sample of 0": (
        with_fourth(0),
        {"extrasamples": ("unspecified",)},
        "unreadable",
        "4 samples, and the fourth, which is taken for alpha, is at most 0 of 255",
    ),
    "alpha of 0": (with_fourth(0), {"extrasamples": ("unassalpha",)}, "unreadable", "at most 0 of"),
    "alpha of 9": (with_fourth(9), {"extrasamples": ("unassalpha",)}, "unreadable", "at most 9 of"),
    "alpha of 255": (
        with_fourth(255),
        {"extrasamples": ("unassalpha",)},
        "ok",
        "4 samples per pixel, the fourth taken for alpha",
    ),
    "fluorescence": (fluorescent(), {}, "unreadable", "is dark, without bright glass"),
    "inverted": ([255 - level for level in LEVELS], {}, "unreadable", "without bright glass"),
    "black": ([level // 100 for level in LEVELS], {}, "unreadable", "without bright glass"),
    "grey": (GREY, {"photometric": "minisblack"}, "no_tissue", "no colour (grey values alone)"),
    "white is 0": (
        [255 - level for level in GREY],
        {"photometric": "miniswhite"},
        "no_tissue",
        "no colour (grey values alone)",
    ),
    "grey in three samples": (
        [np.repeat(level[..., None], 3, 2) for level in GREY],
        {},
        "no_tissue",
        "no colour (grey values alone)",
    ),
    "CMYK": (CMYK, {"photometric": "separated"}, "ok", "its pixels are CMYK"),
    "palette": (
        GREY,
        {"photometric": "palette", "colormap": PALETTE},
        "ok",
        "its pixels are of a palette",
    ),
    "planes": ([level.transpose(2, 0, 1) for level in LEVELS], {"planarconfig": 2}, "ok", ""),
}


@pytest.mark.parametrize("name", ENDS)
def test_a_slide_ends_with_what_its_pixels_are(chain: Chain, name: str):
    levels, tags, status, said = ENDS[name]
    write_levels(chain.folder / "a.tif", [np.ascontiguousarray(one) for one in levels], **tags)
    chain.sheet("slide_id,path\na,a.tif\n")
    row = chain.call("segment")["a"]
    assert row["status"] == status
    assert said in (row["reason"] if status != "ok" else row["note"])
    assert bool(row["reason"]) == (status != "ok")
    if said == "":
        assert row["note"] == ""
    again = chain.call("segment")["a"]  # kept, if it is ok
    assert (again["status"], again["reason"], again["note"]) == (status, row["reason"], row["note"])


@pytest.mark.parametrize(
    ("levels", "note"), [(fluorescent(), "the sheet's mask says"), (GREY, NO_COLOUR)]
)
def test_where_the_sheet_says_where_the_tissue_is_the_slide_is_read(chain: Chain, levels, note):
    box = shapely.geometry.mapping(shapely.box(200, 200, 800, 600))
    feature = {"type": "Feature", "properties": {}, "geometry": box}
    text = json.dumps({"type": "FeatureCollection", "features": [feature]})
    (chain.folder / "m.geojson").write_text(text)
    kind = "rgb" if levels[0].ndim == 3 else "minisblack"
    write_levels(chain.folder / "a.tif", levels, photometric=kind)
    chain.sheet("slide_id,path,mask\na,a.tif,m.geojson\n")
    row = chain.call("segment")["a"]
    assert row["status"] == "ok"
    assert note in row["note"]


def test_a_slide_of_which_nothing_can_be_read_is_not_one_without_tissue(chain: Chain):
    path = write_slide(chain.folder / "a.svs", tissue_picture(512, 256), factors=(1,))
    for column in range(2):
        damage_tile(path, column, 0)
    chain.sheet("slide_id,path\na,a.svs\n")
    row = chain.call("segment")["a"]
    assert row["status"] == "unreadable"
    assert "none of its pixels can be read" in row["reason"]


def picture(background: tuple, tissue: tuple, share: float) -> np.ndarray:
    """A thumbnail of two colours."""
    found = np.full((100, 100, 3), background, np.uint8)
    found[: round(100 * share)] = tissue
    return found


@pytest.mark.parametrize(
    "thumbnail",
    [
        picture((243, 242, 244), (30, 20, 40), 0.95),  # nearly all of it dark tissue
        picture((0, 0, 0), (200, 150, 190), 0.3),  # a scanner's black around a piece of tissue
        picture((90, 40, 20), (70, 30, 20), 0.5),  # all brown
        picture((25, 20, 30), (243, 242, 244), 0.02),  # mostly pen
        picture((243, 242, 244), USUAL, 0.01),
        picture((251, 251, 251), (240, 240, 240), 0.02),  # glass with dust
        picture((251, 251, 251), (30, 30, 30), 0.005),  # glass with a speck
        picture((255, 255, 255), (30, 20, 40), 0.03),  # pen on glass that is as bright as can be
    ],
)
def test_no_slide_in_bright_light_is_refused(thumbnail: np.ndarray):
    black = (thumbnail.max(2) < 32).mean() > 0.02
    note = picture_note(thumbnail, None, 255, masked=False)
    assert ("nearly black" in note) if black else note == ""


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_fluorescence_of_which_little_was_scanned(share: float):
    """What MIRAX leaves out comes out white."""
    thumbnail = np.full((100, 100, 3), 255, np.uint8)
    thumbnail[: round(100 * share)] = (5, 8, 30)
    thumbnail[: round(60 * share)] = (10, 90, 200)
    with pytest.raises(SlideError, match="is dark, without bright glass"):
        picture_note(thumbnail, None, 255, masked=False)


def test_glass_alone_has_no_other_reason():
    assert nothing_found("") == "no tissue was found on it"
    assert "by which tissue is known; draw it" in nothing_found(f"another note; {NO_COLOUR}")


def test_usual_pixels_have_no_note(tmp_path: Path):
    path = write_slide(tmp_path / "a.svs", SLIDE)
    with open_slide(path) as slide:
        assert slide.info.pixels is not None
        assert (slide.info.pixels.samples, slide.info.pixels.bits) == (3, 8)
        assert slide.info.pixels.note() == ""


def test_what_openslide_cannot_read_is_refused_when_it_is_opened(tmp_path: Path):
    path = write_levels(tmp_path / "a.tif", of_type("float32", 1 / 255))
    with pytest.raises(SlideError, match=r"a\.tif: its samples are 32-bit .* save it with 8 bits"):
        open_slide(path)


@pytest.mark.real
def test_real_slides_are_colour_in_bright_light(shared_dir: Path):
    found = [p for p in (shared_dir / "slides").rglob("*") if p.suffix in (".tif", ".svs", ".dcm")]
    assert len(found) >= 11
    for path in found:
        with open_slide(path) as slide:
            thumbnail, _, most_opaque = slide.thumbnail(16)
            note = picture_note(thumbnail, slide.info.pixels, most_opaque, masked=False)
            assert (path.name, note) == (path.name, "")


def test_black_that_may_be_taken_for_tissue_is_noted(chain: Chain):
    filled = [level.copy() for level in LEVELS]
    for level in filled:
        level[:, : level.shape[1] * 3 // 10] = 0  # fill of what was not scanned
    write_levels(chain.folder / "a.tif", filled)
    (chain.folder / "m.geojson").write_text(
        json.dumps(shapely.geometry.mapping(shapely.box(400, 200, 700, 500)))
    )
    chain.sheet("slide_id,path,mask\na,a.tif,\nb,a.tif,m.geojson\n")
    rows = chain.call("segment")
    assert rows["a"]["note"] == (
        "30% of its picture are nearly black, and may have been taken for tissue (fill of what was "
        "not scanned, pen); name a mask in the sheet if they were"
    )
    assert rows["b"]["note"] == ""
    assert chain.call("segment") == rows


def test_alpha_that_hides_nearly_everything_is_named(chain: Chain):
    levels = with_fourth(0)
    for level in levels:
        level[:9, :9, 3] = 255
    write_levels(chain.folder / "a.tif", levels, extrasamples=("unassalpha",))
    chain.sheet("slide_id,path\na,a.tif\n")
    row = chain.call("segment")["a"]
    assert row["status"] == "no_tissue"
    assert "the fourth was taken for alpha" in row["reason"]
    assert "save it as RGB without alpha" in row["reason"]


@pytest.mark.parametrize("rows", [16, 765])
def test_a_tiff_in_strips_is_told_what_it_lacks(tmp_path: Path, rows: int):
    tifffile.imwrite(tmp_path / "a.tif", SLIDE, photometric="rgb", rowsperstrip=rows)
    with pytest.raises(SlideError) as caught:
        open_slide(tmp_path / "a.tif")
    assert caught.value.reason == (
        f"{tmp_path / 'a.tif'}: is not a slide that OpenSlide can read: its pictures are in "
        "strips; save it as a TIFF with tiles, best a pyramid"
    )
