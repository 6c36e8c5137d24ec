"""What a task has to predict: every slide with its case, its site, and its class or its time."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hipt.errors import HiptError
from hipt.io.label_tables import Entry, bare, given, no_column, read_label_table
from hipt.io.label_values import Value, check_same_cases, check_same_rows, read_value
from hipt.io.sheets import SlideRow
from hipt.task_config import TaskConfig

SHEET = "slides.sheet"
"""How a sentence calls the sheet, whose rows have lost their numbers; it names the slide then."""

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


@dataclass(frozen=True)
class TaskLabels:
    """The slides of a task."""

    slides: tuple[Labelled, ...]
    """By slide_id, rising."""
    classes: tuple[str, ...]
    """In order; empty for survival."""
    left_out: tuple[str, ...]
    """Slides without a value, or of a class that is not asked for, rising."""


@dataclass(frozen=True)
class _Source:
    """Where the values of a task come from."""

    name: str
    task: TaskConfig
    file: Path | str
    key: str
    entries: Mapping[str, Sequence[Entry]]
    rows: Mapping[str, SlideRow]
    """The sheet by slide_id; where that has an ending also without."""
    case_from: str

    def setting(self, field: str) -> str:
        return f"tasks.{self.name}.{field}"


@dataclass(frozen=True)
class _Found:
    """A slide with a value."""

    slide_id: str
    case_id: str
    site: str
    value: Value
    entry: Entry


def task_labels(
    name: str,
    task: TaskConfig,
    rows: Sequence[SlideRow],
    slides: Collection[str] | None,
    case_from: str = "column",
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

    Raises:
        HiptError: naming file, row, column, what was found and what to do.
    """
    source = _source(name, task, rows, case_from)
    wanted = sorted(_wanted(source, rows) if slides is None else set(slides))
    found: list[_Found] = []
    left_out = []
    for slide_id in wanted:
        row = source.rows.get(slide_id) or source.rows.get(bare(slide_id))
        if row is not None and row.exclude:
            continue
        one = _find(source, slide_id, row)
        if one is None or (task.classes and one.value.label not in task.classes):
            left_out.append(slide_id)
        else:
            found.append(one)
    if not found:
        raise _nothing(source, wanted)
    check_same_cases(task, ((one.case_id, one.value, one.entry) for one in found))
    if task.kind == "survival":
        _check_events(source, found)
        classes: tuple[str, ...] = ()
    else:
        classes = _classes(source, found)
    number = {label: y for y, label in enumerate(classes)}
    labelled = (
        Labelled(
            slide_id=one.slide_id,
            case_id=one.case_id,
            site=one.site,
            label=one.value.label,
            y=number.get(one.value.label or ""),
            time=one.value.time,
            event=one.value.event,
        )
        for one in found
    )
    return TaskLabels(tuple(labelled), classes, tuple(left_out))


def _source(name: str, task: TaskConfig, rows: Sequence[SlideRow], case_from: str) -> _Source:
    by_id = {bare(row.slide_id): row for row in rows} | {row.slide_id: row for row in rows}
    if task.labels is not None:
        file = Path(task.labels)
        table = read_label_table(file, task.columns, f"tasks.{name}")
        return _Source(name, task, file, table.key, table.entries, by_id, case_from)
    cells = {row.slide_id: {"site": row.site, **row.labels} for row in rows}
    known = sorted(set().union(*cells.values()))
    for column in task.columns:
        if column not in known:
            remedy = f"add it, correct tasks.{name}, or name a table in tasks.{name}.labels"
            raise no_column(SHEET, column, known, remedy)
    entries = {
        slide_id: [Entry(f"{SHEET}, slide '{slide_id}'", None, given(values, task.columns))]
        for slide_id, values in cells.items()
    }
    return _Source(name, task, SHEET, "slide_id", entries, by_id, case_from)


def _wanted(source: _Source, rows: Sequence[SlideRow]) -> Collection[str]:
    """The slides that there may be before embeddings are there."""
    if source.task.features is not None and source.key == "slide_id":
        return source.entries.keys()
    return {row.slide_id for row in rows}


def _find(source: _Source, slide_id: str, row: SlideRow | None) -> _Found | None:
    """A slide with its value; None where that is missing."""
    if source.file == SHEET:
        entries = source.entries[row.slide_id] if row else []
    elif source.key == "slide_id":
        entries = source.entries.get(bare(slide_id), [])
    else:
        entries = source.entries.get(bare(_case(source, slide_id, row, {})), [])
    if not entries:
        return None
    value = read_value(source.task, entries[0])
    for entry in entries[1:]:
        check_same_rows(source.task, entry.cells[source.key], entries[0], entry)
    if value.missing:
        return None
    cells = {} if source.file == SHEET else entries[0].cells
    case_id = _case(source, slide_id, row, cells)
    site = (row.site if row else "") or cells.get("site", "")
    if not site and row is None and _TCGA.match(slide_id):
        site = slide_id[5:7]
    return _Found(slide_id, case_id, site, value, entries[0])


def _case(source: _Source, slide_id: str, row: SlideRow | None, cells: Mapping[str, str]) -> str:
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


def _nothing(source: _Source, wanted: Sequence[str]) -> HiptError:
    """The sentence where no slide has a value."""
    columns = " and ".join(f"'{column}'" for column in source.task.columns)
    if not wanted:
        problem = "there is no slide with embeddings; see what became of the slides"
        return HiptError(f"{source.setting('features')}: {problem}")
    classes = f" of {', '.join(source.task.classes)}" if source.task.classes else ""
    problem = (
        f"none of {len(wanted)} slides, such as '{wanted[0]}', has a value{classes} in {columns}"
    )
    if source.file != SHEET and source.entries:
        problem += f"; its {source.key}s are such as '{next(iter(source.entries))}'"
    remedy = "see that ids and columns are right"
    if source.key == "case_id":
        remedy += ", and slides.case_from"
    return HiptError(f"{source.file}: {problem}; {remedy}")


def _check_events(source: _Source, found: Sequence[_Found]) -> None:
    """Refuse times with which nothing can be learned."""
    column = source.task.columns[1]
    if not any(one.value.event for one in found):
        sense = "1 means censored" if source.task.censorship else "1 means that the event was seen"
        problem = f"all {len(found)} slides are censored; see that {sense}, or add events"
        raise HiptError.at(source.file, problem, column=column)
    _check_folds(source, "", {one.case_id for one in found})


def _classes(source: _Source, found: Sequence[_Found]) -> tuple[str, ...]:
    """The classes in order, after a look at how many cases each has."""
    column = source.task.columns[0]
    cases: dict[str, set[str]] = {}
    for one in found:
        cases.setdefault(str(one.value.label), set()).add(one.case_id)
    classes = source.task.classes or tuple(sorted(cases))
    for label in classes:
        if label not in cases:
            raise _unknown(source, label)
    if len(classes) < 2:
        problem = f"all {len(found)} slides are of class '{classes[0]}'; a task needs two at least"
        raise HiptError.at(source.file, problem, column=column)
    for label in classes:
        _check_folds(source, f"class '{label}' of ", cases[label])
    return classes


def _unknown(source: _Source, label: str) -> HiptError:
    """The sentence for a class that no slide has, with the nearest that there are."""
    column = source.task.columns[0]
    there = {entry.cells[column] for entries in source.entries.values() for entry in entries}
    if label in there:
        reason = "slides without embeddings, or excluded ones, have it"
    else:
        near = difflib.get_close_matches(label, there, n=3, cutoff=0.5) or sorted(there - {""})[:10]
        reason = f"found: {', '.join(near)}"
    problem = f"no slide has class '{label}' in {source.file}, column '{column}' ({reason})"
    return HiptError(f"{source.setting('classes')}: {problem}; correct it or leave it out")


def _check_folds(source: _Source, what: str, cases: Collection[str]) -> None:
    """Refuse fewer cases than folds, where folds are dealt."""
    task = source.task
    if task.split != "files" and len(cases) < task.folds:
        raise HiptError(
            f"{source.setting('folds')}: {what}column '{task.columns[0]}' in {source.file} has "
            f"{len(cases)} cases, fewer than the {task.folds} folds; use fewer folds or add cases"
        )
