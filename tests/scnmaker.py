"""Leica SCN slides made on the spot: the scan lies somewhere on the slide, as its bounds say."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import tifffile

_HEAD = (
    '<?xml version="1.0"?><scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01" uuid="u0">'
)
_DATE = "<creationDate>2020-01-01T00:00:00Z</creationDate>"
_DEVICE = '<device model="Leica SCN400" version="1"/>'


def write_scn(
    path: Path,
    picture: np.ndarray,
    slide_px: tuple[int, int] = (2048, 1536),
    corner: tuple[int, int] = (600, 400),
    mpp: float = 0.5,
) -> Path:
    """Write a picture as a scan whose corner lies at `corner` of a slide of `slide_px`.

    OpenSlide opens the whole slide, white around the scan; two levels, the coarser a quarter.
    """
    height, width = picture.shape[:2]
    nm = round(mpp * 1000)
    slide = {"sizeX": slide_px[0] * nm, "sizeY": slide_px[1] * nm}
    whole = {**slide, "offsetX": 0, "offsetY": 0, "spacingZ": 0}
    scan = {"sizeX": width * nm, "sizeY": height * nm, "offsetX": corner[0] * nm}
    scan |= {"offsetY": corner[1] * nm, "spacingZ": 0}
    small = (max(1, width // 4), max(1, height // 4))
    text = f'{_HEAD}<collection name="c" uuid="u1" {_attributes(slide)}><barcode>MQ==</barcode>'
    text += _image("overview", whole, [(small, 0)], 1)
    text += _image("scan", scan, [((width, height), 1), (small, 2)], 20)
    text += "</collection></scn>"
    path.parent.mkdir(parents=True, exist_ok=True)
    reduced = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
    with tifffile.TiffWriter(path, bigtiff=True) as tif:
        for level, about in ((reduced, text), (picture, None), (reduced, None)):
            tif.write(
                level,
                tile=(256, 256),
                photometric="rgb",
                compression="jpeg",
                compressionargs={"level": 95},
                description=about,
                resolution=(1e4 / mpp, 1e4 / mpp),
                resolutionunit="CENTIMETER",
                metadata=None,
            )
    return path


def _image(name: str, view: dict[str, int], levels: list, objective: int) -> str:
    """One picture of the slide."""
    width, height = levels[0][0]
    places = "".join(
        f'<dimension sizeX="{size[0]}" sizeY="{size[1]}" r="{number}" ifd="{ifd}"/>'
        for number, (size, ifd) in enumerate(levels)
    )
    optics = "<illuminationSource>brightfield</illuminationSource>"
    return (
        f'<image name="{name}" uuid="u-{name}">{_DATE}{_DEVICE}'
        f'<pixels sizeX="{width}" sizeY="{height}">{places}</pixels><view {_attributes(view)}/>'
        f"<scanSettings><objectiveSettings><objective>{objective}</objective></objectiveSettings>"
        "<illuminationSettings><numericalAperture>0.4</numericalAperture>"
        f"{optics}</illuminationSettings></scanSettings></image>"
    )


def _attributes(values: dict[str, int]) -> str:
    """As XML has them."""
    return " ".join(f'{name}="{value}"' for name, value in values.items())
