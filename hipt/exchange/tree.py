"""A tree of exported files, and a note beside it of what was written for each slide.

The note `.hipt/<slide_id>.json` is written last. It names the slide's files with their sizes, so
that a tree in which files are missing or cut is noticed, whatever kind they are.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from hipt.store.whole import whole

NOTES = ".hipt"
"""The folder of notes inside a tree."""

_LONGEST_NAME, _DEEPEST = 255, 8
"""Bytes of a name, folders of a path: more has no file of a tree."""


@dataclass(frozen=True)
class Entry:
    """What was exported of one slide."""

    fingerprint: str
    sizes: Mapping[str, int]
    """Bytes of each file, by its path inside the tree."""
    counts: Mapping[str, int]
    """`patches` and `regions`."""


@dataclass(frozen=True)
class ExportTree:
    """The folder of one format."""

    root: Path

    def kept(self, slide_id: str, fingerprint: str) -> Entry | None:
        """A slide's entry, if its files are there, whole, and of this fingerprint; else None."""
        entry = self._entry(slide_id)
        if entry is None or entry.fingerprint != fingerprint:
            return None
        files = [(self.root / name, size) for name, size in entry.sizes.items()]
        return entry if all(f.is_file() and f.stat().st_size == size for f, size in files) else None

    def remember(
        self, slide_id: str, fingerprint: str, files: Iterable[Path], counts: Mapping[str, int]
    ) -> Entry:
        """Note a slide's files, all of which are written; returns its entry."""
        sizes = {str(file.relative_to(self.root)): file.stat().st_size for file in files}
        entry = Entry(fingerprint, sizes, dict(counts))
        with whole(self._note(slide_id)) as part:
            part.write_text(json.dumps(vars(entry), sort_keys=True), encoding="utf-8")
        return entry

    def remove(self, slide_id: str) -> None:
        """Delete what the tree holds of a slide; nothing that the tree did not write."""
        entry = self._entry(slide_id)
        for name in entry.sizes if entry else ():
            (self.root / name).unlink(missing_ok=True)
        self._note(slide_id).unlink(missing_ok=True)

    def remove_others(self, slide_ids: Collection[str]) -> list[str]:
        """Delete all slides but these; returns the ids of those that were deleted."""
        notes = sorted((self.root / NOTES).glob("*.json"))
        others = [note.stem for note in notes if note.stem not in slide_ids]
        for slide_id in others:
            self.remove(slide_id)
        return others

    def _note(self, slide_id: str) -> Path:
        return self.root / NOTES / f"{slide_id}.json"

    def _entry(self, slide_id: str) -> Entry | None:
        """A slide's entry; None where there is none that can be read."""
        try:
            values: dict[str, Any] = json.loads(self._note(slide_id).read_text(encoding="utf-8"))
            entry = Entry(**values)
            fit = isinstance(entry.sizes, dict) and all(map(_stays_inside, entry.sizes))
            return entry if fit else None
        except (OSError, ValueError, TypeError, RecursionError):
            return None


def _stays_inside(name: str) -> bool:
    """Whether a note's file can be one of its tree: a damaged note has nothing else deleted."""
    parts = PurePosixPath(name).parts
    if "\0" in name or not 0 < len(parts) <= _DEEPEST:
        return False
    return all(p not in ("/", "//", "..") and len(p.encode()) <= _LONGEST_NAME for p in parts)
