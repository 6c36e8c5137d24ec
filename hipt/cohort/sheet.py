"""The sheet of slides: one row per slide, every problem named with its row and column.

Standard library only, beside the settings, since Snakemake reads the sheet while parsing.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from hipt.cohort.dicom_series import dicom_headers, may_be_dicom
from hipt.cohort.folder import folder_slides
from hipt.cohort.missing import Missing, is_tcga_site
from hipt.cohort.same_content import shared_paths
from hipt.config.config import MISSING
from hipt.errors import HiptError, all_of
from hipt.store.csv_rows import read_csv

COLUMNS = ("slide_id", "path", "case_id", "site", "mpp", "mask", "exclude")
"""The columns with a meaning; all others are labels."""

NOT_NAMES = COLUMNS[2:]
"""Those in which a word may stand for a value that is not known; a slide may be called `none`."""

_TRUE, _FALSE = {"1", "1.0", "true", "yes", "y", "x"}, {"", "0", "0.0", "false", "no", "n"}
_UNFIT = re.compile(r'[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff/\\:*?"<>|]')
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
    unknown: Mapping[str, str] = field(default_factory=dict)
    """By column, the word that stands where a value is not known."""

    def digest(self) -> str:
        """Changes when the slide has to be looked at again.

        Over what decides how its pixels are read: the row's `path`, `mpp`, `mask` and `exclude`,
        and size and time of the files that they name. Labels are not in it.
        """
        facts = [str(self.path), self.mpp, str(self.mask), self.exclude]
        stats = [size_and_time(file) for file in (self.path, self.mask) if file]
        return hashlib.sha256(json.dumps([*facts, stats]).encode()).hexdigest()[:16]


def refuse_unknown(rows: Sequence[SlideRow], requested: Sequence[str], key: str) -> None:
    """Refuse slide_ids that the sheet does not have.

    Raises:
        HiptError: naming the first of them, and the setting that holds it.
    """
    known = {row.slide_id for row in rows}
    if wrong := [name for name in requested if name not in known]:
        near = difflib.get_close_matches(wrong[0], sorted(known), n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise HiptError(f"{key}: the sheet has no slide '{wrong[0]}'{hint}")


def read_sheet(
    sheet: Path,
    root: str | None = None,
    case_from: str = "column",
    missing: Sequence[str] = MISSING,
) -> list[SlideRow]:
    """The slides of a sheet, or of a folder.

    Args:
        sheet: a CSV file (comma, semicolon or tab; UTF-8), or a folder.
        root: where the sheet's relative paths start; None: its own folder.
        case_from: `column` (case_id, else slide_id) or `tcga` (first 12 characters of the id).
        missing: cells that count as empty, but for labels: what those mean is for their reader.

    Returns:
        One row per slide, in the sheet's order. Ids are text always: `0012` stays `0012`. Where
        `path` is empty, the path is of no file: who plans a run says whether that may be.

    Raises:
        HiptError: naming file, row, column, what was found and what to do.
    """
    return read_with_remarks(sheet, root, case_from, missing, path_needed=False)[0]


def read_with_remarks(
    sheet: Path,
    root: str | None = None,
    case_from: str = "column",
    missing: Sequence[str] = MISSING,
    *,
    path_needed: bool = True,
) -> tuple[list[SlideRow], list[str]]:
    """The slides, as of `read_sheet`, and sentences on what is left out or twice in it.

    `path_needed`: whether an empty `path` is refused; imported features need none.
    """
    remarks: list[str] = []
    records: Iterable[_Record]
    if sheet.is_dir():
        folder, start = folder_slides(sheet), sheet
        remarks = list(folder.remarks())
        records = [
            _Record(sheet / slide.path, None, {"slide_id": slide.slide_id, "path": str(slide.path)})
            for slide in folder.slides
        ]
    elif sheet.is_file():
        records, start = _csv_records(sheet), _expanded(root) if root else sheet.parent
    else:
        raise HiptError(
            f"{sheet}: no such sheet or folder; name one in slides.sheet "
            "(a CSV with the columns slide_id and path, or a folder of slides)"
        )
    words = Missing(missing)
    known = [record.known(words) for record in records]
    rows = _rows(known, start, case_from, path_needed)
    if not rows:
        remedy = "add one row per slide (slide_id, path)"
        raise HiptError("; ".join([f"{sheet}: holds no slide", *remarks, remedy]))
    if sheet.is_file():
        _refuse_series_twice(rows)
        present = (row for row, _ in rows if not row.exclude)
        remarks += shared_paths((r.slide_id, str(r.path), str(r.mask or "")) for r in present)
    return [row for row, _ in rows], remarks


def _rows(
    records: Sequence[_Record], start: Path, case_from: str, path_needed: bool
) -> list[tuple[SlideRow, _Record]]:
    """The rows, each beside its record; all that are at fault are named at once."""
    rows, seen = list[tuple[SlideRow, _Record]](), dict[str, tuple[str, _Record]]()
    faults: list[tuple[str, HiptError]] = []
    for record in records:
        try:
            row = record.row(start, case_from, path_needed)
            known_id, known = seen.setdefault(row.slide_id.casefold(), (row.slide_id, record))
            if known is not record:
                raise record.twice(row.slide_id, known_id, known)
        except HiptError as error:
            faults.append((str(record.number or record.file.name), error))
        else:
            rows.append((row, record))
    if faults:
        raise all_of(faults, "row" if records[0].number else "file")
    return rows


def _refuse_series_twice(rows: Sequence[tuple[SlideRow, _Record]]) -> None:
    """Refuse rows that name two files of one DICOM series: OpenSlide opens both as one slide.

    It looks for a series' files in one folder, so that a file that is alone in its own is not read.
    """
    by_folder: dict[Path, dict[Path, _Record]] = defaultdict(dict)
    for row, record in rows:
        if may_be_dicom(row.path) and not row.exclude:
            by_folder[row.path.parent].setdefault(row.path, record)
    records = {p: r for own in by_folder.values() if len(own) > 1 for p, r in own.items()}
    known: dict[tuple[Path, str], Path] = {}
    for path, header in zip(records, dicom_headers(list(records)), strict=True):
        if header is not None:
            first = known.setdefault((path.parent, header.series), path)
            if first != path:
                raise records[path].of_series(path, records[first], first)


def _csv_records(sheet: Path) -> Iterator[_Record]:
    """The rows that are not empty."""
    table = read_csv(sheet, {"slide_id", "path"}.issubset)
    table.refuse_repeated()
    for name in table.header:
        if name not in COLUMNS and name.casefold() in COLUMNS:
            problem = f"is not '{name.casefold()}'; write it so, or rename it if it is a label"
            raise HiptError.at(sheet, problem, row=table.header_row, column=name)
    for name in ("slide_id", "path"):
        table.column(name)
    return (_Record(sheet, row.number, dict(row)) for row in table)


@dataclass(frozen=True)
class _Record:
    """One slide's cells, and the place that a sentence names when one of them is wrong."""

    file: Path
    """The sheet; where a folder is given, the slide's own file."""
    number: int | None
    """The row as an editor shows it; None for a file."""
    cells: Mapping[str, str]
    unknown: Mapping[str, str] = field(default_factory=dict)
    """What stood in the cells that were emptied, by column."""

    def known(self, missing: Missing) -> _Record:
        """The same slide; cells of ours with a word for a value that is not known are empty."""
        if self.number is None:  # names of files are names
            return self
        given = ((name, self.cells.get(name, "")) for name in NOT_NAMES)
        unknown = {name: cell for name, cell in given if cell and cell in missing}
        ids = (self.cells["slide_id"], self.cells.get("case_id", ""))
        if is_tcga_site(unknown.get("site", ""), *ids):
            del unknown["site"]
        empty = dict.fromkeys(unknown, "")
        return replace(self, cells={**self.cells, **empty}, unknown=unknown)

    def row(self, start: Path, case_from: str, path_needed: bool) -> SlideRow:
        slide_id = self._slide_id()
        tcga = self._tcga(slide_id) if case_from == "tcga" else None
        mask = self.cells.get("mask")
        return SlideRow(
            slide_id=slide_id,
            path=start / _expanded(self._path(path_needed)),
            case_id=tcga or self.cells.get("case_id") or slide_id,
            site=self.cells.get("site") or (tcga[5:7] if tcga else ""),
            mpp=self._mpp(),
            mask=start / _expanded(mask) if mask else None,
            exclude=self._exclude(),
            labels={name: cell for name, cell in self.cells.items() if name not in COLUMNS},
            unknown={
                name: word
                for name, word in self.unknown.items()
                if tcga is None or name not in ("case_id", "site")  # those are in the barcode
            },
        )

    def twice(self, slide_id: str, known_id: str, known: _Record) -> HiptError:
        """The sentence for an id that another record has too, or but for its case."""
        in_sheet = known.number is not None
        there = f"row {known.number}" if in_sheet else str(known.file)
        if known_id != slide_id:
            problem = (
                f"{slide_id!r} and {known_id!r} ({there}) differ in case alone, which some file "
                "systems take for one name"
            )
        elif in_sheet:
            problem = f"{slide_id!r} stands in {there} already; ids must be unique"
        else:
            problem = f"{slide_id!r} is the id of {there} already; ids must be unique"
        remedy = "rename one" if in_sheet else "rename one, or list the slides in a sheet"
        return self._wrong("slide_id", f"{problem}; {remedy}")

    def of_series(self, path: Path, other: _Record, other_path: Path) -> HiptError:
        """The sentence for a DICOM file that belongs to the slide of another row."""
        return self._wrong(
            "path",
            f"{path.name} is of the same DICOM series as {other_path.name} (row {other.number}), "
            "so that both rows are one slide; keep one of them",
        )

    def _wrong(self, column: str, problem: str) -> HiptError:
        named = None if self.number is None else column
        return HiptError.at(self.file, problem, row=self.number, column=named)

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

    def _path(self, needed: bool) -> str:
        text = self.cells["path"]
        if not text and needed:
            raise self._wrong(
                "path",
                "is empty; name the slide's file, or delete the row; only imported features "
                "(embed.patches.features) do without",
            )
        return text or f"{self._slide_id()} has no path in the sheet"

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
        text = self.cells.get("exclude", "")
        if text.lower() not in _TRUE | _FALSE:
            raise self._wrong("exclude", f"must be yes or no, got {text!r}; empty means no")
        return text.lower() in _TRUE

    def _tcga(self, slide_id: str) -> str:
        if not _TCGA.match(slide_id):
            raise self._wrong(
                "slide_id",
                f"{slide_id!r} does not begin with a TCGA barcode (TCGA-XX-XXXX); "
                "set slides.case_from to column",
            )
        return slide_id[:12]


def _expanded(text: str) -> Path:
    """A path with `~` as the home folder; left as it is where there is no such user."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def size_and_time(file: Path) -> tuple[int, int] | None:
    """A file's size and modification time; None where there is none."""
    try:
        stat = file.stat()
    except (OSError, ValueError):
        return None
    return stat.st_size, stat.st_mtime_ns
