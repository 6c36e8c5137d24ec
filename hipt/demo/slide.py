"""One planned slide: painted, written, and what was painted put down beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hipt.demo.artefacts import dust, fold, pen
from hipt.demo.cells import populate
from hipt.demo.cohort import Slide
from hipt.demo.layout import lay_out
from hipt.demo.noise import Bytes
from hipt.demo.paint import paint
from hipt.demo.scene import MAP_UM, Scene
from hipt.demo.tiff import write_slide

TRUTH_UM = 8
"""Side of a pixel of the truth pictures, micrometres."""

_COLOURS = (
    *((255, 255, 255), (240, 170, 200), (120, 60, 160), (40, 40, 140)),
    *((170, 100, 200), (230, 200, 180), (250, 240, 150)),
)
_DUST_PER_MM2 = {"block": 1.5, "biopsy": 1.5, "blank": 14.0}


def make_slide(slide: Slide, out: Path) -> dict[str, Any]:
    """Paint a slide and write it, and its truth picture, under a folder.

    Args:
        slide: what to paint.
        out: the cohort's folder; `slides` and `truth` are made in it.

    Returns:
        The slide's row of the truth table.
    """
    rng = np.random.default_rng(slide.seed)
    scene = lay_out(slide.recipe, rng)
    picture = paint(scene, populate(scene, rng), slide.stain, slide.mpp, rng)
    _spoil(picture, slide, rng)
    for folder in ("slides", "truth"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    file = out / "slides" / f"{slide.slide_id}.svs"
    write_slide(file, picture, slide.mpp, slide.objective, slide.downsamples)
    _write_labels(out / "truth" / f"{slide.slide_id}.png", scene.labels)
    return _row(slide, scene, picture)


def _spoil(picture: Bytes, slide: Slide, rng: np.random.Generator) -> None:
    """Put the slide's artefacts on its picture."""
    if slide.artefact == "fold":
        fold(picture, slide.stain.white, slide.mpp, rng)
    if slide.artefact == "pen":
        pen(picture, slide.mpp, rng)
    area_mm2 = slide.recipe.width_um * slide.recipe.height_um / 1e6
    dust(picture, slide.mpp, round(_DUST_PER_MM2[slide.recipe.shape] * area_mm2), rng)


def _write_labels(path: Path, labels: Bytes) -> None:
    """Every fourth pixel of the map as a palette picture."""
    step = TRUTH_UM // MAP_UM
    picture = Image.fromarray(np.ascontiguousarray(labels[step // 2 :: step, step // 2 :: step]))
    picture.putpalette([value for colour in _COLOURS for value in colour])
    picture.save(path)


def _row(slide: Slide, scene: Scene, picture: Bytes) -> dict[str, Any]:
    """What is true of a slide, for the truth table."""
    near = scene.closeness()
    return {
        "slide_id": slide.slide_id,
        "case_id": slide.case.case_id,
        "shape": slide.recipe.shape,
        "artefact": slide.artefact,
        "mpp": slide.mpp,
        "width_px": picture.shape[1],
        "height_px": picture.shape[0],
        "tissue_mm2": round(scene.tissue_mm2(), 4),
        "shares": {name: round(share, 4) for name, share in scene.shares().items()},
        "immune_near_tumour": None if near is None else round(near, 4),
        "arrangement": slide.case.arrangement,
        "mixing": round(slide.case.mixing, 4),
        "log_hazard": round(slide.case.log_hazard, 4),
    }
