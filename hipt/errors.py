"""What a user can put right, said in one sentence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

Status = Literal[
    "ok",
    "missing",
    "unreadable",
    "no_mpp",
    "too_coarse",
    "no_tissue",
    "damaged",
    "failed",
    "excluded",
]
"""What became of a slide; every slide of the sheet ends with exactly one."""

STATUSES: tuple[Status, ...] = get_args(Status)

TROUBLE: frozenset[Status] = frozenset(
    {"missing", "unreadable", "no_mpp", "too_coarse", "damaged", "failed"}
)
"""The statuses that somebody should look into; the others are a slide's ordinary ends."""


LONGEST_SENTENCE = 1000
"""Characters; where a file brings longer texts, the middle of the sentence is left out."""

_MOST_PLACES = 10
"""Places of faults that a sentence names beside the first."""

_BREAK = re.compile(r"\s*[\r\n]+\s*")


class HiptError(Exception):
    """One sentence: where, what was found, what to do. Ends a command with exit code 2.

    Whatever text a file brought into it: it stays on one line, is not endless, and holds nothing
    that a terminal would obey.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(_printable(sentence))

    @classmethod
    def at(
        cls, file: Path | str, problem: str, *, row: int | None = None, column: str | None = None
    ) -> HiptError:
        """The sentence with its place in front: `sheet.csv, row 7, column 'mpp': problem`.

        Args:
            file: the file in which the problem stands.
            problem: what was found and what to do.
            row: the row as an editor shows it, the header being row 1.
            column: the column's name.
        """
        place = str(file)
        if row is not None:
            place += f", row {row}"
        if column is not None:
            place += f", column '{column}'"
        return cls(f"{place}: {problem}")


class SlideError(HiptError):
    """Trouble with one slide: it becomes the slide's status and reason; the cohort goes on."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status: Status = status
        self.reason = str(self)


def some_of(
    items: Sequence[object], most: int, between: str = ", ", *, counted: bool = True
) -> str:
    """The first of some items, for a sentence: `a, b and 3 more`.

    Args:
        items: all of them.
        most: how many are named.
        between: what stands between them; after another mark than a comma: `a; b; and 3 more`.
        counted: whether the others are counted; if not, since the sentence does: `a, b, ...`.
    """
    named, more = between.join(map(str, items[:most])), len(items) - most
    if more <= 0:
        return named
    if not counted:
        return f"{named}{between}..."
    return f"{named}{' ' if between == ', ' else between}and {more:,} more"


def all_of(faults: Sequence[tuple[str, HiptError]], kind: str) -> HiptError:
    """The first of several sentences, and where the others are: nobody should run once per row.

    Args:
        faults: place and sentence of each, at least one.
        kind: what a place is: `row`, `file` or `slide`.
    """
    first, places = faults[0][1], [place for place, _ in faults[1:]]
    if not places:
        return first
    some = some_of(places, _MOST_PLACES, counted=False)
    plural = "s are" if len(places) > 1 else " is"
    return HiptError(f"{first} ({len(places):,} more {kind}{plural} at fault: {some})")


def _printable(sentence: str) -> str:
    """A sentence on one line: control characters are written out, an endless middle left out."""
    line = _BREAK.sub(" ", sentence).strip()
    if not line.isprintable():
        line = "".join(c if c.isprintable() else _escaped(c) for c in line)
    if len(line) > LONGEST_SENTENCE:
        half = LONGEST_SENTENCE // 2 - 4
        line = f"{line[:half]} [...] {line[-half:]}"
    return line


def _escaped(character: str) -> str:
    """A character as Python writes it in quotes."""
    return character.encode("unicode_escape").decode()
