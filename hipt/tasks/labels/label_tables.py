"""Tables of labels from elsewhere: CSV, CSV in a zip, or Parquet; every cell as text."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from hipt.cohort.missing import LISTED, Missing, is_tcga_site
from hipt.errors import HiptError, some_of
from hipt.store.csv_rows import Table, cannot_be_read, missing_column, read_csv
from hipt.store.tables import DAMAGED
from hipt.tasks.labels.headers import IDS, id_columns, id_remedy, names_an_id
from hipt.tasks.labels.split_files import bare

MOST_LISTED = 5
"""Wrong cells that a sentence names."""

_MOST_CELLS, _MOST_BYTES = 10_000_000, 1 << 28
"""Of a Parquet file, of what a zip unpacks to: a few kB may say that they are far more."""


@dataclass(frozen=True)
class Entry:
    """One row of a table, and the place that a sentence names when a cell of it is wrong."""

    file: Path | str
    row: int | None
    """As an editor shows it, the header being row 1; of Parquet the first is row 1. None: `file`
    says it all."""
    cells: Mapping[str, str]
    """The columns that were asked for, as far as there are such: labels as they stand there; ids
    and sites empty where they are not known."""

    @property
    def table(self) -> Path | str:
        """The table that the row is of."""
        return self.file if self.row is not None else str(self.file).split(", ")[0]

    @property
    def there(self) -> str:
        """How a sentence about another row of the table calls this one."""
        return str(self.file).split(", ")[-1] if self.row is None else f"row {self.row}"

    def wrong(self, column: str, problem: str) -> HiptError:
        """The sentence about one of its cells."""
        return HiptError.at(self.file, problem, row=self.row, column=column)


def wrong_cells(column: str, entries: Sequence[Entry], problem: str, remedy: str) -> HiptError:
    """The one sentence about all wrong cells of a column."""
    first = entries[0]
    if len(entries) == 1:
        return first.wrong(column, f"{problem}, got {first.cells[column]!r}; {remedy}")
    cells = [f"{entry.cells[column]!r} in {entry.there}" for entry in entries]
    what = f"{problem}, got {some_of(cells, MOST_LISTED)}"
    return HiptError.at(first.table, f"{what}; {remedy} ({len(entries):,} rows)", column=column)


@dataclass(frozen=True)
class LabelTable:
    """The rows of a table, by the id that they stand for."""

    key: str
    """`slide_id` or `case_id`."""
    entries: Mapping[str, Sequence[Entry]]
    """By id without the ending of a slide or its features, in the table's order."""
    renamed: Mapping[str, str]
    """`slide_id` and `case_id` by the name that the table has for them, where that is another."""


def read_label_table(
    file: Path, columns: Sequence[str], setting: str, missing: Missing = LISTED
) -> LabelTable:
    """The rows of a table; ids are text always and lose the ending of a slide or its features.

    Args:
        file: CSV (comma, semicolon or tab; UTF-8; lines of `#` before the header are left out), a
            zip of one, or Parquet.
        columns: what must be there beside an id of slides or cases; case_id and site may be.
        setting: the setting that names the columns, for the sentence where one is missing.
        missing: words that stand for an id or a site that is not known.

    Raises:
        HiptError: naming file, row, column, what was found and what to do.
    """
    if not file.is_file():
        raise HiptError(f"{file}: no such table of labels; name one that is there")
    table = _parquet(file) if file.suffix == ".parquet" else _csv(file)
    rows = list(table)
    named = id_columns(table.header, rows)
    key = next(iter(named), None)
    if key is None:
        raise missing_column(file, IDS, table.header, id_remedy(table.header))
    for name in columns:
        if name not in table.header:
            raise missing_column(file, [name], table.header, f"correct {setting}", guess=True)
    read = {name: name for name in (*columns, "site")} | named
    table.refuse_repeated(read.values())
    entries: dict[str, list[Entry]] = {}
    nameless = []
    for row in rows:
        values = {name: row[column] for name, column in read.items() if column in row}
        entry = Entry(file, row.number, _known(values, columns, key, missing))
        if not entry.cells[key]:
            nameless.append(Entry(file, row.number, {named[key]: values[key]}))
        entries.setdefault(bare(values[key]), []).append(entry)
    if nameless:
        raise _nameless(named[key], nameless)
    renamed = {name: column for name, column in named.items() if name != column}
    return LabelTable(key, entries, renamed)


def _known(
    values: Mapping[str, str], labels: Sequence[str], key: str, missing: Missing
) -> dict[str, str]:
    """A row with labels as they are, and ids and site empty where they are not known."""

    def known(name: str, cell: str) -> bool:
        if name in labels or (name == "site" and is_tcga_site(cell, values[key])):
            return True
        if name == "slide_id":  # a slide may be called `none`
            return cell.casefold() != "nan"
        return cell not in missing

    return {name: cell if known(name, cell) else "" for name, cell in values.items()}


def _nameless(column: str, entries: Sequence[Entry]) -> HiptError:
    """The sentence for rows that name no slide or case."""
    if len(entries) == 1 and not entries[0].cells[column]:
        return entries[0].wrong(column, "is empty; give every row an id")
    return wrong_cells(column, entries, "must be an id", "give every row one, or delete it")


def _parquet(file: Path) -> Table:
    """The table in a Parquet file, its first row being 1; nested columns are text too."""
    try:
        size = pq.read_metadata(file)
        if size.num_rows * size.num_columns > _MOST_CELLS:
            what = f"{size.num_rows:,} rows of {size.num_columns:,} columns"
            raise HiptError(f"{file}: has {what}, more than labels have; take out what is not them")
        with pq.ParquetFile(file) as parquet:
            table = parquet.read()
        columns = [
            ["" if value is None or value != value else str(value) for value in column.to_pylist()]
            for column in table.columns
        ]
    except (*DAMAGED, OverflowError) as error:  # a date that Python does not know is one too
        reason = str(error).partition("\n")[0]
        raise HiptError(f"{file}: is no Parquet file that can be read ({reason})") from None
    return Table(file, table.column_names, 1, enumerate(zip(*columns, strict=True), 1))


def _csv(file: Path) -> Table:
    """The table in a CSV file, or in the one file of a zip."""
    return read_csv(file, names_an_id, _unzipped(file) if file.suffix == ".zip" else None)


def _unzipped(file: Path) -> bytes:
    """The bytes of the one file in a zip."""
    try:
        with zipfile.ZipFile(file) as archive:
            files = [item for item in archive.infolist() if not item.is_dir()]
            inside = [item for item in files if not item.filename.startswith("__MACOSX/")]
            if len(inside) == 1 and inside[0].file_size <= _MOST_BYTES:
                return archive.read(inside[0])
            if len(inside) == 1:
                size = f"{inside[0].file_size:,} bytes"
                raise HiptError(f"{file}: unpacks to {size}, more than labels take; name another")
    except OSError as error:
        raise cannot_be_read(file, error) from None
    except (zipfile.BadZipFile, RuntimeError, EOFError, LookupError, OverflowError, ValueError,
            zlib.error, lzma.LZMAError, struct.error) as error:  # fmt: skip
        raise HiptError(f"{file}: is no zip that can be read ({error}); unpack it") from None
    raise HiptError(f"{file}: holds {len(inside)} files; name the CSV itself, or zip it alone")
