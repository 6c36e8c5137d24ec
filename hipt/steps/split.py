"""Folds of a task: who is trained on, validated with and tested, and what leaks between them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt

from hipt.cohort.sheet import SlideRow, read_sheet
from hipt.config.command_line import read_task_settings, step_parser
from hipt.config.recorded import settings_of
from hipt.config.step_settings import SplitSettings
from hipt.config.tasks import TaskConfig
from hipt.errors import HiptError, some_of
from hipt.pretraining.lineage import seen_by
from hipt.registry import version_of
from hipt.stats.arrays import Ints, Texts
from hipt.store.provenance import Provenance, fingerprint, made_by
from hipt.store.tables import write_rows
from hipt.tasks.features import Features, features_of
from hipt.tasks.folds.leaks import Item, Kind, Leak, leaks
from hipt.tasks.folds.listed import PART_OF, listed_folds, refuse_empty
from hipt.tasks.folds.splits import grouped_folds, site_folds, validation_part
from hipt.tasks.folds.strata import columns_of
from hipt.tasks.inputs import slide_inputs
from hipt.tasks.labels.facts import sentences
from hipt.tasks.labels.of_task import Labelled, TaskLabels, task_labels
from hipt.tasks.members import read_members, write_members
from hipt.tasks.same_slides import SameSlides, corpus_items
from hipt.tasks.schemas import FOLDS, LABELS, LEAKS
from hipt.tasks.units import TEST, TRAIN, VALIDATION

log = logging.getLogger(__name__)

STEP = "split"

KEPT: Mapping[str, Collection[Kind]] = {
    "grouped": ("case", "content"),
    "site": ("case", "content", "site"),
    "files": (),
}
"""What no fold tears apart, by how the folds are made."""

LATER = ("fit", "fit_of", "models", "train_fractions", "resamples", "published", "missing")
"""Settings that the folds do not depend on, or by their labels alone."""


def run(slides: Path, out: Path, leaks_out: Path, cfg: SplitSettings) -> None:
    """Write the task's folds, what became of its labels, and the audit of the folds.

    Raises:
        HiptError: if labels, features or split files cannot be used, or a split of our own leaks.
    """
    task = cfg.task
    sheet = read_sheet(Path(cfg.sheet), cfg.root, cfg.case_from, cfg.missing)
    features = features_of(task.features, slides)
    labels = task_labels(cfg.name, task, sheet, features.slides(), cfg.case_from, cfg.missing)
    _log(cfg.name, task, labels)
    same = SameSlides.among(labels.slides, features.contents())
    for remark in same.remarks(labels.slides, task.split == "files"):
        log.warning("task %s: %s", cfg.name, remark)
    if task.split == "files":
        parts = _from_files(task, labels.slides, same, cfg.missing)
    else:
        parts = _own(cfg.name, task, labels.slides, same, out.with_name("members.csv"))
    corpus = _corpus(cfg, sheet, same.contents)
    audit = _audit(same.items(labels.slides), parts, corpus)
    _look_at(cfg.name, task, audit)
    made = _provenance(cfg, labels.slides, features, parts)
    rows = [
        {
            **vars(slide),
            "unit": slide.case_id if task.by == "case" else slide.slide_id,
            "source": features.source(slide.slide_id),
            "parts": of_slide,
        }
        for slide, of_slide in zip(labels.slides, parts.tolist(), strict=True)
    ]
    facts = [fact._asdict() for fact in labels.facts]
    write_rows(out.with_name("labels.parquet"), facts, LABELS, _and_by(made, facts=facts))
    of_corpus = _and_by(made, corpus=sorted(map(str, corpus)))
    lines = [leak._asdict() | {"sides": " ".join(leak.sides)} for leak in audit]
    write_rows(leaks_out, lines, LEAKS, of_corpus)
    write_rows(out, rows, FOLDS, made)


def _provenance(
    cfg: SplitSettings, slides: Sequence[Labelled], features: Features, parts: Ints
) -> Provenance:
    """What decides the folds; nothing else, or models would be fitted again for nothing."""
    labels = [astuple(slide) for slide in slides]
    sources = {slide.slide_id: features.source(slide.slide_id) for slide in slides}
    inputs = slide_inputs(labels, sources, cfg.task.features is not None)
    inputs["parts"] = fingerprint(parts=parts.tolist())
    return made_by((STEP, version_of(STEP)), settings_of(cfg, LATER), inputs, {})


def _and_by(made: Provenance, **others: object) -> Provenance:
    """The provenance of a file that other inputs decide, too."""
    inputs = {**made.inputs, **{name: fingerprint(of=value) for name, value in others.items()}}
    return made_by((STEP, version_of(STEP)), made.settings, inputs, made.software)


def _log(name: str, task: TaskConfig, labels: TaskLabels) -> None:
    """Say who is in the task, and who is not."""
    for sentence in sentences(labels.facts, task.columns):
        log.info("task %s: %s", name, sentence)
    if labels.left_out:
        log.info("task %s: left out: %s", name, some_of(labels.left_out, 10))


def _own(
    name: str, task: TaskConfig, slides: Sequence[Labelled], same: SameSlides, ledger: Path
) -> Ints:
    """(N, folds) parts of a split by case, or by case and site; old cases stay where they were.

    Cases that hold the same slide are dealt as one.
    """
    cases, strata, sites = columns_of(task, same.keyed(slides))
    members = read_members(ledger, task.folds)
    known = same.known(members, ledger)
    try:
        if task.split == "site":
            dealt = site_folds(cases, strata, sites, task.folds, task.seed, known)
            log.info("sites dealt: %s, %.1f cases off equal shares", dealt.how, dealt.deviation)
            fold = dealt.fold
        else:
            fold = grouped_folds(cases, strata, task.folds, task.seed, known)
        kept = sites if task.split == "site" else None
        parts = np.stack(
            [_parts(task, cases, strata, kept, fold == k, k) for k in range(task.folds)], axis=1
        )
    except ValueError as error:
        raise HiptError(f"tasks.{name}: {error}{same.hint()}") from None
    own = [slide.case_id for slide in slides]
    write_members(ledger, members | dict(zip(own, fold.tolist(), strict=True)))
    return parts


def _parts(
    task: TaskConfig,
    cases: Texts,
    strata: Texts,
    sites: Texts | None,
    test: npt.NDArray[np.bool_],
    fold: int,
) -> Ints:
    """(N,) parts of one fold whose test rows are known."""
    chosen = validation_part(cases, strata, sites, ~test, task.validation, (task.seed, fold)).rows
    return np.where(test, TEST, np.where(chosen, VALIDATION, TRAIN))


def _from_files(
    task: TaskConfig, slides: Sequence[Labelled], same: SameSlides, missing: Sequence[str]
) -> Ints:
    """(N, folds) parts as foreign files say; those without validation take it from training."""
    assert task.split_files is not None
    listed = listed_folds(task.split_files, slides, missing)
    if listed.unknown:
        named = some_of(listed.unknown, 10)
        log.info("listed without features or label, left out: %d (%s)", len(listed.unknown), named)
    cases, strata, _ = columns_of(task, same.keyed(slides))
    for fold, parts in listed.parts.items():
        if not (parts == VALIDATION).any():
            rows = np.flatnonzero(parts == TRAIN)
            trained = (cases[rows], strata[rows], None, np.zeros(len(rows), bool))
            parts[rows] = _parts(task, *trained, fold)
        refuse_empty(task.split_files, fold, parts)
    return np.stack(list(listed.parts.values()), axis=1)


def _corpus(
    cfg: SplitSettings, sheet: Sequence[SlideRow], contents: Mapping[str, str]
) -> list[Item]:
    """The slides that the features' models were pretrained on, as far as that is known."""
    if cfg.task.features is not None:
        log.info("what made %s, and from what it learned, is not known", cfg.task.features)
        return []
    seen = seen_by(cfg.weights)
    for path in seen.unknown:
        log.info("what %s was trained on is not known: no list of slides lies beside it", path)
    return corpus_items(seen, sheet, contents, cfg.case_from)


def _audit(items: Sequence[Item], parts: Ints, corpus: Sequence[Item]) -> list[Leak]:
    """What lies on two sides of a fold."""
    folds = {
        k: {
            side: [items[i] for i in np.flatnonzero(parts[:, k] == part).tolist()]
            for side, part in PART_OF.items()
        }
        for k in range(parts.shape[1])
    }
    return leaks(folds, corpus)


def _look_at(name: str, task: TaskConfig, audit: Sequence[Leak]) -> None:
    """Say what leaks; refuse a split of our own that tears apart what it must not."""
    for kind in get_args(Kind):
        of_kind = [leak for leak in audit if leak.kind == kind]
        log.info("leaks by %s: %d", kind, len(of_kind))
    torn = [leak for leak in audit if leak.kind in KEPT[task.split] and "test" in leak.sides]
    if torn:
        leak = torn[0]
        raise HiptError(
            f"tasks.{name}: {leak.kind} '{leak.value}' is on two sides of fold {leak.fold} "
            f"({', '.join(leak.sides)}); please report this as a defect"
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: the slide table, the settings, the tables to make."""
    parser = step_parser(STEP, __doc__)
    parser.add_argument("--slides", type=Path, required=True, help="the slide table")
    parser.add_argument("--leaks", type=Path, required=True, help="the audit to make")
    parser.add_argument("--task", help="the task's name, where --cfg is a config file")
    args = parser.parse_args(argv)
    cfg = read_task_settings(STEP, SplitSettings, args.cfg, args.task)
    run(args.slides, args.out, args.leaks, cfg)
