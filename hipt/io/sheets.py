"""The sheet of slides: one row per slide, every problem named with its row and column.

Standard library only, since Snakemake reads the sheet while parsing.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hipt.errors import HiptError

SLIDE_SUFFIXES = (
    *(".bif", ".czi", ".dcm", ".mrxs", ".ndpi", ".scn", ".svs"),
    *(".svslide", ".tif", ".tiff", ".vms", ".vmu"),
)
"""Files that count as slides where a folder is given instead of a sheet."""

COLUMNS = ("slide_id", "path", "case_id", "site", "mpp", "mask", "exclude")
"""The columns with a meaning; all others are labels."""

_TRUE, _FALSE = {"1", "true", "yes", "y", "x"}, {"", "0", "false", "no", "n"}
_UNFIT = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')
_TCGA = re.compile(r"TCGA-[A-Z0-9]{2}-[A-Z0-9]{4}")
_LONGEST_ID_BYTES = 200


@dataclass(frozen=True)
class SlideRow:
    """One slide of the sheet."""

    slide_id: str
    path: Path
    case_id: str
    site: str = ""
    mpp: float | None = None
    mask: Path | None = None
    exclude: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)

    def digest(self) -> str:
        """Changes when the slide has to be looked at again.

        Over what decides how its pixels are read: the row's `path`, `mpp`, `mask` and `exclude`,
        and size and time of the files that they name. Labels are not in it.
        """
        facts = [str(self.path), self.mpp, str(self.mask), self.exclude]
        stats = [_size_and_time(file) for file in (self.path, self.mask) if file]
        return hashlib.sha256(json.dumps([*facts, stats]).encode()).hexdigest()[:16]


def read_sheet(sheet: Path, root: str | None = None, case_from: str = "column") -> list[SlideRow]:
    """The slides of a sheet, or of a folder (every slide file in it, id = file stem).

    Args:
        sheet: a CSV file (comma, semicolon or tab; UTF-8), or a folder.
        root: where relative paths start; None: the sheet's own folder.
        case_from: `column` (case_id, else slide_id) or `tcga` (first 12 characters of the id).

    Returns:
        One row per slide, in the sheet's order. Ids are text always: `0012` stays `0012`.

    Raises:
        HiptError: naming file, row, column, what was found and what to do.
    """
    if sheet.is_dir():
        records = _folder_records(sheet)
    elif sheet.is_file():
        records = _csv_records(sheet)
    else:
        raise HiptError(
            f"{sheet}: no such sheet or folder; name one in slides.sheet "
            "(a CSV with the columns slide_id and path, or a folder of slides)"
        )
    start = Path(root).expanduser() if root else (sheet if sheet.is_dir() else sheet.parent)
    rows, seen = [], dict[str, tuple[str, int]]()
    for number, cells in records:
        row = _Reader(sheet, number, cells).row(start, case_from)
        _refuse_twice(sheet, number, row.slide_id, seen)
        rows.append(row)
    if not rows:
        raise HiptError(f"{sheet}: holds no slide; add one row per slide (slide_id, path)")
    return rows


def _csv_records(sheet: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Row number, as an editor shows it, and cells of each row that is not empty."""
    try:
        text = sheet.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        row = sheet.read_bytes()[: error.start].count(b"\n") + 1
        raise HiptError.at(sheet, "is not UTF-8 text; save it as 'CSV UTF-8'", row=row) from None
    if "\0" in text:
        row = text[: text.index("\0")].count("\n") + 1
        raise HiptError.at(sheet, "holds a NUL character; save it as 'CSV UTF-8'", row=row)
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_header(sheet, header)
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, _by_name(sheet, reader.line_num, header, cells)
    except csv.Error as error:
        raise HiptError.at(sheet, f"is not CSV ({error})", row=reader.line_num) from None


def _check_header(sheet: Path, header: Sequence[str]) -> None:
    """Refuse a header without the needed columns, or with one twice."""
    for name in ("slide_id", "path"):
        if name not in header:
            found = ", ".join(filter(None, header)) or "nothing"
            raise HiptError.at(sheet, f"column '{name}' is missing (found: {found}); add it", row=1)
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise HiptError.at(sheet, "stands twice in the header; rename one", row=1, column=twice[0])


def _by_name(
    sheet: Path, number: int, header: Sequence[str], cells: Sequence[str]
) -> dict[str, str]:
    """A row's cells by column name; cells missing at the end are empty."""
    extra = [cell for cell in cells[len(header) :] if cell.strip()]
    if extra:
        problem = f"has {len(cells)} cells, the header {len(header)}; quote a cell with a delimiter"
        raise HiptError.at(sheet, problem, row=number)
    padded = [*cells, *[""] * (len(header) - len(cells))]
    return {name: cell.strip() for name, cell in zip(header, padded, strict=False) if name}


def _folder_records(folder: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The slide files of a folder and its subfolders, by name."""
    files = (f for f in folder.rglob("*") if f.suffix.lower() in SLIDE_SUFFIXES and f.is_file())
    for number, file in enumerate(sorted(files), start=1):
        yield number, {"slide_id": file.stem, "path": str(file.relative_to(folder))}


@dataclass(frozen=True)
class _Reader:
    """Reads one row's cells, naming the place of what is wrong."""

    sheet: Path
    number: int
    cells: Mapping[str, str]

    def row(self, start: Path, case_from: str) -> SlideRow:
        slide_id = self._slide_id()
        tcga = self._tcga(slide_id) if case_from == "tcga" else None
        mask = self.cells.get("mask")
        return SlideRow(
            slide_id=slide_id,
            path=start / Path(self._path()).expanduser(),
            case_id=tcga or self.cells.get("case_id") or slide_id,
            site=self.cells.get("site") or (tcga[5:7] if tcga else ""),
            mpp=self._mpp(),
            mask=start / Path(mask).expanduser() if mask else None,
            exclude=self._exclude(),
            labels={name: cell for name, cell in self.cells.items() if name not in COLUMNS},
        )

    def _wrong(self, column: str, problem: str) -> HiptError:
        return HiptError.at(self.sheet, problem, row=self.number, column=column)

    def _slide_id(self) -> str:
        text = unicodedata.normalize("NFC", self.cells["slide_id"])
        if not text:
            raise self._wrong("slide_id", "is empty; give every slide an id")
        if _UNFIT.search(text) or text[0] in ".-" or len(text.encode()) > _LONGEST_ID_BYTES:
            raise self._wrong(
                "slide_id",
                f'{text[:60]!r} cannot be a file name; leave out / \\ : * ? " < > | and control '
                f"characters, do not start with '.' or '-', keep to {_LONGEST_ID_BYTES} bytes",
            )
        return text

    def _path(self) -> str:
        text = self.cells["path"]
        if not text:
            raise self._wrong("path", "is empty; name the slide's file, or delete the row")
        return text

    def _mpp(self) -> float | None:
        text = self.cells.get("mpp", "")
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 < value <= 100:
            raise self._wrong(
                "mpp",
                f"must be a number above 0 and at most 100 (um per pixel), got {text!r}; "
                "leave it empty to read it from the slide",
            )
        return value

    def _exclude(self) -> bool:
        text = self.cells.get("exclude", "").lower()
        if text not in _TRUE | _FALSE:
            raise self._wrong("exclude", f"must be yes or no, got {text!r}; empty means no")
        return text in _TRUE

    def _tcga(self, slide_id: str) -> str:
        if not _TCGA.match(slide_id):
            raise self._wrong(
                "slide_id",
                f"{slide_id!r} does not begin with a TCGA barcode (TCGA-XX-XXXX); "
                "set slides.case_from to column",
            )
        return slide_id[:12]


def _refuse_twice(
    sheet: Path, number: int, slide_id: str, seen: dict[str, tuple[str, int]]
) -> None:
    """Refuse an id that stands twice, or that differs from another in case alone."""
    known = seen.setdefault(slide_id.casefold(), (slide_id, number))
    if known == (slide_id, number):
        return
    if known[0] == slide_id:
        problem = f"{slide_id!r} stands in row {known[1]} already; ids must be unique"
    else:
        problem = (
            f"{slide_id!r} and {known[0]!r} (row {known[1]}) differ in case alone, which some "
            "file systems take for one name; rename one"
        )
    raise HiptError.at(sheet, problem, row=number, column="slide_id")


def _size_and_time(file: Path) -> tuple[int, int] | None:
    """A file's size and modification time; None where there is none."""
    try:
        stat = file.stat()
    except (OSError, ValueError):
        return None
    return stat.st_size, stat.st_mtime_ns
