"""Splits that other tools wrote: CLAM's folder of `splits_0.csv` and so on, Patho-Bench's table."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from hipt.cohort.folder import SLIDE_SUFFIXES
from hipt.cohort.missing import Missing
from hipt.config.config import MISSING
from hipt.errors import HiptError
from hipt.store.csv_rows import Row, Table, read_csv
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
    row: Row
    column: str


def bare(text: str) -> str:
    """An id without the ending of a slide or its features."""
    text = unicodedata.normalize("NFC", text.strip())
    small = text.lower()
    if not small.endswith(ENDINGS):  # nearly all, and there are many
        return text
    ending = next(end for end in ENDINGS if small.endswith(end))
    return text[: len(text) - len(ending)]


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
    text = unicodedata.normalize("NFC", text)
    return text if known is not None and text in known else bare(text)


def _twice(name: str, first: _Entry, entry: _Entry) -> HiptError:
    """The sentence for an id on two sides of a fold."""
    there = f"row {first.row.number}, column '{first.column}'"
    problem = f"'{name}' is in {first.side} of fold {entry.fold} already ({there}); keep one"
    return entry.row.wrong(entry.column, problem)


def _clam_entries(folder: Path) -> Iterator[_Entry]:
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
        table = _table(file)
        table.column("train")
        table.column("val", "test")
        for row in _rows(table):
            for side in SIDES:
                if row.get(side):
                    yield _Entry(fold, side, row[side], row, side)


def _table_entries(file: Path, missing: Missing) -> Iterator[_Entry]:
    """The ids of Patho-Bench's table, row by row."""
    table = _table(file)
    if "train" in table.header:
        problem = "is one fold of CLAM's; name its folder"
        raise HiptError.at(file, problem, row=table.header_row, column="train")
    ids = table.column("slide_id", "case_id")
    folds = {name: int(match[1]) for name in table.header if (match := _FOLD.fullmatch(name))}
    if not folds:
        table.column("fold_0")
    for row in _rows(table):
        if not row[ids]:
            raise row.wrong(ids, "is empty; give every row an id")
        for column, fold in folds.items():
            side = row[column]
            if side in SIDES:
                yield _Entry(fold, side, row[ids], row, column)
            elif side not in missing:
                problem = f"must be train, val, test or empty, got {side!r}; correct it"
                raise row.wrong(column, problem)


def _table(file: Path) -> Table:
    """A table whose columns all have names of their own."""
    table = read_csv(file, lambda names: any(n == "train" or _FOLD.fullmatch(n) for n in names))
    table.refuse_repeated()
    return table


def _rows(table: Table) -> Iterator[Row]:
    """The rows of a table, of which there has to be one."""
    empty = True
    for row in table:
        empty = False
        yield row
    if empty:
        raise HiptError(f"{table.file}: has no row below its header; restore it, or take it away")
