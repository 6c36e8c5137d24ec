from dataclasses import replace

import numpy as np
import openslide
import pytest
from PIL import Image

from hipt.demo.cohort import plan
from hipt.demo.scene import GLASS, LABELS, NECROSIS, TUMOUR
from hipt.demo.slide import TRUTH_UM, make_slide


def small(slide):
    """The slide with a quarter of a square millimetre of block."""
    if slide.recipe.shape == "biopsy":
        return slide
    return replace(slide, recipe=replace(slide.recipe, width_um=640, height_um=480))


SLIDES = [small(slide) for slide in plan(12, seed=7)]
NAMED = {
    "plain": SLIDES[0],
    "biopsy": next(s for s in SLIDES if s.recipe.shape == "biopsy"),
    "blank": next(s for s in SLIDES if s.recipe.shape == "blank"),
    "odd mpp": next(s for s in SLIDES if s.mpp == 0.36),
    "fold": next(s for s in SLIDES if s.artefact == "fold"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Every named slide: its row, its pixels at level 0 and its truth picture."""
    out = tmp_path_factory.mktemp("demo")
    result = {}
    for name, slide in NAMED.items():
        row = make_slide(slide, out)
        with openslide.OpenSlide(out / "slides" / f"{slide.slide_id}.svs") as file:
            whole = file.read_region((0, 0), 0, file.dimensions).convert("RGB")
            result[name] = row, np.asarray(whole).astype(float), dict(file.properties)
    return out, result


def truth(out, name):
    return np.asarray(Image.open(out / "truth" / f"{NAMED[name].slide_id}.png"))


@pytest.mark.parametrize("name", NAMED)
def test_picture_header_truth_and_row_agree(made, name):
    out, result = made
    slide, (row, pixels, properties) = NAMED[name], result[name]
    labels = truth(out, name)

    assert float(properties["openslide.mpp-x"]) == slide.mpp
    assert properties["openslide.objective-power"] == str(slide.objective)
    assert (row["height_px"], row["width_px"]) == pixels.shape[:2]
    np.testing.assert_allclose(
        np.array(labels.shape) * TRUTH_UM, np.array(pixels.shape[:2]) * slide.mpp, atol=slide.mpp
    )
    whole = max((labels > 0).sum(), 1)
    for value, label in enumerate(LABELS[1:], start=1):
        assert row["shares"][label] == pytest.approx((labels == value).sum() / whole, abs=0.02)
    assert row["tissue_mm2"] == pytest.approx((labels > 0).sum() * (TRUTH_UM / 1000) ** 2, abs=4e-3)


def test_tissue_is_coloured_where_truth_says_so_and_glass_is_white(made):
    out, result = made
    row, pixels, _ = result["plain"]
    side = round(TRUTH_UM / row["mpp"])
    labels = truth(out, "plain")
    mean = pixels.reshape(labels.shape[0], side, labels.shape[1], side, 3).mean(axis=(1, 3))

    white = np.array(NAMED["plain"].stain.white)
    assert np.abs(np.median(mean[labels == GLASS], axis=0) - white).max() < 2
    tumour, necrosis = (np.median(mean[labels == kind], axis=0) for kind in (TUMOUR, NECROSIS))
    for red, green, blue in (tumour, necrosis):
        assert green < min(red, blue) - 20  # pink to purple
    assert tumour.sum() < necrosis.sum() - 60


def test_the_blank_slide_is_glass_with_dust(made):
    out, result = made
    row, pixels, _ = result["blank"]

    assert not truth(out, "blank").any()
    assert row["tissue_mm2"] == 0
    assert row["immune_near_tumour"] is None
    off_white = np.abs(pixels - np.array(NAMED["blank"].stain.white)).max(axis=2) > 12
    assert 0 < off_white.mean() < 0.01


def test_the_same_slide_is_painted_in_the_same_bytes(made, tmp_path):
    out, result = made
    slide = NAMED["fold"]

    assert make_slide(slide, tmp_path) == result["fold"][0]

    for file in (f"slides/{slide.slide_id}.svs", f"truth/{slide.slide_id}.png"):
        assert (tmp_path / file).read_bytes() == (out / file).read_bytes()
