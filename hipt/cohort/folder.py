"""The slides of a folder: what is one, what belongs to another one, and what is left out.

Standard library only, since Snakemake lists the folder while parsing.
"""

from __future__ import annotations

import math
import os
import re
import stat
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hipt.cohort.dicom_series import DicomHeader, dicom_headers, may_be_dicom
from hipt.errors import HiptError, some_of

SLIDE_SUFFIXES = (
    *(".bif", ".btf", ".czi", ".dcm", ".mrxs", ".ndpi", ".qptiff", ".scn", ".svs"),
    *(".svslide", ".tf2", ".tf8", ".tif", ".tiff", ".vms", ".vmu"),
)
"""Files that count as slides where a folder is given instead of a sheet."""

UNOPENED = frozenset(
    {
        *(".afi", ".ets", ".isyntax", ".jp2", ".kfb", ".lif", ".lsm", ".mds", ".mdsx", ".nd2"),
        *(".ndpis", ".oir", ".sdpc", ".tmap", ".vsi", ".zarr", ".zvi"),
    }
)
"""Endings of slides, or of lists of their files, that OpenSlide does not open."""

_COMPANIONS = (".jpg", ".ngr", ".opt")
"""Beside a VMS or VMU slide: its own files."""

_SYSTEM = frozenset(
    ("lost+found", "$recycle.bin", "system volume information", "@eadir", "#recycle", "#snapshot")
)
"""Folders that disks and file servers keep for themselves, in small letters."""

_FILE_ENDING = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,7}")
_NAMED = 10
"""Most endings that a sentence names."""

NO_LEVEL, NO_SLIDE = "label, overview or thumbnail (DICOM)", "DICOM file that is no slide"
NO_ENDING, DANGLING = "without an ending", "link to nothing"


@dataclass(frozen=True)
class FolderSlide:
    """One slide of a folder."""

    slide_id: str
    path: Path
    """Its file as seen from the folder; of a DICOM series that of the largest level."""


@dataclass(frozen=True)
class FolderSlides:
    """The slides of a folder, and what else is in it."""

    slides: tuple[FolderSlide, ...]
    """By path, rising."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Files by their ending, or by what they are."""
    dicom_files: int = 0
    """Levels of DICOM slides."""
    dicom_slides: int = 0

    def remarks(self) -> Iterator[str]:
        """A sentence for each thing that is not as one may think."""
        if self.dicom_files > self.dicom_slides:
            yield (
                f"levels of DICOM slides: {self.dicom_files:,} files of {self.dicom_slides:,} "
                "series, each series one slide"
            )
        foreign = {what: n for what, n in self.left_out.items() if what in UNOPENED}
        if foreign:
            yield (
                f"left out {_counted(foreign)}: of a format that OpenSlide does not open; convert "
                "slides among them to pyramidal TIFF"
            )
        other = {what: n for what, n in self.left_out.items() if what not in UNOPENED}
        if other:
            yield f"left out {_counted(other)}"


def folder_slides(folder: Path) -> FolderSlides:
    """The slides of a folder and its subfolders; hidden ones are left out.

    Linked subfolders are followed; each real folder is listed once. A link to a slide that is not
    there is a slide all the same: it ends as `missing`. The DICOM files of one series in one
    folder are one slide. Its id is the folder's name if the folder (not the topmost) holds no
    other series, else the name of the file of its largest level.

    Raises:
        HiptError: if a folder cannot be listed, or a link leads to a folder that is not there.
    """
    slides: list[FolderSlide] = []
    left_out: Counter[str] = Counter()
    dicom: dict[Path, list[Path]] = defaultdict(list)
    for parent, names in _listed(folder):
        own = {Path(name).suffix.lower() for name in names}
        for name in names:
            path = parent / name
            ending = path.suffix.lower()
            kind = _kind(folder / path)
            if may_be_dicom(path) and kind == "file":
                dicom[parent].append(path)
            elif ending in SLIDE_SUFFIXES and kind in ("file", "absent"):
                slides.append(FolderSlide(path.stem.strip(), path))
            elif not (own & {".vms", ".vmu"} and ending in _COMPANIONS):
                left_out[DANGLING if kind == "absent" else ending or NO_ENDING] += 1
    paths = [path for parent in sorted(dicom) for path in dicom[parent]]
    headers = dict(zip(paths, dicom_headers([folder / path for path in paths]), strict=True))
    series = list(_series(headers, slides, left_out))
    slides += (slide for slide, _ in series)
    files = sum(levels for _, levels in series)
    in_order = tuple(sorted(slides, key=lambda slide: slide.path))
    return FolderSlides(in_order, dict(left_out), files, len(series))


def departed(folder: Path, known: Iterable[str], present: Iterable[str]) -> Iterator[str]:
    """A sentence if slides of earlier runs are not in the folder any more.

    Args:
        folder: what is named as the sheet; of a file, whose rows somebody took out, nothing is
            said.
        known: ids that ever had a batch.
        present: ids that there are now.
    """
    gone = sorted(set(known) - set(present))
    if gone and folder.is_dir():
        named = some_of(gone, _NAMED)
        yield (
            f"slides of earlier runs that are not in the folder any more: {len(gone):,} ({named}); "
            "they leave the slide table; see whether a disk is not mounted"
        )


def _series(
    headers: Mapping[Path, DicomHeader | None], slides: list[FolderSlide], left_out: Counter[str]
) -> Iterator[tuple[FolderSlide, int]]:
    """The slides that DICOM files are levels of, each with the number of its files.

    A file without a readable header is a slide of its own, as any other damaged file; one that
    does not even have the ending is none.
    """
    levels: dict[Path, dict[str, list[tuple[int, Path]]]] = defaultdict(lambda: defaultdict(list))
    for path, header in headers.items():
        if header is None and path.suffix.lower() == ".dcm":
            slides.append(FolderSlide(_stem(path), path))
        elif header is None:
            left_out[NO_ENDING] += 1
        elif header.is_level:
            level = -math.prod(header.size_px), path  # the largest is the first
            levels[path.parent][header.series].append(level)
        else:
            left_out[NO_LEVEL if header.is_slide else NO_SLIDE] += 1
    for parent, by_series in levels.items():
        for files in by_series.values():
            _, largest = min(files)
            alone = len(by_series) == 1 and parent.name
            slide_id = parent.name if alone else _stem(largest)
            yield FolderSlide(slide_id.strip(), largest), len(files)


def _stem(path: Path) -> str:
    """The name without `.dcm`; the end of a UID is no ending."""
    return (path.stem if path.suffix.lower() == ".dcm" else path.name).strip()


def _listed(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Every folder below one, as seen from it, with the files in it; itself as `.`, first.

    Real folders come before linked ones, so that a folder that has both keeps its own path.
    """
    seen: set[tuple[int, int]] = set()
    linked = [Path()]
    while linked:
        waiting, linked = sorted(linked), []
        while waiting:
            here = waiting.pop(0)
            entries, mark = _entries(folder / here)
            if mark in seen:
                continue
            seen.add(mark)
            own = {Path(e.name).stem for e in entries if e.name.lower().endswith(".mrxs")}
            files = []
            for entry in entries:
                path = here / entry.name
                if not _is_folder(entry) or path.suffix.lower() in UNOPENED:
                    files.append(entry.name)  # Zarr is a folder of very many files
                elif entry.name not in own and entry.name.lower() not in _SYSTEM:
                    (linked if entry.is_symlink() else waiting).append(path)
            yield here, files


def _entries(folder: Path) -> tuple[list[os.DirEntry[str]], tuple[int, int]]:
    """What is in a folder but hidden, by name; and what tells it from other folders."""
    try:
        facts = folder.stat()
        with os.scandir(folder) as listing:
            entries = sorted((e for e in listing if e.name[0] != "."), key=lambda e: e.name)
    except OSError as error:
        raise HiptError(
            f"{folder}: cannot be listed ({error.strerror}); see to its rights and its disk, or "
            "list the slides in a sheet"
        ) from None
    return entries, (facts.st_dev, facts.st_ino)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder, or a link to one."""
    try:
        return stat.S_ISDIR(entry.stat().st_mode)
    except OSError as error:
        if _FILE_ENDING.fullmatch(Path(entry.name).suffix):
            return False
        link = f"is a link to {Path(entry.path).readlink()} and " if entry.is_symlink() else ""
        raise HiptError(
            f"{entry.path}: {link}cannot be reached ({error.strerror}); mount its disk, or take it "
            "out of the folder"
        ) from None


def _kind(path: Path) -> Literal["file", "absent", "other"]:
    """Whether there is a file; a pipe, which nobody can read a slide from, is another thing."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return "absent"
    return "file" if stat.S_ISREG(mode) else "other"


def _counted(counts: Mapping[str, int]) -> str:
    """`3 .txt, 1 .xml`, most first."""
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    named = [f"{n:,} {what}" for what, n in ranked[:_NAMED]]
    rest = ranked[_NAMED:]
    if rest:
        named.append(f"{sum(n for _, n in rest):,} of {len(rest)} other kinds")
    return ", ".join(named)
