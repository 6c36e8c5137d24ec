"""The brush: a scene and its cells become pixels, strip by strip."""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from hipt.demo.cells import Cells
from hipt.demo.noise import Bytes, Floats, floats, smooth, smoothstep, texture
from hipt.demo.nuclei import DENSE, stamp
from hipt.demo.scene import MAP_UM, Scene
from hipt.demo.stain import UNIT, Stain

Shorts: TypeAlias = npt.NDArray[np.uint16]

_STRIP_PX = 256
_TILE_PX = 1024
_FIBRE_UM = 0.5
"""Side of a pixel of the fibre texture."""

_LOOKS = floats(
    [  # haematoxylin, eosin, fibres, grain, walls; glass looks like stroma up to its edge
        (0.08, 0.52, 0.46, 0.08, 0.0),  # glass
        (0.08, 0.52, 0.46, 0.08, 0.0),  # stroma
        (0.22, 0.38, 0.00, 0.12, 0.60),  # tumour
        (0.13, 0.34, 0.20, 0.12, 0.0),  # immune
        (0.22, 0.40, 0.00, 0.12, 0.35),  # gland
        (0.18, 0.52, 0.00, 0.18, -0.75),  # necrosis
        (0.05, 0.50, 0.05, 0.04, 0.0),  # fat
    ]
)


def paint(scene: Scene, cells: Cells, stain: Stain, mpp: float, rng: np.random.Generator) -> Bytes:
    """The slide as a scanner would see it.

    Returns:
        (rows, columns, 3) picture, RGB.
    """
    rows, cols = (round(side * MAP_UM / mpp) for side in scene.labels.shape)
    nuclei = np.zeros((rows, cols), np.uint8)
    for kind, places in cells.nuclei.items():
        stamp(nuclei, kind, places, mpp)
    brush = _Brush(scene, cells, mpp, rng)
    table = stain.table()
    picture = np.empty((rows, cols, 3), np.uint8)
    for top in range(0, rows, _STRIP_PX):
        strip = slice(top, min(top + _STRIP_PX, rows))
        picture[strip] = np.take(table, brush.concentrations(top, nuclei[strip]), axis=0)
    return picture


class _Brush:
    """The fields and textures of one slide."""

    def __init__(self, scene: Scene, cells: Cells, mpp: float, rng: np.random.Generator) -> None:
        self.mpp = mpp
        self.cells = cells
        looks = [cv2.GaussianBlur(look[scene.labels], (0, 0), 1.2) for look in _LOOKS.T]
        thickness = 1 + 0.10 * smooth(rng, scene.labels.shape, 150 / MAP_UM)
        self.haematoxylin, self.eosin = floats(looks[0] * thickness), floats(looks[1] * thickness)
        self.fibre, self.grain = floats(looks[2]), floats(looks[3])
        patchy = np.clip(0.9 + 0.45 * smooth(rng, scene.labels.shape, 50 / MAP_UM), 0, 1.3)
        self.walls = floats(looks[4] * patchy)
        long = 16 / _FIBRE_UM
        coarse, fine = (texture(rng, _TILE_PX, (um / _FIBRE_UM, long)) for um in (2.4, 0.8))
        self.fibre_tile = floats(0.5 * coarse + 0.85 * fine)
        coarse, fine = (texture(rng, _TILE_PX, (um / mpp, um / mpp)) for um in (2.2, 0.45))
        self.grain_tile = floats(0.7 * coarse + 0.7 * fine)

    def concentrations(self, top: int, nuclei: Bytes) -> Shorts:
        """Rows of the stain's table for a strip of the picture that starts at row `top`."""

        def enlarged(field: Floats) -> Floats:
            return _enlarged(field, top, nuclei.shape, self.mpp / MAP_UM)

        grain = enlarged(self.grain) * self._speckle(top, nuclei.shape)
        along, across = enlarged(self.cells.along), enlarged(self.cells.across)
        fibre = enlarged(self.fibre) * cv2.remap(
            self.fibre_tile,
            along / _FIBRE_UM,
            across / _FIBRE_UM,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )
        wall = enlarged(self.walls) * (1 - smoothstep(enlarged(self.cells.wall), 0.3, 2.2))
        tissue = 1 - smoothstep(enlarged(self.cells.clear), -0.4, 0.6)
        dense = nuclei * np.float32(1 / DENSE)
        h = (enlarged(self.haematoxylin) * (1 + grain) + dense) * tissue
        e = enlarged(self.eosin) * np.maximum(1 + fibre + grain + wall, 0.03) * tissue
        return _byte(h) * np.uint16(256) + _byte(e * (1 - 0.55 * np.minimum(dense, 1)))

    def _speckle(self, top: int, shape: tuple[int, ...]) -> Floats:
        """The grain's texture over a strip."""
        rows = np.arange(top, top + shape[0]) % _TILE_PX
        return np.take(self.grain_tile[rows], np.arange(shape[1]), axis=1, mode="wrap")


def _enlarged(field: Floats, top: int, shape: tuple[int, ...], scale: float) -> Floats:
    """A strip of a map's field at the picture's resolution; `scale` is map pixels per pixel."""
    offset = 0.5 * scale - 0.5
    matrix = np.array([[scale, 0, offset], [0, scale, top * scale + offset]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    strip = cv2.warpAffine(
        field, matrix, (shape[1], shape[0]), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(strip, np.float32)


def _byte(concentration: Floats) -> Shorts:
    """Concentrations as the stain's table counts them."""
    return np.asarray(np.clip(concentration * UNIT + 0.5, 0, 255), np.uint16)
