"""What a task has to predict: every slide with its case, its site, and its class or its time."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

from hipt.cohort.missing import Missing
from hipt.cohort.sheet import SlideRow
from hipt.config.config import MISSING
from hipt.config.tasks import TaskConfig
from hipt.errors import HiptError, all_of
from hipt.tasks.labels.enough import (
    Valued,
    check_events,
    classes_of,
    nothing_found,
    other_cases_note,
    uncensored_note,
)
from hipt.tasks.labels.facts import (
    EMPTY,
    NO_ROW,
    SEEN,
    UNSEEN,
    Fact,
    counted,
    days_note,
    of_words,
)
from hipt.tasks.labels.label_tables import Entry
from hipt.tasks.labels.label_values import (
    Value,
    ValueReader,
    check_same_cases,
    check_same_rows,
    value_reader,
)
from hipt.tasks.labels.source import SHEET, Source, source_of
from hipt.tasks.labels.split_files import bare

LeftOut = tuple[Literal["missing", "other_class", "zero_time"], str]
"""Why a slide is left out, and the word that stands in its row."""

_TCGA = re.compile(r"TCGA-[A-Z0-9]{2}-[A-Z0-9]{4}")


@dataclass(frozen=True)
class Labelled:
    """One slide of a task."""

    slide_id: str
    case_id: str
    site: str
    """Empty where it is not known."""
    label: str | None = None
    """Classification: the class."""
    y: int | None = None
    """Classification: its place in `TaskLabels.classes`."""
    time: float | None = None
    """Survival: months until the event or the end of follow-up."""
    event: bool | None = None
    """Survival: whether the event was seen."""
    covariates: tuple[str, ...] = ()
    """What is known beside; empty where it is not."""


@dataclass(frozen=True)
class TaskLabels:
    """The slides of a task."""

    slides: tuple[Labelled, ...]
    """By slide_id, rising."""
    classes: tuple[str, ...]
    """In order; empty for survival."""
    left_out: tuple[str, ...]
    """Slides without a value, with a time of 0, or of a class that is not asked for, rising."""
    facts: tuple[Fact, ...] = field(default=(), compare=False)
    """Who is in the task and who is not, counted."""


@dataclass(frozen=True)
class _Candidate:
    """A slide, with the rows about it."""

    slide_id: str
    row: SlideRow | None
    entries: Sequence[Entry]


def task_labels(
    name: str,
    task: TaskConfig,
    rows: Sequence[SlideRow],
    slides: Collection[str] | None,
    case_from: str = "column",
    missing: Sequence[str] = MISSING,
) -> TaskLabels:
    """The slides of a task that have a value.

    Case and site are the sheet's. Where it does not know the slide, or has nothing but its id for
    a case, they are those of the table of labels, and then those in a TCGA barcode.

    Args:
        name: of the task, for sentences.
        task: says where the values are: in columns of the sheet, or of a table of slides or cases.
        rows: the sheet; slides that it excludes are never in a task.
        slides: those with embeddings, the only ones that are looked at; None: those of the sheet,
            or of a table of slides where the task brings its own features.
        case_from: `tcga`: the case is in the barcode where neither sheet nor table says it.
        missing: words that stand for a value that is not known.

    Raises:
        HiptError: naming file, row, column, what was found and what to do.
    """
    words = Missing(missing)
    source = source_of(name, task, rows, case_from, words)
    wanted = sorted(_wanted(source, rows) if slides is None else set(slides))
    candidates = list(_candidates(source, wanted))
    table = [entry for entries in source.entries.values() for entry in entries]
    used = [entry for candidate in candidates for entry in candidate.entries]
    reader = value_reader(task, words, table, used)
    with_label, left_out = _divided(source, reader, candidates)
    if not with_label:
        raise nothing_found(source, wanted, [word for kind, word in left_out.values()])
    notes = [*source.notes, *other_cases_note(source, with_label)]
    check_same_cases(task, ((slide.case_id, slide.value, slide.entry) for slide in with_label))
    if task.kind == "survival":
        timeless = _timeless(reader, [slide for slide in candidates if slide.slide_id in left_out])
        check_events(source, with_label, timeless[True])
        notes = [*uncensored_note(with_label, timeless[False]), *notes]
        classes: tuple[str, ...] = ()
    else:
        classes = classes_of(source, with_label, [word for _, word in left_out.values()])
    number = {label: y for y, label in enumerate(classes)}
    labelled = (
        Labelled(
            slide_id=slide.slide_id,
            case_id=slide.case_id,
            site=slide.site,
            label=slide.value.label,
            y=number.get(slide.value.label or ""),
            time=slide.value.time,
            event=slide.value.event,
            covariates=slide.value.covariates,
        )
        for slide in with_label
    )
    facts = (*_facts(reader, with_label, classes, left_out), *notes)
    return TaskLabels(tuple(labelled), classes, tuple(left_out), facts)


def _divided(
    source: Source, reader: ValueReader, candidates: Sequence[_Candidate]
) -> tuple[list[Valued], dict[str, LeftOut]]:
    """Slides with a value, and why each of the others is left out."""
    classes, with_label = source.task.classes, list[Valued]()
    left_out: dict[str, LeftOut] = {}
    for candidate, value in _values(source, reader, candidates):
        if value is None or value.missing:
            zero = value is not None and reader.is_zero(candidate.entries[0])
            rows_of = candidate.entries
            word = (reader.gap_of(rows_of[0]) or EMPTY) if rows_of else NO_ROW
            left_out[candidate.slide_id] = ("zero_time", "0") if zero else ("missing", word)
        elif classes and value.label not in classes:
            left_out[candidate.slide_id] = ("other_class", str(value.label))
        else:
            with_label.append(_labelled(source, candidate, value))
    return with_label, left_out


def _wanted(source: Source, rows: Sequence[SlideRow]) -> Collection[str]:
    """The slides that there may be before embeddings are there."""
    if source.task.features is not None and source.key == "slide_id":
        return source.entries.keys()
    return {row.slide_id for row in rows}


def _candidates(source: Source, wanted: Sequence[str]) -> Iterator[_Candidate]:
    """The slides that are not excluded, with their rows."""
    for slide_id in wanted:
        row = source.rows.get(slide_id) or source.rows.get(bare(slide_id))
        if row is not None and row.exclude:
            continue
        if source.file == SHEET:
            entries = source.entries[row.slide_id] if row else []
        elif source.key == "slide_id":
            entries = source.entries.get(bare(slide_id), [])
        else:
            entries = source.entries.get(bare(_case(source, slide_id, row, {})), [])
        yield _Candidate(slide_id, row, entries)


def _values(
    source: Source, reader: ValueReader, candidates: Sequence[_Candidate]
) -> list[tuple[_Candidate, Value | None]]:
    """What the rows of each slide say, None where there is none.

    All slides whose rows contradict each other are named.
    """
    values, faults = list[tuple[_Candidate, Value | None]](), list[tuple[str, HiptError]]()
    for candidate in candidates:
        try:
            for entry in candidate.entries[1:]:
                check_same_rows(reader, entry.cells[source.key], candidate.entries[0], entry)
            value = reader.value(candidate.entries[0]) if candidate.entries else None
            values.append((candidate, value))
        except HiptError as error:
            faults.append((candidate.slide_id, error))
    if faults:
        raise all_of(faults, "slide")
    return values


def _timeless(reader: ValueReader, candidates: Sequence[_Candidate]) -> Counter[bool | None]:
    """Slides without a time, by whether their event was seen."""
    entries = [slide.entries[0] for slide in candidates if slide.entries]
    values = [reader.value(entry) for entry in entries if not reader.is_zero(entry)]
    return Counter(value.event for value in values if value.time is None)


def _labelled(source: Source, candidate: _Candidate, value: Value) -> Valued:
    slide_id, row, entry = candidate.slide_id, candidate.row, candidate.entries[0]
    cells = {} if source.file == SHEET else entry.cells
    case_id = _case(source, slide_id, row, cells)
    site = (row.site if row else "") or cells.get("site", "")
    if not site and row is None and _TCGA.match(slide_id):
        site = slide_id[5:7]
    return Valued(slide_id, case_id, site, value, entry)


def _facts(
    reader: ValueReader,
    labelled: Sequence[Valued],
    classes: Sequence[str],
    left_out: Mapping[str, LeftOut],
) -> Iterator[Fact]:
    task = reader.task
    if task.kind == "classification":
        yield from counted("class", [(str(o.value.label), o.case_id) for o in labelled], classes)
    else:
        ends = [(SEEN if slide.value.event else UNSEEN, slide.case_id) for slide in labelled]
        yield from counted("event", ends, (SEEN, UNSEEN))
    for kind in ("missing", "other_class", "zero_time"):
        yield from of_words(kind, Counter(w for k, w in left_out.values() if k == kind), {})
    if task.kind == "survival":
        column = task.columns[1]
        if zeros := sum(reader.is_zero(slide.entry) for slide in labelled):
            yield Fact("zero_time", "0", f"{task.zero_months:g}", zeros, None)
        cells = Counter(slide.entry.cells[column] for slide in labelled)
        yield from of_words(
            "reading", cells, {c: SEEN if s else UNSEEN for c, s in reader.events.items()}
        )
        times = [slide.value.time for slide in labelled if slide.value.time is not None]
        yield from days_note(task.columns[0], median(times))
    if task.split == "site" and (lost := sum(not item.site for item in labelled)):
        note = f"{lost:,} slides have no site: each of their cases counts as a site of its own"
        yield Fact("note", note)
    for label in classes:
        if label in reader.missing:
            note = f"'{label}' is named in classes, so it is a class and no missing value"
            yield Fact("note", note)


def _case(source: Source, slide_id: str, row: SlideRow | None, cells: Mapping[str, str]) -> str:
    """The case of a slide; a sheet without such a column gives the slide's own id."""
    if row is not None and row.case_id != row.slide_id:
        return row.case_id
    if cells.get("case_id"):
        return cells["case_id"]
    if row is not None or source.case_from != "tcga":
        return row.case_id if row is not None else bare(slide_id)
    if not _TCGA.match(slide_id):
        raise HiptError(
            f"{source.setting('features')}: slide '{slide_id}' does not begin with a TCGA barcode "
            "(TCGA-XX-XXXX); set slides.case_from to column, or give the labels a column case_id"
        )
    return slide_id[:12]
