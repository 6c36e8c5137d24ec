"""One slide of opened results: tissue, patches, vectors, heatmaps, each read when asked for.

Legend: R regions, T patches in a region, N = R·T patches, C and D widths of their vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from hipt.cohort.batch_run import Row
from hipt.errors import HiptError
from hipt.exchange.annotations import read_contours
from hipt.geometry.lattice import lattice, on_lattice
from hipt.layout import Results
from hipt.notebook.html import page, picture, table
from hipt.notebook.names import refuse_unknown
from hipt.pictures.drawing import RGB, enlarged, shrunk
from hipt.registry import SHARDED
from hipt.store.images import read_mask, read_rgb
from hipt.store.schemas import MANIFEST
from hipt.store.tables import PatchEmbeddings, read_region_embeddings, read_table

if TYPE_CHECKING:
    import shapely
    from matplotlib.figure import Figure
    from torch import Tensor

    from hipt.heatmaps.table import SlideMaps

OVERVIEWS = {"contours": "segment", "regions": "tile"}
"""Layers that are pictures already, by the step that drew them."""

FIRST = ("attention", "component1", "regions")
"""Which layer is shown where none is named: the first of these that there is."""

THUMBNAIL_PX = 320
"""Long side of the picture beside a slide's facts."""

SHOWN = (
    *("status", "reason", "note", "case_id", "mpp", "width_px", "height_px", "tissue_mm2"),
    *("regions", "patches", "tissue_patches"),
)
"""What a notebook shows of a slide's row."""


@dataclass(frozen=True)
class Heatmap:
    """A map's values, and where they lie on the slide."""

    name: str
    values: npt.NDArray[np.float64]
    """[rows, columns] one per patch; NaN where there is none."""
    x: int
    """Left edge of the first column, level-0 pixels as OpenSlide counts them."""
    y: int
    """Upper edge of the first row."""
    side_px: int
    """Width and height of a cell, level-0 pixels."""
    ends: tuple[str, str] | None
    """Of a signed map, what values below and above 0 speak for."""


class OpenedSlide:
    """A slide by its row of the slide table."""

    def __init__(self, results: Results, row: Row) -> None:
        self.slide_id: str = row["slide_id"]
        self.status: str | None = row["status"]
        """What became of it; None while it is on its way."""
        self.row = row
        """Its row of the slide table, by column: docs/outputs.md."""
        self._results = results

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """[h, w] tissue, over the whole slide, about `segment.mask_mpp` micrometres per pixel.

        Raises:
            HiptError: if it is absent or damaged.
        """
        return read_mask(self._results.shard("segment", self.slide_id))

    @property
    def contours(self) -> shapely.MultiPolygon:
        """The tissue as polygons with holes, level-0 pixels as OpenSlide counts them.

        Raises:
            HiptError: if they are absent or damaged.
        """
        return read_contours(self._results.contours(self.slide_id), self.row["bounds"] or (0, 0))

    @property
    def overview(self) -> RGB:
        """The whole slide with its contours, uint8 [h, w, 3].

        Raises:
            HiptError: if it is absent or damaged.
        """
        return read_rgb(self._results.overview("segment", self.slide_id))

    @property
    def patches(self) -> pl.DataFrame:
        """The manifest: N rows, region by region, row by row inside; corners in level-0 pixels.

        With `readable` and `computed` of stage 1, null until it is done; docs/outputs.md.

        Raises:
            HiptError: if it is absent or damaged.
        """
        frame = pl.DataFrame(read_table(self._results.shard("tile", self.slide_id), MANIFEST))
        names = ("readable", "computed")
        path = self._results.shard("embed_patches", self.slide_id)
        if not path.is_file():
            return frame.with_columns(pl.lit(None, pl.Boolean).alias(name) for name in names)
        shard = PatchEmbeddings(path)
        regions = [shard.region(i) for i in range(len(shard))]
        flags = {
            n: np.concatenate([r[n].to_numpy(zero_copy_only=False) for r in regions]) for n in names
        }
        if len(flags["readable"]) != len(frame):
            raise HiptError(
                f"{path}: is of other patches than the manifest; run again, it is made anew"
            )
        return frame.with_columns(pl.Series(name, values) for name, values in flags.items())

    @property
    def regions(self) -> pl.DataFrame:
        """R rows: region, x, y (level-0 pixels), tissue (0 to 1), embedding (D float32).

        Raises:
            HiptError: if stage 2 has not run, or its file is damaged.
        """
        self._refuse_unfit("region vectors")
        shard = self._results.shard("embed_regions", self.slide_id)
        return pl.DataFrame(read_region_embeddings(shard))

    def region_vectors(self) -> Tensor:
        """(R, D) float32, in the order of `regions`.

        Raises:
            HiptError: if there are none, or their file is damaged.
        """
        from hipt.notebook.vectors import region_vectors

        self._refuse_unfit("region vectors")
        return region_vectors(self._results.shard("embed_regions", self.slide_id))

    def patch_vectors(self) -> Tensor:
        """(N, C) float16, in the order of `patches`; `.unflatten(0, (R, T))` has them by region.

        Raises:
            HiptError: if there are none, or their file is damaged.
        """
        from hipt.notebook.vectors import patch_vectors

        self._refuse_unfit("patch vectors")
        return patch_vectors(self._results.shard("embed_patches", self.slide_id))

    @property
    def layers(self) -> list[str]:
        """What `show` can show: `contours`, `regions`, maps of `attend`, heads of stage 2.

        Raises:
            HiptError: if the maps are damaged.
        """
        there = [
            layer
            for layer, step in OVERVIEWS.items()
            if self._results.overview(step, self.slide_id).is_file()
        ]
        maps = self._maps()
        return [*there, *maps.layers] if maps else there

    def heatmap(self, layer: str) -> Heatmap:
        """A map of `attend` on its lattice of patches.

        Args:
            layer: its name, e.g. `attention`, `head 0` or `subtype.abmil.contribution`.

        Raises:
            HiptError: if the slide has no such map (with near names), or they are damaged.
        """
        maps = self._maps()
        values = maps.layers if maps else {}
        refuse_unknown(f"{self.slide_id} has no heatmap", layer, values)
        assert maps is not None
        corners, side = maps.corners, maps.side_px
        placed = on_lattice(lattice(corners, side), values[layer])
        x, y = (int(start) for start in corners.min(0))
        return Heatmap(layer, placed, x, y, side, maps.ends.get(layer))

    def show(self, layer: str | None = None, px: int = 1000) -> Figure:
        """The whole slide with its contours under a layer, with colour bar and scale bar.

        Args:
            layer: one of `layers`; None: the mean attention of stage 2, or without stage 2 the
                first component of patch vectors; where there are no maps the regions, or contours.
            px: long side of the picture inside the figure.

        Returns:
            A matplotlib figure; `savefig` writes it.

        Raises:
            HiptError: if the slide has no such layer (with near names), or a file is damaged.
        """
        layers = self.layers
        if layer is None:
            layer = next((name for name in FIRST if name in layers), "contours")
        refuse_unknown(f"{self.slide_id} has no layer", layer, layers)
        overview = read_rgb(self._results.overview(OVERVIEWS.get(layer, "segment"), self.slide_id))
        shown = shrunk(enlarged(overview, px), px)
        if layer not in OVERVIEWS:
            from hipt.heatmaps.draw import drawn

            maps = self._maps()
            assert maps is not None
            return drawn(maps, self.row, shown, layer, self.contours)
        from hipt.pictures.heat import figure

        um_per_px = self.row["mpp"] * self.row["width_px"] / shown.shape[1]
        return figure({"": shown}, None, title=f"{self.slide_id}: {layer}", um_per_px=um_per_px)

    def _maps(self) -> SlideMaps | None:
        """The slide's maps; None where `attend` made none."""
        from hipt.heatmaps.table import read_maps

        shard = self._results.shard("attend", self.slide_id)
        return read_maps(shard) if shard.is_file() else None

    def _refuse_unfit(self, what: str) -> None:
        """Refuse what is left of a slide that ended badly.

        Raises:
            HiptError: with its status and reason.
        """
        if self.status not in ("ok", None):
            reason = self.row["reason"]
            raise HiptError(f"{self.slide_id} has no {what}: it is {self.status} ({reason})")

    def _facts(self) -> dict[str, Any]:
        """What a notebook shows of it: what is known, by column."""
        return {name: self.row[name] for name in SHOWN if self.row[name] not in (None, "")}

    def __repr__(self) -> str:
        facts = ", ".join(f"{name} {value}" for name, value in self._facts().items())
        return f"slide {self.slide_id}: {facts}"

    def _repr_html_(self) -> str:
        """Thumbnail, facts, layers and files, as notebooks show them."""
        files = [self._results.shard(step, self.slide_id) for step in SHARDED]
        there = ", ".join(str(file) for file in files if file.is_file())
        facts = {**self._facts(), "layers": ", ".join(self.layers), "files": there}
        path, shown = self._results.overview("segment", self.slide_id), ""
        if path.is_file():
            rgb = shrunk(enlarged(read_rgb(path), THUMBNAIL_PX), THUMBNAIL_PX)
            shown = picture(rgb, self.slide_id)
        return page(f"slide {self.slide_id}", shown, table(facts))
