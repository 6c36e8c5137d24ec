"""How far outlines lie from the tissue's edge on real slides, in two ways.

    python benchmarks/bench_outlines.py SLIDE... [--mpp 0.5] [--sheet FOLDER]

By hand: edges that were drawn on enlarged pictures (`outlines.json`: polylines along tissue that
meets glass, level-0 pixels), and how far from each of their points the outline passes; `beyond` is
the mean, above 0 where the outline lies outside. By itself: along the outline's normals, how far
away the optical density at 2 um/px changes most. Slides without drawn edges are measured in the
second way alone. `--sheet` writes a picture of each slide with its outline.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from hipt.config.config import SegmentConfig
from hipt.geometry.tissue import contours, find_tissue, glass_colour, optical_density
from hipt.pictures.drawing import draw_contours, shrunk
from hipt.slides.slide import Slide, open_slide
from hipt.store.images import write_png

DRAWN = Path(__file__).parent / "outlines.json"
FINE_MPP = 2.0
STEP_UM = 10.0
"""Between the places along an edge where it is measured."""
REACH_UM, BLUR_UM, SMOOTH_UM = 120.0, 8.0, 40.0
"""How far along a normal the change is looked for, in a picture and along an outline so blurred."""
PICTURE_PX = 1600

Floats = npt.NDArray[np.float64]


def main(argv: Sequence[str] | None = None) -> None:
    """Print a line per slide."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("slides", nargs="+", type=Path)
    parser.add_argument("--mpp", type=float, default=0.5, help="of slides that do not say")
    parser.add_argument("--sheet", type=Path)
    args = parser.parse_args(argv)
    drawn = json.loads(DRAWN.read_text())
    print("slide                                    tissue  by hand: median  p90  beyond"
          "   by itself: median  p90, um   seconds")  # fmt: skip
    for path in args.slides:
        with open_slide(path) as slide:
            print(line(slide, args.mpp, drawn.get(path.name, []), args.sheet), flush=True)


def line(slide: Slide, mpp: float, drawn: list[list[list[int]]], sheet: Path | None) -> str:
    """A slide's numbers."""
    cfg = SegmentConfig()
    mpp = slide.info.mpp[0] if slide.info.mpp else mpp
    thumbnail, scale, _ = slide.thumbnail(max(1.0, cfg.mask_mpp / mpp))
    start = time.process_time()
    mask = find_tissue(thumbnail, mpp * scale, cfg).mask
    seconds = time.process_time() - start
    if sheet:
        sheet.mkdir(parents=True, exist_ok=True)
        picture = shrunk(thumbnail, PICTURE_PX)
        factor = picture.shape[1] / mask.shape[1]
        write_png(sheet / f"{slide.path.stem}.png", draw_contours(picture, contours(mask), factor))
    beyond = by_hand(mask, drawn, scale) * mpp * scale
    away = by_itself(mask, slide, scale, mpp)
    hand = three(np.abs(beyond)) + (f"{beyond.mean():8.1f}" if len(beyond) else "       -")
    head = f"{slide.path.name[:40]:40s} {mask.mean():6.3f}"
    return f"{head} {hand:>29s} {three(away):>28s} {seconds:9.3f}"


def three(distances: Floats) -> str:
    """Median and 90th percentile."""
    if not len(distances):
        return "       -       -"
    return "{:8.1f}{:8.1f}".format(*np.percentile(distances, [50, 90]))


def by_hand(mask: npt.NDArray[np.bool_], drawn: list[list[list[int]]], scale: float) -> Floats:
    """From points of the drawn edges to the outline, pixels of the mask; above 0 inside it."""
    if not drawn:
        return np.empty(0)
    grown = np.pad(mask, 1, mode="edge").view(np.uint8)  # the picture's edge is no outline
    inside, outside = (
        cv2.distanceTransform(m, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for m in (grown, 1 - grown)
    )
    signed = np.where(grown > 0, inside - 0.5, 0.5 - outside).astype(np.float32)
    points = np.concatenate([list(along(np.array(edge) / scale, 0.5)) for edge in drawn])
    x, y = (points.T + 0.5).astype(np.float32)  # pixel centres lie at halves; one pixel is padding
    return cv2.remap(signed, x, y, cv2.INTER_LINEAR).ravel().astype(float)


def along(edge: Floats, step: float) -> Iterator[Floats]:
    """Points along a polyline."""
    for start, end in pairwise(edge):
        count = max(1, round(float(np.hypot(*(end - start))) / step))
        yield from (start + (end - start) * k / count for k in range(count))


def by_itself(mask: npt.NDArray[np.bool_], slide: Slide, scale: float, mpp: float) -> Floats:
    """From the outline to where density changes most along its normals, um."""
    fine, fine_scale, _ = slide.thumbnail(max(1.0, FINE_MPP / mpp))
    fine_mpp = fine_scale * mpp
    density = optical_density(fine, glass_colour(fine)).max(2)
    density = cv2.GaussianBlur(density, (0, 0), BLUR_UM / fine_mpp)
    reach = np.arange(-REACH_UM, REACH_UM + 1, 2.0)
    lines, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    away: list[float] = []
    for contour in lines:
        places = (contour[:, 0].astype(float) + 0.5) * scale * mpp  # (n, 2), um
        if len(places) < 4 * SMOOTH_UM / (scale * mpp):
            continue
        weights = cv2.getGaussianKernel(2 * (len(places) // 4) + 1, SMOOTH_UM / (scale * mpp))[:, 0]
        rounded = np.stack([_circular(places[:, k], weights) for k in (0, 1)], 1)
        tangent = np.roll(rounded, -1, 0) - np.roll(rounded, 1, 0)
        normal = np.stack([tangent[:, 1], -tangent[:, 0]], 1)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
        every = max(1, round(STEP_UM / (scale * mpp)))
        rows = places[::every, None] + normal[::every, None] * reach[:, None]  # (n, reach, 2)
        edge_um = np.array(mask.shape[::-1]) * scale * mpp - 2 * scale * mpp
        inner = ((places[::every] > 2 * scale * mpp) & (places[::every] < edge_um)).all(1)
        if not inner.any():
            continue
        x, y = (rows[inner] / fine_mpp - 0.5).astype(np.float32).transpose(2, 0, 1)
        profile = cv2.remap(density, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        steepest = np.abs(np.diff(profile, axis=1)).argmax(1)
        away += list(np.abs((reach[:-1] + reach[1:])[steepest] / 2))
    return np.array(away)


def _circular(values: Floats, weights: Floats) -> Floats:
    """A closed line's coordinate, smoothed."""
    half = len(weights) // 2
    return np.convolve(np.pad(values, half, mode="wrap"), weights, "valid")


if __name__ == "__main__":
    main()
