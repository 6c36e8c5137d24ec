"""Splits that other tools wrote: CLAM's folder of `splits_0.csv` and so on, Patho-Bench's table."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from hipt.cohort.folder import SLIDE_SUFFIXES
from hipt.cohort.missing import Missing
from hipt.config.config import MISSING
from hipt.errors import HiptError
from hipt.tasks.folds.leaks import SIDES

ENDINGS = (*SLIDE_SUFFIXES, ".h5", ".pt")
"""What may stand behind an id in a foreign file."""

_CLAM = re.compile(r"splits_([0-9]{1,9})\.csv")
_FOLD = re.compile(r"fold_([0-9]{1,9})")

Folds = dict[int, dict[str, tuple[str, ...]]]
"""By fold: the ids of `train`, `val` and `test`, each once, in the file's order."""


class Splits(NamedTuple):
    """What foreign files say."""

    folds: Folds
    """Of known ids only, where it was said which are known."""
    unknown: tuple[str, ...]
    """The other ids, rising, each once."""


class _Entry(NamedTuple):
    fold: int
    side: str
    text: str
    file: Path
    row: int
    column: str


def read_splits(
    path: Path, known: Collection[str] | None = None, missing: Sequence[str] = MISSING
) -> Splits:
    """The folds of a foreign split; ids are text and lose the ending of a slide or its features.

    Args:
        path: a folder with CLAM's `splits_<fold>.csv` (columns train, val, test, of which val or
            test may be missing; other files are left alone), or one table of Patho-Bench
            (case_id, slide_id, fold_0, ..., with train, val, test or nothing in a row). Its ids
            are slides, where it has no slide_id cases.
        known: the ids that there are, slides or cases; None: whatever is listed. An id is taken
            as it stands if it is known so, without its ending otherwise.
        missing: words that fill columns up, unless a slide or case is called so.

    Raises:
        HiptError: naming file, row, column, what was found and what to do.
    """
    words = Missing(missing)
    if path.is_dir():
        entries = _clam_entries(path)
    elif path.is_file():
        entries = _table_entries(path, words)
    else:
        raise HiptError(f"{path}: no such folder or file of splits; name one that is there")
    ids = None if known is None else frozenset(known)
    named = (entry for entry in entries if entry.text in (ids or ()) or entry.text not in words)
    return _sorted_out(named, ids)


def _sorted_out(entries: Iterator[_Entry], known: frozenset[str] | None) -> Splits:
    """Entries by fold and side; an id on two sides of a fold is refused, known or not."""
    folds: dict[int, dict[str, list[str]]] = {}
    seen: dict[tuple[int, str], _Entry] = {}
    unknown = set()
    for entry in entries:
        name = _named(entry.text, known)
        first = seen.setdefault((entry.fold, name), entry)
        if first.side != entry.side:
            raise _twice(name, first, entry)
        sides = folds.setdefault(entry.fold, {side: [] for side in SIDES})
        if known is not None and name not in known:
            unknown.add(name)
        elif first is entry:
            sides[entry.side].append(name)
    ordered = {n: {side: tuple(ids) for side, ids in folds[n].items()} for n in sorted(folds)}
    return Splits(ordered, tuple(sorted(unknown)))


def _named(text: str, known: frozenset[str] | None) -> str:
    """The id that a cell means."""
    text = unicodedata.normalize("NFC", text)
    ending = next((end for end in ENDINGS if text.lower().endswith(end)), "")
    return text if known is not None and text in known else text[: len(text) - len(ending)]


def _twice(name: str, first: _Entry, entry: _Entry) -> HiptError:
    """The sentence for an id on two sides of a fold."""
    there = f"row {first.row}, column '{first.column}'"
    problem = f"'{name}' is in {first.side} of fold {entry.fold} already ({there}); keep one"
    return HiptError.at(entry.file, problem, row=entry.row, column=entry.column)


def _clam_entries(folder: Path) -> Iterator[_Entry]:
    """The ids of CLAM's files, fold by fold."""
    files: dict[int, Path] = {}
    for file in sorted(folder.iterdir()):
        match = _CLAM.fullmatch(file.name)
        if match and files.setdefault(int(match[1]), file) is not file:
            twin = files[int(match[1])].name
            raise HiptError(f"{file}: is fold {int(match[1])}, as {twin} is; take one away")
    if not files:
        raise HiptError(
            f"{folder}: holds no splits_0.csv; name CLAM's folder with one such file per fold, "
            "or the table of Patho-Bench itself"
        )
    for fold, file in files.items():
        header, rows = _table(file)
        _need(file, header, "train")
        _need(file, header, "val", "test")
        for row, cells in rows:
            for side in SIDES:
                if cells.get(side):
                    yield _Entry(fold, side, cells[side], file, row, side)


def _table_entries(file: Path, missing: Missing) -> Iterator[_Entry]:
    """The ids of Patho-Bench's table, row by row."""
    header, rows = _table(file)
    if "train" in header:
        raise HiptError.at(file, "is one fold of CLAM's; name its folder", row=1, column="train")
    ids = _need(file, header, "slide_id", "case_id")
    columns = {name: int(match[1]) for name in header if (match := _FOLD.fullmatch(name))}
    if not columns:
        _need(file, header, "fold_0")
    for row, cells in rows:
        if not cells[ids]:
            raise HiptError.at(file, "is empty; give every row an id", row=row, column=ids)
        for column, fold in columns.items():
            side = cells[column]
            if side in SIDES:
                yield _Entry(fold, side, cells[ids], file, row, column)
            elif side not in missing:
                problem = f"must be train, val, test or empty, got {side!r}; correct it"
                raise HiptError.at(file, problem, row=row, column=column)


def _need(file: Path, header: Sequence[str], *names: str) -> str:
    """The first of the names that the header has."""
    for name in names:
        if name in header:
            return name
    wanted, found = " or ".join(f"'{name}'" for name in names), ", ".join(filter(None, header))
    problem = f"column {wanted} is missing (found: {found or 'nothing'}); add it"
    raise HiptError.at(file, problem, row=1)


def _table(file: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """A table's header, and its rows that are not empty: number and cells by column name."""
    text = _text(file)
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    rows, number = [], 1
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if number == 1:
                header = stripped
            elif any(stripped):
                rows.append((number, _by_name(file, number, header, stripped)))
            number = reader.line_num + 1  # a row with a line break in a cell has more than one line
    except csv.Error as error:
        problem = f"is not CSV ({error}); look for a double quote that is not closed"
        raise HiptError.at(file, problem, row=number) from None
    counts = Counter(header)
    for name in filter(None, header):
        if counts[name] > 1:
            raise HiptError.at(file, "stands twice in the header; rename one", row=1, column=name)
    if header and not rows:
        raise HiptError(f"{file}: has no row below its header; restore it, or take it away")
    return header, rows


def _by_name(
    file: Path, number: int, header: Sequence[str], cells: Sequence[str]
) -> dict[str, str]:
    """A row's cells by column name; cells missing at the end are empty."""
    if any(cells[len(header) :]):
        problem = f"has {len(cells)} cells, the header {len(header)}; take the extra ones out"
        raise HiptError.at(file, problem, row=number)
    return dict(zip(header, [*cells, *[""] * (len(header) - len(cells))], strict=False))


def _text(file: Path) -> str:
    """A file's text, a byte-order mark left out."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        row = file.read_bytes()[: error.start].count(b"\n") + 1
        raise HiptError.at(file, "is not UTF-8 text; save it as 'CSV UTF-8'", row=row) from None
    except OSError as error:
        problem = f"cannot be read ({error.strerror}); see to its rights and its disk"
        raise HiptError(f"{file}: {problem}") from None
