"""A folder of results as it is now, behind the viewer's answers: tables, pictures, vectors."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from hipt.config.config import Config
from hipt.errors import HiptError
from hipt.heatmaps.table import SlideMaps, read_maps
from hipt.layout import Results
from hipt.registry import SHARDED
from hipt.store.tables import Row
from hipt.view.answers import RefusedError, as_json, quoted
from hipt.view.bounded import Bounded
from hipt.view.cohort import Cohort, Mark, mark_of, read_cohort, reason_of
from hipt.view.maps import Map, layers, map_of
from hipt.view.neighbours import Neighbours, Question, shown
from hipt.view.places import Grid, outlines, read_grid, sides_px
from hipt.view.predictions import Predictions
from hipt.view.slides import Slides
from hipt.view.tiles import OVERLAP_PX, TILE_PX

log = logging.getLogger(__name__)

OVERVIEW_PX = 1600
"""Longest side of an overview without outlines."""

MAPS, GRIDS, SIDES = 16, 64, 100_000
"""Slides whose heatmaps, grids, and sides of patches stay in memory: about 5 MB, 1 MB, 1 kB each.
"""

FRESH_S = 1.0
"""Seconds until it is looked again whether a run has gone on: on network disks that takes long."""

Stamp = tuple[str, int]
"""A slide, and when its file was written."""


class Viewed:
    """What there is to see. Read-only; what has changed on disk is read anew."""

    def __init__(self, results: Results, config: Config) -> None:
        self._results, self._config = results, config
        self._mark, self._looked = mark_of(results), time.monotonic()
        self._cohorts: Bounded[Mark, tuple[Cohort, bytes]] = Bounded(1)
        self._maps: Bounded[Stamp, SlideMaps] = Bounded(MAPS)
        self._grids: Bounded[Stamp, Grid] = Bounded(GRIDS)
        self._sides: Bounded[Stamp, tuple[int, int]] = Bounded(SIDES)
        self._slides = Slides()
        self._predictions = Predictions(results)
        self._neighbours = Neighbours(results)
        self._neighbours.regions.refresh()

    def cohort(self) -> Cohort:
        """The cohort as far as a run has come."""
        return self._cohort()[0]

    def cohort_json(self) -> bytes:
        """The table of all slides, as the page gets it."""
        return self._cohort()[1]

    def _cohort(self) -> tuple[Cohort, bytes]:
        def made() -> tuple[Cohort, bytes]:
            cohort = read_cohort(self._results, self._config)
            name = self._results.root.resolve().name
            content = {"results": name, "slides": cohort.columns(), "tasks": list(cohort.tasks)}
            return cohort, as_json(content)

        now = time.monotonic()
        if now - self._looked > FRESH_S:
            self._looked, self._mark = now, mark_of(self._results)
        return self._cohorts.get(self._mark, made)

    def slide(self, slide_id: str) -> Row:
        """What there is of a slide: size, layers, predictions."""
        cohort = self.cohort()
        row = cohort.slide(slide_id)
        facts: Row = {
            **{"slide": slide_id, "case": row["case_id"], "status": row["status"]},
            **{"reason": reason_of(row), "note": row["note"], "readable": True},
            **{"width": row["width_px"], "height": row["height_px"], "mpp": row["mpp"]},
            **{"magnification": row["objective"], "tile_px": TILE_PX, "overlap": OVERLAP_PX},
            **{"min_level": None, "max_level": None},
        }
        try:
            opened = self._slides.open(row)
        except RefusedError as error:
            facts |= {"readable": False, "reason": str(error)}
        else:
            info, zoom = opened.slide.info, opened.zoom
            facts |= {"width": info.width_px, "height": info.height_px}
            facts |= {"min_level": zoom.first_level, "max_level": zoom.last_level}
            facts |= {"magnification": row["objective"] or info.objective}
        return facts | {
            "layers": self._layers(slide_id),
            "predictions": self._predictions.of(slide_id, cohort.tasks),
            "status_of_steps": self._steps(slide_id),
        }

    def _layers(self, slide_id: str) -> list[Row]:
        """Everything that can be laid over a slide."""
        there = self._results.contours(slide_id).exists(), self._shard("tile", slide_id).exists()
        kinds = ("contours", "tissue"), ("regions", "regions"), ("patches", "patches")
        found = [
            {"name": kind, "label": label, "kind": kind, "group": "outlines", "signed": False}
            | {"low": 0, "high": 1, "unit": ""}
            for (kind, label), made in zip(kinds, (*there, there[1]), strict=True)
            if made
        ]
        try:
            maps = self._maps_of(slide_id)
        except HiptError as error:
            log.warning("%s; slide %s is shown without heatmaps", error, slide_id)
            maps = None
        return found + (layers(maps) if maps else [])

    def _steps(self, slide_id: str) -> dict[str, bool]:
        """Whether each step's file of the slide is there."""
        return {step: self._shard(step, slide_id).exists() for step in SHARDED}

    def thumbnail(self, slide_id: str, *, outlined: bool) -> bytes:
        """The overview that segment drew; without outlines it is read from the slide."""
        row = self.cohort().slide(slide_id)
        if not outlined:
            return self._slides.overview(row, OVERVIEW_PX)
        path = self._results.overview("segment", slide_id)
        if not path.exists():
            raise RefusedError(404, f"slide {quoted(slide_id)} has no overview (yet)")
        return path.read_bytes()

    def tile(self, slide_id: str, level: int, column: int, row: int) -> bytes:
        """A tile of a slide as JPEG."""
        return self._slides.tile(self.cohort().slide(slide_id), level, column, row)

    def crop(self, slide_id: str, corner: tuple[float, float], side_px: float, px: int) -> bytes:
        """A square of a slide as JPEG."""
        return self._slides.crop(self.cohort().slide(slide_id), corner, side_px, px)

    def contours(self, slide_id: str) -> Row:
        """The outlines of a slide's tissue."""
        row = self.cohort().slide(slide_id)
        path = self._results.contours(slide_id)
        if not path.exists():
            raise RefusedError(404, f"slide {quoted(slide_id)} has no outlines of tissue (yet)")
        return {"polygons": outlines(path, row["bounds"])}

    def regions(self, slide_id: str) -> Row:
        """Where a slide's regions lie."""
        return self._grid(slide_id).all_regions()

    def patches(self, slide_id: str, region: int) -> Row:
        """Where the patches of a region lie."""
        return self._grid(slide_id).all_patches(region, self._shard("embed_patches", slide_id))

    def map(self, slide_id: str, layer: str) -> Map:
        """A heatmap of a slide."""
        self.cohort().slide(slide_id)
        maps = self._maps_of(slide_id)
        if maps is None:
            raise RefusedError(404, f"slide {quoted(slide_id)} has no heatmaps (attend.slides)")
        return map_of(maps, layer)

    def neighbours(self, question: Question) -> Row:
        """What looks like a region or patch of a slide."""
        cohort = self.cohort()
        cohort.slide(question.slide_id)
        answer, patch = self._neighbours.of(question, cohort), question.patch is not None
        rows = []
        for found in answer.found:
            try:
                side_px = self._side_px(found.slide_id, patch=patch)
            except HiptError as error:
                log.warning("%s; no neighbour is shown of it", error)
            else:
                rows.append(shown(found, question, cohort, side_px))
        return {
            **{"searched": answer.searched, "exact": answer.exact, "how": answer.how},
            "neighbours": rows,
        }

    def _side_px(self, slide_id: str, *, patch: bool) -> int:
        """Side of a slide's regions or patches, level-0 pixels."""
        path = self._manifest(slide_id)
        return self._sides.get(_stamp(slide_id, path), lambda: sides_px(path))[patch]

    def _grid(self, slide_id: str) -> Grid:
        """The regions and patches of a slide."""
        path = self._manifest(slide_id)
        return self._grids.get(_stamp(slide_id, path), lambda: read_grid(path))

    def _manifest(self, slide_id: str) -> Path:
        """A slide's manifest, which is there."""
        self.cohort().slide(slide_id)
        path = self._shard("tile", slide_id)
        if not path.exists():
            raise RefusedError(404, f"slide {quoted(slide_id)} has no regions (yet)")
        return path

    def _maps_of(self, slide_id: str) -> SlideMaps | None:
        """The heatmaps of a slide; None where it has none."""
        path = self._shard("attend", slide_id)
        if not path.exists():
            return None
        return self._maps.get(_stamp(slide_id, path), lambda: read_maps(path))

    def _shard(self, step: str, slide_id: str) -> Path:
        return self._results.shard(step, slide_id)


def _stamp(slide_id: str, path: Path) -> Stamp:
    """A slide's file as it is now.

    Raises:
        HiptError: if it has just gone.
    """
    try:
        return slide_id, path.stat().st_mtime_ns
    except OSError:
        raise HiptError(f"{path}: has just gone") from None
