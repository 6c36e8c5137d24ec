"""From stain concentrations to colours by Beer and Lambert's law."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hipt.demo.noise import Bytes

UNIT = 112.0
"""Byte value of concentration 1; a byte so reaches a little over twice that."""

_Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Stain:
    """How one laboratory's slides look: two dyes and the light behind them."""

    haematoxylin: _Triple
    """Optical density of red, green and blue at concentration 1: a dense nucleus."""
    eosin: _Triple
    """The same for eosin at concentration 1: dense collagen."""
    white: _Triple
    """Red, green and blue of empty glass, 0 to 255."""

    def varied(self, rng: np.random.Generator) -> Stain:
        """The same laboratory on another day: each dye up to 6 % stronger or weaker."""
        h, e = rng.uniform(0.94, 1.06, 2)
        return Stain(_times(self.haematoxylin, h), _times(self.eosin, e), self.white)

    def table(self) -> Bytes:
        """(65536, 3) colours; row 256·h + e is that of the concentration bytes h and e."""
        steps = np.arange(256) / UNIT
        h, e = (np.multiply.outer(steps, dye) for dye in (self.haematoxylin, self.eosin))
        colours = np.asarray(self.white) * 10.0 ** -(h[:, None] + e[None])
        return np.rint(colours).astype(np.uint8).reshape(-1, 3)


def _times(dye: _Triple, factor: float) -> _Triple:
    """A dye at another strength."""
    red, green, blue = dye
    return red * factor, green * factor, blue * factor


SITES = {
    "alder": Stain((0.48, 0.56, 0.27), (0.05, 0.41, 0.21), (244.0, 243.0, 245.0)),
    "birch": Stain((0.45, 0.61, 0.30), (0.07, 0.44, 0.21), (238.0, 234.0, 239.0)),
    "cedar": Stain((0.46, 0.53, 0.24), (0.05, 0.37, 0.19), (250.0, 250.0, 248.0)),
}
"""Three laboratories: bluish and clear; reddish, dark and dull; pale."""
