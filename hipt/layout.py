"""Where everything lies in the results folder: the one place that knows its layout.

Standard library only, since Snakemake reads it while parsing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hipt.registry import SHARDED

LEDGER = "batches.csv"
"""Which slide is in which batch."""

VARYING = frozenset({"logs", "benchmarks", "report.html", "excerpts", "digests.json", "engines"})
"""What differs between equal runs: seconds, dates, and times of files; and parts of the report."""


@dataclass(frozen=True)
class Results:
    """The results folder of one run."""

    root: Path

    @classmethod
    def of_index(cls, index: Path) -> Results:
        """The folder that holds `<root>/<step>/index/<batch>.parquet`."""
        return cls(index.parents[2])

    @property
    def batches(self) -> Path:
        """Which slide is in which batch."""
        return self.root / LEDGER

    @property
    def mapped(self) -> Path:
        """Which slides get heatmaps."""
        return self.root / "mapped.csv"

    @property
    def slides(self) -> Path:
        """The slide table."""
        return self.root / "slides.parquet"

    @property
    def probe(self) -> Path:
        """What the features know of the labels."""
        return self.root / "probe.parquet"

    @property
    def figures(self) -> Path:
        """The report's figures as PDF and SVG, for papers."""
        return self.root / "figures"

    @property
    def excerpts(self) -> Path:
        """Parts of the report as files of their own, for Snakemake's."""
        return self.root / "excerpts"

    @property
    def agreement(self) -> Path:
        """How well heatmaps find what was labelled."""
        return self.root / "agreement.parquet"

    def task(self, task: str, name: str) -> Path:
        """A file of a task: folds.parquet, leaks.parquet, scores.parquet, ..."""
        return self.root / "tasks" / task / name

    def fit(self, task: str, model: str, fraction: str, name: str) -> Path:
        """A file of a model fitted with a share of the training part, e.g. predictions.parquet."""
        return self.root / "tasks" / task / model / fraction / name

    def knn(self, task: str) -> Path:
        """What nearest neighbours say of a task's test parts."""
        return self.root / "knn" / f"{task}.parquet"

    def knn_scores(self, task: str) -> Path:
        """How good that is, in rows like those of the task's scores.parquet."""
        return self.root / "knn" / f"{task}.scores.parquet"

    def knn_published(self, task: str) -> Path:
        """Published numbers beside that, in rows like those of the task's published.parquet."""
        return self.root / "knn" / f"{task}.published.parquet"

    def maps(self, slide_id: str) -> Path:
        """Folder of a slide's heatmaps."""
        return self.root / "attend" / slide_id

    def export(self, name: str) -> Path:
        """The tree of one format of other tools; what is in it: the same with `.parquet`."""
        return self.root / "export" / name

    @property
    def report(self) -> Path:
        """The report page."""
        return self.root / "report.html"

    @property
    def digests(self) -> Path:
        """Remembered sha256 of large files."""
        return self.root / "digests.json"

    @property
    def engines(self) -> Path:
        """What trying the engines of this machine came to: a file per network."""
        return self.root / "engines"

    @property
    def benchmarks(self) -> Path:
        """Time and memory of what ran; its content varies between runs."""
        return self.root / "benchmarks"

    def model(self, name: str) -> Path:
        """Weights that the workflow trains: `vit256` or `vit4096`."""
        return self.root / "models" / f"{name}.safetensors"

    def index(self, step: str, batch: str) -> Path:
        """A batch's declared output: one row per slide."""
        return self.root / step / "index" / f"{batch}.parquet"

    def seconds(self, step: str, batch: str) -> Path:
        """Seconds per slide of a batch."""
        return self.benchmarks / step / f"{batch}.slides.csv"

    def log(self, step: str, name: str = "") -> Path:
        """What the job of a batch, a task, a fit says; without a name: a step that is one job."""
        return self.root / "logs" / (f"{step}/{name}.log" if name else f"{step}.log")

    def traceback(self, step: str, slide_id: str) -> Path:
        """Where an error lies that ended a slide and that nobody foresaw."""
        return self.root / "logs" / step / "failed" / f"{slide_id}.txt"

    def shard(self, step: str, slide_id: str) -> Path:
        """A slide's own file."""
        return self.root / step / f"{slide_id}{SHARDED[step]}"

    def overview(self, step: str, slide_id: str) -> Path:
        """A slide's picture: contours (segment), contours and regions (tile)."""
        return self.root / step / f"{slide_id}.jpg"

    def contours(self, slide_id: str) -> Path:
        """A slide's tissue as GeoJSON, level-0 pixels."""
        return self.root / "segment" / f"{slide_id}.geojson"
