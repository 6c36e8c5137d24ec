"""What a row of labels says: a class, or a time and whether it ended with the event."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hipt.cohort.missing import Missing
from hipt.config.tasks import TaskConfig
from hipt.errors import HiptError, some_of
from hipt.tasks.labels.events import Sense, event_readings, foreign_coding
from hipt.tasks.labels.label_tables import Entry, wrong_cells


class Value(NamedTuple):
    """What is predicted of a slide or case; None where it is missing, or of another kind."""

    label: str | None = None
    """Classification: the class."""
    time: float | None = None
    """Survival: months until the event or the end of follow-up."""
    event: bool | None = None
    """Survival: whether the event was seen."""
    covariates: tuple[str, ...] = ()
    """What is known beside; empty where it is not."""

    @property
    def missing(self) -> bool:
        """Whether there is nothing to learn from it."""
        return self.label is None and (self.time is None or self.event is None)


@dataclass(frozen=True)
class ValueReader:
    """Reads the values of one task."""

    task: TaskConfig
    missing: Missing
    events: Mapping[str, bool]
    """Survival: whether the event was seen, by what stands in the column."""

    def value(self, entry: Entry) -> Value:
        """The value in a row; a time of 0 is missing where the task has no months for it."""
        given = [entry.cells[column] for column in self.task.covariates]
        covariates = tuple("" if cell in self.missing else cell for cell in given)
        if self.task.label is not None:
            label = entry.cells[self.task.label]
            return Value(None if self.gap(label) else label, covariates=covariates)
        cells = [entry.cells[column] for column in self.task.columns]
        months = None if self.gap(cells[0]) else _number(cells[0])
        if months == 0:
            months = self.task.zero_months
        return Value(time=months, event=self.events.get(cells[1]), covariates=covariates)

    def gap(self, cell: str) -> bool:
        """Whether a cell says that the value is not known; a class that is asked for never does."""
        return cell in self.missing and cell not in (self.task.classes or ())

    def gap_of(self, entry: Entry) -> str:
        """The word in place of a missing value; empty where the cell is."""
        cells = [entry.cells[column] for column in self.task.columns]
        return next((cell for cell in cells if cell and self.gap(cell)), "")

    def is_zero(self, entry: Entry) -> bool:
        """Whether a row has a time of 0."""
        cell = entry.cells[self.task.columns[0]]
        return self.task.kind == "survival" and not self.gap(cell) and _number(cell) == 0


def value_reader(
    task: TaskConfig, missing: Missing, table: Iterable[Entry], used: Sequence[Entry]
) -> ValueReader:
    """Who reads the values of a task, after a look at all cells.

    Args:
        task: says in which columns they are.
        missing: words that stand for a value that is not known.
        table: all rows, by which a coding of events is recognised.
        used: the rows of the task's slides, whose cells must all be right.

    Raises:
        HiptError: naming the rows with a time that is no number of months from 0 on, or with an
            event that has no one meaning.
    """
    reader = ValueReader(task, missing, {})
    if task.kind == "classification":
        return reader
    months, event = task.columns
    wrong = [
        entry
        for entry in used
        if not reader.gap(entry.cells[months]) and math.isnan(_number(entry.cells[months]))
    ]
    if wrong:
        raise wrong_cells(
            months, wrong, "must be a number of months above 0", "leave it empty if not known"
        )
    return ValueReader(task, missing, _events(task, missing, table, used, event))


def _events(
    task: TaskConfig, missing: Missing, table: Iterable[Entry], used: Sequence[Entry], column: str
) -> Mapping[str, bool]:
    """Whether the event was seen, by what stands in the column."""
    sense: Sense = "event" if task.event else "censorship"
    cells = {cell for entry in table if (cell := entry.cells[column]) not in missing}
    readings = event_readings(cells, sense)
    seen = "1 where the event was seen and 0 where it was not"
    unseen = "0 where the event was seen and 1 where it was not"
    rule = seen if sense == "event" else unseen
    if used and (problem := foreign_coding(cells, readings)):
        raise HiptError.at(used[0].table, f"{problem}; write {rule}", column=column)
    wrong = [
        entry
        for entry in used
        if (cell := entry.cells[column]) not in missing and cell not in readings
    ]
    if wrong and sense == "censorship" and len(event_readings(cells, "event")) == len(cells):
        problem = f"{wrong[0].cells[column]!r} says itself what it means, and its 1 is the event"
        remedy = "name this column in event, and not in censorship"
        raise HiptError.at(wrong[0].table, f"{problem}; {remedy}", column=column)
    if wrong:
        raise wrong_cells(column, wrong, f"must be {rule}", "leave it empty if not known")
    return readings


def check_same_rows(reader: ValueReader, name: str, first: Entry, other: Entry) -> None:
    """Refuse two rows of one slide or case that do not say the same."""
    task = reader.task
    facts = [
        (*_parts(task, reader.value(e)), e.cells.get("case_id"), e.cells.get("site"))
        for e in (first, other)
    ]
    for column, there, here in zip((*task.columns_read, "case_id", "site"), *facts, strict=True):
        if here != there:
            raise other.wrong(
                column,
                f"'{name}' has {other.cells[column]!r} here and {first.cells[column]!r} in "
                f"{first.there}; keep one of the rows",
            )


def check_same_cases(task: TaskConfig, values: Iterable[tuple[str, Value, Entry]]) -> None:
    """Refuse a case with two values, where a case has only one."""
    if task.kind == "classification" and task.by == "slide":
        return
    first: dict[str, tuple[Value, Entry]] = {}
    torn: Counter[str] = Counter()
    sentence = None
    for case, value, entry in values:
        known, row = first.setdefault(case, (value, entry))
        parts = zip(task.columns_read, _parts(task, value), _parts(task, known), strict=True)
        for column, here, there in parts:
            if here != there:
                torn[case] += 1
                problem = (
                    f"case '{case}' has {entry.cells[column]!r} here and "
                    f"{row.cells[column]!r} in {row.there}; a case has one, so correct one of them"
                )
                sentence = sentence or (column, entry, problem)
    if sentence:
        column, entry, problem = sentence
        if task.kind == "classification":
            problem += ", or set unit to slide"
        if others := list(torn)[1:]:
            named = some_of(others, 10)
            problem += f" ({len(others):,} more cases have two: {named})"
        raise entry.wrong(column, problem)


def _parts(task: TaskConfig, value: Value) -> tuple[str | float | None, ...]:
    """A value by `task.columns_read`."""
    if task.kind == "classification":
        return (value.label, *value.covariates)
    return (value.time, value.event, *value.covariates)


def _number(cell: str) -> float:
    """A time; nan where it is no number from 0 on."""
    try:
        months = math.nan if "_" in cell else float(cell)
    except ValueError:
        months = math.nan
    return months if 0 <= months < math.inf else math.nan
