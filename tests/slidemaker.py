"""Real slides made on the spot: pyramidal, JPEG-tiled TIFFs that OpenSlide opens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile

GLASS = (243, 242, 244)
TISSUE = (170, 80, 150)


def tissue_picture(width_px: int, height_px: int, seed: int = 0) -> np.ndarray:
    """Glass with one ellipse of speckled, stained tissue over the middle half, uint8 [h, w, 3]."""
    noise = np.random.default_rng(seed).normal(0, 12, (height_px // 8 + 1, width_px // 8 + 1, 1))
    noise = cv2.resize(noise.astype(np.float32), (width_px, height_px))[..., None]
    picture = np.full((height_px, width_px, 3), GLASS, np.uint8)
    y, x = np.mgrid[:height_px, :width_px]
    inside = ((x / width_px - 0.5) / 0.4) ** 2 + ((y / height_px - 0.5) / 0.4) ** 2 <= 1
    picture[inside] = np.clip(np.array(TISSUE) + noise, 0, 255).astype(np.uint8)[inside]
    return picture


def write_slide(
    path: Path,
    picture: np.ndarray,
    mpp: float | None = 0.5,
    factors: tuple[int, ...] = (1, 4),
    kind: str = "aperio",
    quality: int = 95,
) -> Path:
    """Write a picture as a slide.

    `kind` is `aperio` (MPP in the description) or `generic` (resolution tags); levels are area
    means of the picture by the given factors. JPEG with whole colours (4:4:4), tiles of 256 px.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = picture.shape[:2]
    with tifffile.TiffWriter(path) as tif:
        for factor in factors:
            size = (max(1, width // factor), max(1, height // factor))
            level = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
            tags: dict = {"tile": (256, 256), "metadata": None}
            if kind == "aperio":
                text = f"Aperio Image Library v12.0.15 \r\n{width}x{height} [0,0 {width}x{height}]"
                text += " (256x256) JPEG/RGB Q=95"
                text += f"|AppMag = {round(10 / mpp)}|MPP = {mpp}" if mpp else ""
                tags["description"] = text
            elif mpp:
                tags |= {"resolution": (1e4 / mpp / factor,) * 2, "resolutionunit": "CENTIMETER"}
            if factor != factors[0] and kind == "generic":
                tags["subfiletype"] = 1
            tif.write(
                level,
                photometric="rgb",
                compression="jpeg",
                compressionargs={"level": quality},
                subsampling=(1, 1),
                **tags,
            )
            if factor == factors[0] and kind == "aperio":  # Aperio's second picture
                tif.write(
                    cv2.resize(picture, (64, 48)),
                    photometric="rgb",
                    rowsperstrip=48,
                    compression="jpeg",
                    metadata=None,
                )
    return path


def write_levels(path: Path, levels: Sequence[np.ndarray], mpp: float = 0.5, **tags: Any) -> Path:
    """Write pictures as they are: the slide, and what is flagged as made smaller; nothing is lost.

    `tags` goes to tifffile.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"tile": (256, 256), "photometric": "rgb", "compression": "deflate"} | tags
    with tifffile.TiffWriter(path) as tif:
        for number, level in enumerate(levels):
            tif.write(
                level,
                metadata=None,
                subfiletype=int(number > 0),
                resolution=(1e4 / mpp,) * 2,
                resolutionunit="CENTIMETER",
                **options,
            )
    return path


def damage_tile(path: Path, column: int, row: int) -> None:
    """Overwrite one level-0 tile's JPEG stream, so that it cannot be decoded."""
    with tifffile.TiffFile(path) as tif:
        page = tif.pages[0]
        across = -(-page.imagewidth // page.tilewidth)
        index = row * across + column
        offset, count = page.dataoffsets[index], page.databytecounts[index]
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\x00" * count)
