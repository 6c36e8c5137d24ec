"""Rows of CSV files: tables that people and other programs write, and files of our own.

Standard library only, since Snakemake reads the sheet while parsing.
"""

from __future__ import annotations

import codecs
import csv
import difflib
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from hipt.errors import HiptError, all_of, some_of
from hipt.store.whole import whole

IsHeader = Callable[[Sequence[str]], bool]
"""Whether names of columns are those of a table that is wanted."""

_DELIMITERS = ",;\t"
_SEPARATOR = re.compile('"?sep=."?')
"""The line with which spreadsheets begin a file."""
_COMMENT = re.compile('^("?)[# ]+')
"""Before the first name of a header that is a comment."""

_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff"
"""What spreadsheets and web pages leave at the ends of a cell, beside spaces."""

_LONGEST_CELL = 1 << 17
"""Characters: a quotation mark that is not closed makes a cell of the whole file."""

_MOST_COLUMNS = 10
"""Columns that a sentence names."""


def trimmed(cell: str) -> str:
    """A cell without what cannot be seen at its ends."""
    cell = cell.strip()
    return cell if cell.isascii() else cell.strip(_INVISIBLE).strip()


@dataclass(frozen=True, eq=False)
class Row(Mapping[str, str]):
    """One row of a table: its cells by column, as text, trimmed; of equal names the first."""

    file: Path
    number: int
    """As an editor shows it."""
    _place_of: Mapping[str, int]
    _cells: Sequence[str]

    def __getitem__(self, column: str) -> str:
        return trimmed(self._cells[self._place_of[column]])

    def __iter__(self) -> Iterator[str]:
        return iter(self._place_of)

    def __len__(self) -> int:
        return len(self._place_of)

    def wrong(self, column: str, problem: str) -> HiptError:
        """The sentence about one of its cells."""
        return HiptError.at(self.file, problem, row=self.number, column=column)


@dataclass(frozen=True)
class Table:
    """A table of texts, whose rows can be read once."""

    file: Path
    header: Sequence[str]
    header_row: int
    """As an editor shows it."""
    lines: Iterator[tuple[int, Sequence[str]]]
    """Below the header: number and cells of each row."""

    def __iter__(self) -> Iterator[Row]:
        """The rows that are not empty; cells missing at the end are empty.

        Raises:
            HiptError: at the end, naming all rows with more cells than the header; or where the
                file is no CSV any more.
        """
        width, place_of = len(self.header), dict[str, int]()
        for place, name in enumerate(self.header):
            if name:
                place_of.setdefault(name, place)
        faults = list[tuple[str, HiptError]]()
        for number, cells in self.lines:
            if any(map(trimmed, cells[width:])):
                problem = (
                    f"has {len(cells)} cells, the header {width}; put a cell that holds a comma, "
                    "semicolon or tab in double quotes, or take the extra ones out"
                )
                faults.append((str(number), HiptError.at(self.file, problem, row=number)))
            elif any(map(trimmed, cells)):
                padded = [*cells, *[""] * (width - len(cells))]
                yield Row(self.file, number, place_of, padded)
        if faults:
            raise all_of(faults, "row")

    def refuse_repeated(self, columns: Iterable[str] | None = None) -> None:
        """Refuse columns that the header has twice.

        Args:
            columns: those that matter; None: all that have a name.

        Raises:
            HiptError: naming the first of them.
        """
        counts = Counter(self.header)
        for name in filter(None, self.header if columns is None else columns):
            if counts[name] > 1:
                problem = "stands twice in the header; rename one"
                raise HiptError.at(self.file, problem, row=self.header_row, column=name)

    def column(self, *names: str) -> str:
        """The first of some names that the header has.

        Raises:
            HiptError: if it has none of them.
        """
        for name in names:
            if name in self.header:
                return name
        raise missing_column(self.file, names, self.header, "add it", self.header_row)


def missing_column(
    file: Path | str,
    names: Sequence[str],
    header: Sequence[str],
    remedy: str,
    row: int | None = None,
    *,
    guess: bool = False,
) -> HiptError:
    """The sentence for a column that is not there, with the columns that are.

    Args:
        file: the table.
        names: of the column; each would do.
        header: the names that there are.
        remedy: what to do.
        row: the header's row, where a sentence is to name it.
        guess: whether the columns most like it are named, if there are such.
    """
    there = [name for name in header if name]
    hint = f"found: {some_of(there, _MOST_COLUMNS) or 'nothing'}"
    if near := difflib.get_close_matches(names[0], there, n=3, cutoff=0.5) if guess else []:
        hint = "did you mean " + " or ".join(f"'{name}'" for name in near) + "?"
    wanted = " or ".join(f"'{name}'" for name in names)
    return HiptError.at(file, f"column {wanted} is missing ({hint}); {remedy}", row=row)


def read_csv(file: Path, is_header: IsHeader, content: bytes | None = None) -> Table:
    """A table that people or other programs wrote.

    UTF-8, with a byte-order mark or without; separated by commas, semicolons or tabs; line ends of
    any system. Lines of `#` above the header and a spreadsheet's `sep=;` are left out; a header
    that is a comment itself (`#slide_id,label`) loses its `#`.

    Args:
        file: the file.
        is_header: tells the header among comments, and the delimiter by which it is one.
        content: its bytes, where they do not lie in it as they are.

    Raises:
        HiptError: if it cannot be read, or is no such text, naming the row.
    """
    if content is None:
        try:
            content = file.read_bytes()
        except OSError as error:
            raise cannot_be_read(file, error) from None
    text = _text(file, content)
    above, lines = _below_comments(io.StringIO(text, newline=None).readlines(), is_header)
    rows = _rows(file, lines, _delimiter("".join(lines[:1]), is_header), above)
    number, header = next(rows, (above + 1, []))
    return Table(file, [trimmed(name) for name in header], number, rows)


def read_written(
    path: Path, *headers: Sequence[str], longest_cell: int = _LONGEST_CELL
) -> list[list[str]]:
    """The rows of a file that `write_csv` wrote.

    Args:
        path: the file.
        headers: it has one of these.
        longest_cell: characters.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is another file, or a damaged one.
    """
    csv.field_size_limit(longest_cell)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file, strict=True)
    except csv.Error as error:
        raise ValueError(str(error)) from None
    if tuple(header) not in headers or any(len(row) != len(header) for row in rows):
        raise ValueError("its columns are others")
    return rows


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file (comma, UTF-8), whole or not at all."""
    with whole(path) as part:
        part.write_bytes(csv_text(header, rows).encode())


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows as `write_csv` writes them."""
    lines = list[str]()
    # by a line end of both, cells with one of them are quoted; by a newline, a lone "\r" is not
    csv.writer(SimpleNamespace(write=lines.append), lineterminator="\r\n").writerows(
        [header, *rows]
    )
    return "".join(line.removesuffix("\r\n") + "\n" for line in lines)


def cannot_be_read(file: Path, error: OSError) -> HiptError:
    """The sentence for a file that the system does not give."""
    problem = f"cannot be read ({error.strerror or error}); see to its rights and its disk"
    return HiptError(f"{file}: {problem}")


def _text(file: Path, content: bytes) -> str:
    """The text of a file, a byte-order mark left out."""
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        before, problem = content[: error.start].decode(), "is not UTF-8 text"
    else:
        before, nul, _ = text.partition("\0")
        if not nul:
            return text
        problem = "holds a NUL character"
    row = len(re.findall("\r\n?|\n", before)) + 1
    raise HiptError.at(file, f"{problem}; save it as 'CSV UTF-8'", row=row)


def _below_comments(lines: list[str], is_header: IsHeader) -> tuple[int, list[str]]:
    """How many lines of comment a table begins with, and the lines below."""

    def holds_header(line: str) -> bool:
        return any(is_header(_split(line, delimiter)) for delimiter in _DELIMITERS)

    above = 1 if lines and _SEPARATOR.fullmatch(lines[0].rstrip("\n")) else 0
    while above < len(lines) and lines[above].lstrip('"').startswith("#"):
        if holds_header(lines[above]):  # its first column is called so
            break
        above += 1
    last, below = "".join(lines[above - 1 : above]), lines[above:]
    last = _COMMENT.sub(r"\1", last)
    if holds_header(last) and not holds_header("".join(below[:1])):
        return above - 1, [last, *below]
    return above, below


def _delimiter(header: str, is_header: IsHeader) -> str:
    """The delimiter by which a line is a header, and then the one that finds most columns."""
    splits = {delimiter: _split(header, delimiter) for delimiter in _DELIMITERS}
    return max(splits, key=lambda by: (is_header(splits[by]), len(splits[by])))


def _split(line: str, delimiter: str) -> list[str]:
    """The names of a header, roughly."""
    return [trimmed(name).strip(' "') for name in line.split(delimiter)]


def _rows(
    file: Path, lines: Sequence[str], delimiter: str, above: int
) -> Iterator[tuple[int, list[str]]]:
    """The rows of some lines, each with the number of its first; so many are above them."""
    csv.field_size_limit(_LONGEST_CELL)
    reader, number = csv.reader(lines, delimiter=delimiter, strict=True), above + 1
    try:
        for cells in reader:
            yield number, cells
            # a row with a line break in a cell has more than one line
            number = above + reader.line_num + 1
    except csv.Error as error:
        problem = f"is not CSV ({error}); look for a double quote that is not closed"
        raise HiptError.at(file, problem, row=number) from None
