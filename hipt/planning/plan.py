"""The plan of a run: config checked, sheet read, batches formed, weights known; nothing written."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hipt.cohort.folder import departed
from hipt.cohort.ledger import Ledger, read_ledger, updated
from hipt.cohort.masks import missing_masks
from hipt.cohort.sheet import SlideRow, read_with_remarks
from hipt.config.config import PRETRAIN, Config
from hipt.config.section import parse
from hipt.config.trained import Stage, resolved, trained
from hipt.embedding.weights_identity import weights_identity
from hipt.exchange.feature_files import FeatureFiles
from hipt.layout import Results
from hipt.planning.labels import Labels
from hipt.pretraining.corpus_choice import chosen

Log = Callable[[int, str], None]
"""Takes a level of Python's logging, and a text."""


@dataclass(frozen=True)
class Plan:
    """What a run will do. `hipt.planning.start` writes down what its jobs have to find."""

    written: Config
    """As it was given."""
    config: Config
    """With the paths of models that are trained here."""
    rows: Sequence[SlideRow]
    """The sheet."""
    ledger: Ledger
    """With the sheet's new slides in it."""
    labels: Labels
    weights: Mapping[str, str]
    """What decides the numbers of an embedding step: the identity of its weights. A model that is
    trained here is an input file of its rule, and its content is not known before."""

    @cached_property
    def results(self) -> Results:
        """Where everything lies that is made."""
        return Results(Path(self.config.results))

    @cached_property
    def trained(self) -> dict[Stage, Path]:
        """The models that are trained here, wherever they are there already."""
        return trained(self.written)

    @cached_property
    def features(self) -> FeatureFiles | None:
        """Features that another tool has made, in place of stage 1."""
        folder = self.config.embed.patches.features
        return None if folder is None else FeatureFiles.named(folder)

    @cached_property
    def without_file(self) -> frozenset[str]:
        """Slides whose files are not there, where imported features may stand for them."""
        if self.features is None:
            return frozenset()
        return frozenset(row.slide_id for row in self.rows if not row.path.exists())

    @cached_property
    def members(self) -> dict[str, dict[str, str]]:
        """Per batch, the digests of its slides."""
        return self.ledger.members()

    @cached_property
    def batches(self) -> list[str]:
        """The batches in order; one all of whose slides left the sheet is no longer asked for."""
        live = {self.ledger.batch_of[row.slide_id] for row in self.rows}
        return sorted(live, key=lambda name: int(name[1:]))

    @cached_property
    def placed(self) -> dict[str, list[str]]:
        """The slides of the sheet, per batch."""
        batches: dict[str, list[str]] = {}
        for row in self.rows:
            batches.setdefault(self.ledger.batch_of[row.slide_id], []).append(row.slide_id)
        return batches

    @cached_property
    def unseen(self) -> int:
        """How many slides of the sheet no run has placed into a batch before this one."""
        seen = read_ledger(self.results.batches).batch_of
        return sum(row.slide_id not in seen for row in self.rows)

    @cached_property
    def mapped(self) -> dict[str, list[str]]:
        """The slides that get heatmaps, per batch that has one."""
        wanted = self.config.attend.slides
        named = None if wanted == "all" else frozenset(wanted)
        batches: dict[str, list[str]] = {}
        for row in self.rows:
            if named is None or row.slide_id in named:
                batches.setdefault(self.ledger.batch_of[row.slide_id], []).append(row.slide_id)
        return batches

    @property
    def probed(self) -> bool:
        """Whether the features are asked what they know of labels."""
        return bool(self.config.probe.labels or self.config.probe.column)


def read_plan(values: object, log: Log | None) -> Plan:
    """The plan of a run, from its config and what is on disk.

    On a cluster every job reads the plan again. There the digests of slides hold that the run wrote
    down at its start: asking for every slide's file once per job would swamp a network disk.

    Args:
        values: the config as plain values, e.g. Snakemake's.
        log: takes the level and text of remarks on slides, masks and tasks; None in a job, which
            neither repeats them nor looks again at what they are about.

    Raises:
        HiptError: naming the first thing that the user can put right.
    """
    written = parse(Config, values, "config")
    config, stages = resolved(written), trained(written)
    results, slides, sheet = Results(Path(config.results)), config.slides, Path(config.slides.sheet)
    rows, remarks = read_with_remarks(
        sheet,
        slides.root,
        slides.case_from,
        slides.missing,
        path_needed=config.embed.patches.features is None,
    )
    before = read_ledger(results.batches)
    known = before.digest_of if log is None else {}
    digests = {row.slide_id: known.get(row.slide_id) or row.digest() for row in rows}
    if log is not None:
        for remark in (*remarks, *departed(sheet, before.batch_of, digests)):
            log(logging.INFO, f"{sheet}: {remark}")
    labels = Labels.read(config, rows)
    if log is not None:
        _look(config, stages, rows, log)
    weights = {
        f"embed_{stage}": PRETRAIN
        if stage in stages
        else weights_identity(f"embed.{stage}", section, results.digests)
        for stage, section in (("patches", config.embed.patches), ("regions", config.embed.regions))
    }
    ledger = updated(before, digests, slides.batch_size)
    return Plan(written, config, rows, ledger, labels, weights)


def _look(config: Config, stages: Iterable[Stage], rows: Sequence[SlideRow], log: Log) -> None:
    """Look once per run at masks, corpora and tasks, which would fail after hours of work."""
    if remark := missing_masks(rows):
        log(logging.WARNING, remark)
    for stage in stages:
        chosen(rows, getattr(config.pretrain, stage).corpus)
    if config.tasks:
        from hipt.tasks.beforehand import refuse_tasks  # loads much, which no job needs

        for sentence in refuse_tasks(config, rows):
            log(logging.INFO, sentence)
