"""A look at all tasks before the first job: labels, classes, events, folds and foreign splits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from hipt.cohort.same_files import path_marks
from hipt.cohort.sheet import SlideRow
from hipt.config.config import Config
from hipt.config.tasks import TaskConfig
from hipt.errors import HiptError
from hipt.layout import Results
from hipt.store.tables import DAMAGED
from hipt.tasks.folds.listed import listed_folds, listed_remarks
from hipt.tasks.folds.splits import refuse_impossible
from hipt.tasks.folds.strata import columns_of
from hipt.tasks.labels.facts import sentences
from hipt.tasks.labels.of_task import Labelled, task_labels
from hipt.tasks.members import read_members
from hipt.tasks.same_slides import SameSlides


@dataclass(frozen=True)
class Outlook:
    """What a task will meet, if every slide of the sheet can be embedded."""

    name: str
    sentences: tuple[str, ...] = ()
    """Who is in it and who is not."""
    error: HiptError | None = None
    """Why it cannot run."""


def outlooks(
    config: Config, rows: Sequence[SlideRow], marks: Mapping[str, str] | None = None
) -> Iterator[Outlook]:
    """Every task of the config.

    Args:
        config: names the tasks and where their results will be.
        rows: the sheet.
        marks: what tells the content of slides, see `content_marks`; None: rows of one file are
            one slide.
    """
    known = path_marks(rows) if marks is None else marks
    for name, task in config.tasks.items():
        try:
            yield Outlook(name, tuple(_outlook(name, task, config, rows, known)))
        except HiptError as error:
            yield Outlook(name, error=error)


def refuse_tasks(config: Config, rows: Sequence[SlideRow]) -> list[str]:
    """Refuse tasks that would fail after all slides were embedded.

    Returns:
        What the plan says of the others.

    Raises:
        HiptError: the sentence about the first, with the names of the others.
    """
    known = list(outlooks(config, rows))
    raise_first([outlook for outlook in known if outlook.error])
    return [f"tasks.{task.name}: {'; '.join(task.sentences)}" for task in known]


def raise_first(failed: Sequence[Outlook]) -> None:
    """Raise the first error of some outlooks, naming the other tasks; nothing without any.

    Raises:
        HiptError: if there is one.
    """
    errors = [(outlook.name, outlook.error) for outlook in failed if outlook.error is not None]
    if not errors:
        return
    others = ", ".join(f"tasks.{name}" for name, _ in errors[1:])
    more = f" (at fault too: {others}; `hipt check` says why)" if others else ""
    raise HiptError(f"{errors[0][1]}{more}")


def _outlook(
    name: str,
    task: TaskConfig,
    config: Config,
    rows: Sequence[SlideRow],
    marks: Mapping[str, str],
) -> Iterator[str]:
    """What a task's labels come to, after a look at its folds."""
    sheet = config.slides
    slides = None if task.features is None else _slides_of(Path(task.features))
    labels = task_labels(name, task, rows, slides, sheet.case_from, sheet.missing)
    same = SameSlides.among(labels.slides, marks if task.features is None else {})
    remarks: list[str] = []
    if task.split_files is not None:
        listed = listed_folds(task.split_files, labels.slides, sheet.missing)
        folds = f"{len(listed.parts)} fold{'s' * (len(listed.parts) > 1)} of {task.split_files}"
        remarks = list(listed_remarks(listed, labels.slides))
    else:
        _refuse_folds(name, task, labels.slides, same, Results(Path(config.results)))
        folds = f"{task.folds} folds"
    first, *others = sentences(labels.facts, task.columns)
    yield f"{first}; {folds}"
    yield from others
    yield from same.remarks(labels.slides, task.split == "files")
    yield from remarks


def _refuse_folds(
    name: str, task: TaskConfig, slides: Sequence[Labelled], same: SameSlides, results: Results
) -> None:
    """Refuse folds that cannot be dealt; cases that hold the same slide are dealt as one."""
    columns = columns_of(task, same.keyed(slides))
    sites = columns.sites if task.split == "site" else None
    ledger = results.task(name, "members.csv")
    known = same.known(read_members(ledger, task.folds), ledger)
    try:
        refuse_impossible(columns.cases, columns.strata, sites, task.folds, known)
    except ValueError as error:
        raise HiptError(f"tasks.{name}: {error}{same.hint()}") from None


def _slides_of(file: Path) -> set[str]:
    """The slides of a file of features, without its vectors."""
    try:
        names = pq.read_schema(file).names
        if "slide_id" not in names:
            raise HiptError(f"{file}: has no column 'slide_id' (found: {', '.join(names)})")
        with pq.ParquetFile(file) as table:
            ids = table.read(["slide_id"])["slide_id"]
        return {str(slide_id) for slide_id in ids.drop_null().unique().to_pylist()}
    except FileNotFoundError:
        raise HiptError(f"{file}: no such file of features; name one that is there") from None
    except DAMAGED as error:
        reason = str(error).partition("\n")[0]
        raise HiptError(f"{file}: not readable as Parquet ({reason})") from None
