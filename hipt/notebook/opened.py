"""Results of a run, opened: its slides, patches, regions and tasks, read when they are asked for.

Nothing is kept between two questions, so that results can be watched while a run makes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from hipt.cohort.so_far import slide_table
from hipt.errors import HiptError
from hipt.layout import Results
from hipt.notebook.html import page, table
from hipt.notebook.names import refuse_unknown
from hipt.notebook.slide import Heatmap, OpenedSlide
from hipt.notebook.tasks import OpenedTask, summary, task_names
from hipt.store.schemas import MANIFEST, region_embeddings_schema

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from hipt.notebook.vectors import Bags, Level


def open_results(folder: str | Path = "results") -> OpenedResults:
    """The results in a folder, finished or not; neither slides nor config are needed.

    Args:
        folder: what `results` in the config names, or a copy of it.

    Raises:
        HiptError: if it holds no results.
    """
    opened = OpenedResults(Results(Path(folder).expanduser().absolute()))
    _ = opened.slides
    return opened


class OpenedResults:
    """The results of one run."""

    def __init__(self, results: Results) -> None:
        self._results = results

    @property
    def folder(self) -> Path:
        """Where they lie."""
        return self._results.root

    @property
    def slides(self) -> pl.DataFrame:
        """The slide table, one row per slide: docs/outputs.md.

        Until a run has made it: a row per slide of the ledger from what is there, with null as the
        `status` of slides on their way.

        Raises:
            HiptError: if there is no table and no ledger, or one is damaged.
        """
        return slide_table(self._results)

    @property
    def patches(self) -> pl.LazyFrame:
        """All manifests, one row per patch; scanned when it is collected.

        `.collect(engine="streaming")` of what is selected, filtered or grouped holds a part of the
        cohort at a time.

        Raises:
            HiptError: as of `slides`.
        """
        return self._scan("tile", MANIFEST)

    @property
    def regions(self) -> pl.LazyFrame:
        """All regions with their vectors, one row per region; scanned as `patches`.

        slide_id, region, x, y (level-0 pixels), tissue (0 to 1), embedding (D float32).

        Raises:
            HiptError: as of `slides`.
        """
        return self._scan("embed_regions", region_embeddings_schema(0))

    @property
    def tasks(self) -> pl.DataFrame:
        """One row per task: kind, slides, units, cases, folds, fitted models, whether scored.

        Raises:
            HiptError: if a table of folds is damaged.
        """
        return summary(self._results)

    def task(self, name: str) -> OpenedTask:
        """One task: folds, predictions, scores, differences.

        Raises:
            HiptError: if there is no such task; with near names.
        """
        return OpenedTask(self._results, name)

    def slide(self, slide_id: str) -> OpenedSlide:
        """One slide: tissue, patches, regions, vectors, heatmaps.

        Raises:
            HiptError: if there is no such slide; with near names.
        """
        slides = self.slides
        refuse_unknown(f"{self.folder} has no slide", slide_id, slides["slide_id"].to_list())
        return OpenedSlide(
            self._results, slides.row(by_predicate=pl.col("slide_id") == slide_id, named=True)
        )

    def region_vectors(self, slide_id: str) -> Tensor:
        """(R, D) float32 of a slide, as of `OpenedSlide.region_vectors`."""
        return self.slide(slide_id).region_vectors()

    def patch_vectors(self, slide_id: str) -> Tensor:
        """(N, C) float16 of a slide, as of `OpenedSlide.patch_vectors`."""
        return self.slide(slide_id).patch_vectors()

    def bags(self, level: Level = "regions", slides: Sequence[str] | None = None) -> Bags:
        """The vectors of many slides: a torch `Dataset` of (slide_id, tensor), read one by one.

        Args:
            level: `regions`, (R, D) float32 each; `patches`, (N, C) float16 each.
            slides: their slide_ids; None: all that have vectors, in the order of `slides`.

        Raises:
            HiptError: if the level is unknown, or a named slide is, or has no vectors.
        """
        from hipt.notebook.vectors import STEP_OF, Bags

        refuse_unknown("vectors are not of", level, STEP_OF)
        paths = self._shards(STEP_OF[level])
        if slides is not None:
            known = dict.fromkeys(self.slides["slide_id"])
            for slide_id in slides:
                refuse_unknown(f"{self.folder} has no slide", slide_id, known)
                refuse_unknown(f"there are no vectors of {level} of slide", slide_id, paths)
            paths = {slide_id: paths[slide_id] for slide_id in slides}
        return Bags(level, paths)

    def layers(self, slide_id: str) -> list[str]:
        """What `show` can show of a slide, as of `OpenedSlide.layers`."""
        return self.slide(slide_id).layers

    def heatmap(self, slide_id: str, layer: str) -> Heatmap:
        """A slide's map on its lattice, as of `OpenedSlide.heatmap`."""
        return self.slide(slide_id).heatmap(layer)

    def show(self, slide_id: str, layer: str | None = None, px: int = 1000) -> Figure:
        """A slide's picture under a layer, as of `OpenedSlide.show`."""
        return self.slide(slide_id).show(layer, px)

    def _shards(self, step: str) -> dict[str, Path]:
        """A step's files of the slides in order or on their way, by slide_id."""
        folder = self.folder / step  # listed once: asking for each file is slow on network disks
        there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        fit = self.slides.filter(pl.col("status").is_null() | (pl.col("status") == "ok"))
        paths = {slide: self._results.shard(step, slide) for slide in fit["slide_id"]}
        return {slide: path for slide, path in paths.items() if path.name in there}

    def _scan(self, step: str, schema: pa.Schema) -> pl.LazyFrame:
        """A step's Parquet files as one frame; without rows where there are none."""
        paths = list(self._shards(step).values())
        if not paths:
            return pl.DataFrame(schema.empty_table()).lazy()
        return pl.scan_parquet(paths, glob=False)

    def _facts(self) -> dict[str, object]:
        """What a notebook shows: how many slides ended how, counts, tasks, where to look."""
        slides = self.slides
        counts = slides["status"].fill_null("on its way").value_counts(sort=True)
        shown: dict[str, object] = {"slides": len(slides)}
        shown |= {f"status {status}": count for status, count in counts.iter_rows()}
        shown |= {n: slides.filter(status="ok")[n].sum() for n in ("regions", "patches")}
        shown["heatmaps"] = len(self._shards("attend"))
        shown["tasks"] = ", ".join(task_names(self._results)) or "none"
        report = self._results.report
        shown["report"] = str(report) if report.is_file() else "not made yet"
        return shown

    def __repr__(self) -> str:
        try:
            facts = ", ".join(f"{name}: {value}" for name, value in self._facts().items())
        except HiptError as error:  # what shows a variable wants no exception
            return f"results in {error}"
        return f"results in {self.folder}: {facts}"

    def _repr_html_(self) -> str:
        """Counts, statuses, and where to look, as notebooks show them."""
        try:
            slides, facts = self.slides, self._facts()
        except HiptError:
            return page(repr(self))
        troubled = slides.filter(pl.col("status") != "ok", pl.col("reason") != "").head(10)
        reasons = {
            f"{s}: {status}": reason
            for s, status, reason in troubled.select("slide_id", "status", "reason").iter_rows()
        }
        hint = "<p>.slides, .patches, .regions, .tasks; .slide(id), .task(name), .show(id)</p>"
        return page(f"results in {self.folder}", table(facts), table(reasons), hint)
