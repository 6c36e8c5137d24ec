"""Tables of labels from elsewhere: CSV, CSV in a zip, or Parquet; every cell as text."""

from __future__ import annotations

import csv
import difflib
import io
import lzma
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from hipt.errors import HiptError
from hipt.io.split_files import ENDINGS
from hipt.io.tables import DAMAGED

IDS = ("slide_id", "case_id")
"""What a row may stand for; a table with both is one of slides."""

_MISSING = ("nan", "NaN")
"""What tables write for an empty cell."""

_MOST_CELLS, _MOST_BYTES = 10_000_000, 1 << 28
"""Of a Parquet file, of what a zip unpacks to: a few kB may say that they are far more."""

_Rows = Iterator[tuple[int, Sequence[str]]]


@dataclass(frozen=True)
class Entry:
    """One row of a table, and the place that a sentence names when a cell of it is wrong."""

    file: Path | str
    row: int | None
    """As an editor shows it, the header being row 1; of Parquet the first is row 1. None: `file`
    says it all."""
    cells: Mapping[str, str]
    """The columns that were asked for, as far as there are such; empty where a value is missing."""

    @property
    def there(self) -> str:
        """How a sentence about another row of the table calls this one."""
        return str(self.file).split(", ")[-1] if self.row is None else f"row {self.row}"

    def wrong(self, column: str, problem: str) -> HiptError:
        """The sentence about one of its cells."""
        return HiptError.at(self.file, problem, row=self.row, column=column)


@dataclass(frozen=True)
class LabelTable:
    """The rows of a table, by the id that they stand for."""

    key: str
    """`slide_id` or `case_id`."""
    entries: Mapping[str, Sequence[Entry]]
    """By id without the ending of a slide or its features, in the table's order."""


def bare(text: str) -> str:
    """An id without the ending of a slide or its features."""
    text = unicodedata.normalize("NFC", text.strip())
    ending = next((end for end in ENDINGS if text.lower().endswith(end)), "")
    return text[: len(text) - len(ending)]


def read_label_table(file: Path, columns: Sequence[str], setting: str) -> LabelTable:
    """The rows of a table; ids are text always and lose the ending of a slide or its features.

    Args:
        file: CSV (comma, semicolon or tab; UTF-8), a zip of one, or Parquet.
        columns: what must be there beside slide_id or case_id; case_id and site may be.
        setting: the setting that names the columns, for the sentence where one is missing.

    Raises:
        HiptError: naming file, row, column, what was found and what to do.
    """
    if not file.is_file():
        raise HiptError(f"{file}: no such table of labels; name one that is there")
    header, rows = _parquet(file) if file.suffix == ".parquet" else _csv(file)
    key = next((name for name in IDS if name in header), None)
    if key is None:
        raise no_column(file, "slide_id' or 'case_id", header, "add it")
    for name in columns:
        if name not in header:
            raise no_column(file, name, header, f"correct {setting}")
    read = [name for name in dict.fromkeys((*IDS, "site", *columns)) if name in header]
    for name in read:
        if header.count(name) > 1:
            raise HiptError.at(file, "stands twice in the header; rename one", row=1, column=name)
    places = [header.index(name) for name in read]
    entries: dict[str, list[Entry]] = {}
    for number, cells in rows:
        values = {name: cells[at] for name, at in zip(read, places, strict=True)}
        entry = Entry(file, number, given(values, read))
        if not values[key]:
            raise entry.wrong(key, "is empty; give every row an id")
        entries.setdefault(bare(values[key]), []).append(entry)
    return LabelTable(key, entries)


def no_column(file: Path | str, name: str, known: Sequence[str], remedy: str) -> HiptError:
    """The sentence for a column that is not there, with the nearest names, or the first ten."""
    named = [other for other in known if other]
    near = difflib.get_close_matches(name, named, n=3, cutoff=0.5)
    if near:
        hint = "did you mean " + " or ".join(f"'{other}'" for other in near) + "?"
    else:
        more = f" and {len(named) - 10} more" if len(named) > 10 else ""
        hint = f"found: {', '.join(named[:10]) or 'nothing'}{more}"
    return HiptError(f"{file}: column '{name}' is missing ({hint}); {remedy}")


def given(cells: Mapping[str, str], columns: Iterable[str]) -> dict[str, str]:
    """Some columns of a row; empty where a value is missing, or what tables write for that."""
    texts = {name: cells.get(name, "").strip() for name in columns}
    return {name: "" if text in _MISSING else text for name, text in texts.items()}


def _parquet(file: Path) -> tuple[list[str], _Rows]:
    """Columns and rows of a Parquet file; nested columns are text too."""
    try:
        size = pq.read_metadata(file)
        if size.num_rows * size.num_columns > _MOST_CELLS:
            what = f"{size.num_rows:,} rows of {size.num_columns:,} columns"
            raise HiptError(f"{file}: has {what}, more than labels have; take out what is not them")
        table = pq.read_table(file, partitioning=None)
        columns = [
            ["" if value is None else str(value) for value in column.to_pylist()]
            for column in table.columns
        ]
    except (*DAMAGED, OverflowError) as error:  # a date that Python does not know is one too
        reason = str(error).partition("\n")[0]
        raise HiptError(f"{file}: is no Parquet file that can be read ({reason})") from None
    return table.column_names, enumerate(zip(*columns, strict=True), 1)


def _csv(file: Path) -> tuple[list[str], _Rows]:
    """Header and rows of a CSV file; rows that are empty are left out."""
    content = _content(file)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = content[: error.start].count(b"\n") + 1
        raise HiptError.at(file, "is not UTF-8 text; save it as 'CSV UTF-8'", row=row) from None
    rows = _csv_rows(file, text)
    header = [name.strip() for name in next(rows, (1, []))[1]]
    return header, _padded(file, rows, len(header))


def _csv_rows(file: Path, text: str) -> _Rows:
    """The rows with the line on which each begins."""
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = 1
    try:
        for cells in reader:
            yield number, cells
            number = reader.line_num + 1  # a row with a line break in a cell has more than one line
    except csv.Error as error:
        problem = f"is not CSV ({error}); look for a double quote that is not closed"
        raise HiptError.at(file, problem, row=number) from None


def _padded(file: Path, rows: _Rows, width: int) -> _Rows:
    """The rows that are not empty; cells missing at the end are empty."""
    for number, cells in rows:
        if any(cell.strip() for cell in cells[width:]):
            problem = f"has {len(cells)} cells, the header {width}; take the extra ones out"
            raise HiptError.at(file, problem, row=number)
        if any(cell.strip() for cell in cells):
            yield number, [*cells, *[""] * (width - len(cells))]


def _content(file: Path) -> bytes:
    """The bytes of a file, or of the one file in a zip."""
    try:
        if file.suffix != ".zip":
            return file.read_bytes()
        with zipfile.ZipFile(file) as archive:
            files = [one for one in archive.infolist() if not one.is_dir()]
            inside = [one for one in files if not one.filename.startswith("__MACOSX/")]
            if len(inside) == 1 and inside[0].file_size <= _MOST_BYTES:
                return archive.read(inside[0])
            if len(inside) == 1:
                size = f"{inside[0].file_size:,} bytes"
                raise HiptError(f"{file}: unpacks to {size}, more than labels take; name another")
    except OSError as error:
        problem = f"cannot be read ({error.strerror or error}); see to its rights and its disk"
        raise HiptError(f"{file}: {problem}") from None
    except (zipfile.BadZipFile, RuntimeError, EOFError, LookupError, OverflowError, ValueError,
            zlib.error, lzma.LZMAError, struct.error) as error:  # fmt: skip
        raise HiptError(f"{file}: is no zip that can be read ({error}); unpack it") from None
    raise HiptError(f"{file}: holds {len(inside)} files; name the CSV itself, or zip it alone")
