"""Where the values of a task come from: columns of the sheet, or a table of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hipt.cohort.missing import Missing
from hipt.cohort.sheet import COLUMNS, SlideRow
from hipt.config.tasks import TaskConfig
from hipt.errors import HiptError
from hipt.store.csv_rows import missing_column
from hipt.tasks.labels.facts import Fact
from hipt.tasks.labels.label_tables import Entry, read_label_table
from hipt.tasks.labels.split_files import bare

SHEET = "slides.sheet"
"""How a sentence calls the sheet, whose rows have lost their numbers; it names the slide then."""


@dataclass(frozen=True)
class Source:
    """Where the values of a task come from."""

    name: str
    task: TaskConfig
    file: Path | str
    key: str
    """What a row stands for: `slide_id` or `case_id`."""
    entries: Mapping[str, Sequence[Entry]]
    """The rows by that."""
    rows: Mapping[str, SlideRow]
    """The sheet by slide_id; where that has an ending also without."""
    case_from: str
    """`tcga`: the case is in the barcode where nothing else says it."""
    notes: tuple[Fact, ...] = ()

    def setting(self, field: str) -> str:
        """A key of the task, for sentences."""
        return f"tasks.{self.name}.{field}"


def source_of(
    name: str, task: TaskConfig, rows: Sequence[SlideRow], case_from: str, missing: Missing
) -> Source:
    """The rows with the values of a task.

    Args:
        name: of the task, for sentences.
        task: says where the values are.
        rows: the sheet.
        case_from: `tcga`: the case is in the barcode where nothing else says it.
        missing: words that stand for an id or a site that is not known.

    Raises:
        HiptError: if the table cannot be read, or lacks a column.
    """
    by_id = {bare(row.slide_id): row for row in rows} | {row.slide_id: row for row in rows}
    if task.labels is not None:
        file = Path(task.labels)
        table = read_label_table(file, task.columns_read, f"tasks.{name}", missing)
        notes = tuple(
            Fact("note", f"{column} of {file.name} is taken as {key}")
            for key, column in table.renamed.items()
        )
        return Source(name, task, file, table.key, table.entries, by_id, case_from, notes)
    cells = {row.slide_id: {"site": row.site, **row.labels} for row in rows}
    known = sorted(set().union(*cells.values()))
    for column in task.columns_read:
        if column in COLUMNS and column not in known:
            problem = "has a meaning of its own and is no label; copy it under another name"
            raise HiptError(f"{SHEET}, column '{column}': {problem}, or correct tasks.{name}")
        if column not in known:
            remedy = f"add it, correct tasks.{name}, or name a table in tasks.{name}.labels"
            raise missing_column(SHEET, [column], known, remedy, guess=True)
    entries = {
        slide_id: [
            Entry(
                f"{SHEET}, slide '{slide_id}'",
                None,
                {column: values.get(column, "") for column in task.columns_read},
            )
        ]
        for slide_id, values in cells.items()
    }
    return Source(name, task, SHEET, "slide_id", entries, by_id, case_from)
