"""The brush: a scene and its cells become pixels, strip by strip."""

from __future__ import annotations

import cv2
import numpy as np

from hipt.demo.cells import Cells
from hipt.demo.noise import Bytes, Floats, smooth, smoothstep, texture
from hipt.demo.nuclei import DENSE, stamp
from hipt.demo.scene import MAP_UM, Scene
from hipt.demo.stain import UNIT, Stain

_STRIP_PX = 256
_TILE_PX = 1024

_LOOKS = np.array(
    # haematoxylin, eosin, fibres, grain, walls; glass looks like stroma up to its edge
    [
        (0.08, 0.52, 0.46, 0.08, 0.0),  # glass
        (0.08, 0.52, 0.46, 0.08, 0.0),  # stroma
        (0.22, 0.38, 0.00, 0.12, 0.60),  # tumour
        (0.13, 0.34, 0.20, 0.12, 0.0),  # immune
        (0.22, 0.40, 0.00, 0.12, 0.35),  # gland
        (0.06, 0.46, 0.00, 0.18, -0.75),  # necrosis
        (0.05, 0.50, 0.05, 0.04, 0.0),  # fat
    ],
    np.float32,
)


def paint(scene: Scene, cells: Cells, stain: Stain, mpp: float, rng: np.random.Generator) -> Bytes:
    """The slide as a scanner would see it.

    Args:
        scene: where everything lies.
        cells: its cells.
        stain: colours of dyes and glass.
        mpp: micrometres per pixel to paint at.
        rng: where textures come from.

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
        part = slice(top, min(top + _STRIP_PX, rows))
        picture[part] = table[brush.concentrations(top, nuclei[part])]
    return picture


class _Brush:
    """The fields and textures of one slide."""

    def __init__(self, scene: Scene, cells: Cells, mpp: float, rng: np.random.Generator) -> None:
        shape = scene.labels.shape[0], scene.labels.shape[1]
        looks = cv2.GaussianBlur(_LOOKS[scene.labels], (0, 0), 1.2)
        looks[..., :2] *= (1 + 0.10 * smooth(rng, shape, 150 / MAP_UM))[..., None]
        self.mpp = mpp
        self.looks = np.ascontiguousarray(looks[..., :4])
        self.places = np.stack([cells.clear, cells.wall, cells.along, cells.across], axis=-1)
        self.wall_share = np.ascontiguousarray(looks[..., 4])
        coarse, fine = (texture(rng, _TILE_PX, (s / 0.5, 16 / 0.5)) for s in (2.4, 0.8))
        self.fibres = (0.5 * coarse + 0.85 * fine).astype(np.float32)
        coarse, fine = (texture(rng, _TILE_PX, (s / mpp, s / mpp)) for s in (2.2, 0.45))
        self.grain = (0.7 * coarse + 0.7 * fine).astype(np.float32)

    def concentrations(self, top: int, nuclei: Bytes) -> np.ndarray:
        """Rows of the stain's table for a strip, its first row being `top`."""
        rows, cols = nuclei.shape
        h, e, fibre, grain = cv2.split(self._enlarged(self.looks, top, nuclei.shape))
        clear, wall, along, across = cv2.split(self._enlarged(self.places, top, nuclei.shape))
        walls = self._enlarged(self.wall_share, top, nuclei.shape) * (
            1 - smoothstep(wall, 0.3, 2.2)
        )
        fibre *= cv2.remap(
            self.fibres, along / 0.5, across / 0.5, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
        )
        speckle = self.grain[np.arange(top, top + rows) % _TILE_PX][:, np.arange(cols) % _TILE_PX]
        grain *= speckle
        dense = nuclei * np.float32(1 / DENSE)
        tissue = 1 - smoothstep(clear, -0.4, 0.6)
        h = (h * (1 + grain) + dense) * tissue
        e *= (
            np.maximum(1 + fibre + grain + walls, 0.03) * (1 - 0.55 * np.minimum(dense, 1)) * tissue
        )
        return _byte(h) * 256 + _byte(e)

    def _enlarged(self, field: Floats, top: int, shape: tuple[int, ...]) -> Floats:
        """A strip of a map's field at the picture's resolution."""
        scale = self.mpp / MAP_UM
        offset = 0.5 * scale - 0.5
        matrix = np.array([[scale, 0, offset], [0, scale, top * scale + offset]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(
            field, matrix, (shape[1], shape[0]), flags=flags, borderMode=cv2.BORDER_REPLICATE
        )


def _byte(concentration: Floats):
    """Concentrations as the stain table counts them."""
    return np.clip(concentration * UNIT + 0.5, 0, 255).astype(np.uint16)
