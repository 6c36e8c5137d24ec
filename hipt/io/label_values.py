"""What a row of labels says: a class, or a time and whether it ended with the event."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from hipt.io.label_tables import Entry
from hipt.task_config import TaskConfig

_TRUTH = {"0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}


class Value(NamedTuple):
    """What is predicted of a slide or case; None where it is missing, or of another kind."""

    label: str | None = None
    """Classification: the class."""
    time: float | None = None
    """Survival: months until the event or the end of follow-up."""
    event: bool | None = None
    """Survival: whether the event was seen."""

    @property
    def missing(self) -> bool:
        """Whether there is nothing to learn from it."""
        return self.label is None and (self.time is None or self.event is None)


def read_value(task: TaskConfig, entry: Entry) -> Value:
    """The value in a row.

    Raises:
        HiptError: if a time is no number above 0, or an event not 0 or 1.
    """
    cells = [entry.cells[column] for column in task.columns]
    if task.kind == "classification":
        return Value(label=cells[0] or None)
    months = _months(task.columns[0], entry) if cells[0] else None
    return Value(time=months, event=_event(task, entry) if cells[1] else None)


def check_same_rows(task: TaskConfig, name: str, first: Entry, other: Entry) -> None:
    """Refuse two rows of one slide or case that do not say the same."""
    facts = [
        (*_parts(task, read_value(task, e)), e.cells.get("case_id"), e.cells.get("site"))
        for e in (first, other)
    ]
    for column, there, here in zip((*task.columns, "case_id", "site"), *facts, strict=True):
        if here != there:
            raise other.wrong(
                column,
                f"'{name}' has {other.cells[column]!r} here and {first.cells[column]!r} in "
                f"{first.there}; keep one of the rows",
            )


def check_same_cases(task: TaskConfig, found: Iterable[tuple[str, Value, Entry]]) -> None:
    """Refuse a case with two values, where a case has only one.

    Args:
        task: says whether it has.
        found: case, value and row of each slide.
    """
    if task.kind == "classification" and task.by == "slide":
        return
    first: dict[str, tuple[Value, Entry]] = {}
    for case, value, entry in found:
        known, row = first.setdefault(case, (value, entry))
        parts = zip(task.columns, _parts(task, value), _parts(task, known), strict=True)
        for column, here, there in parts:
            if here != there:
                remedy = "a case has one, so correct one of them"
                if task.kind == "classification":
                    remedy += ", or set unit to slide"
                raise entry.wrong(
                    column,
                    f"case '{case}' has {entry.cells[column]!r} here and "
                    f"{row.cells[column]!r} in {row.there}; {remedy}",
                )


def _parts(task: TaskConfig, value: Value) -> tuple[str | float | None, ...]:
    """A value by `task.columns`."""
    return (value.label,) if task.kind == "classification" else (value.time, value.event)


def _months(column: str, entry: Entry) -> float:
    text = entry.cells[column]
    try:
        months = math.nan if "_" in text else float(text)
    except ValueError:
        months = math.nan
    if not 0 < months < math.inf:
        problem = f"must be a number of months above 0, got {text!r}; leave it empty if not known"
        raise entry.wrong(column, problem)
    return months


def _event(task: TaskConfig, entry: Entry) -> bool:
    column = task.columns[1]
    truth = _TRUTH.get(entry.cells[column].lower())
    if truth is None:
        seen = "1 where the event was seen and 0 where it was not"
        unseen = "0 where the event was seen and 1 where it was not"
        problem = (
            f"must be {seen if task.event else unseen}, got {entry.cells[column]!r}; "
            "leave it empty if not known"
        )
        raise entry.wrong(column, problem)
    return truth == (task.event is not None)
