"""What a user can put right, said in one sentence."""

from __future__ import annotations

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
    "excluded",
]
"""What became of a slide; every slide of the sheet ends with exactly one."""

STATUSES: tuple[Status, ...] = get_args(Status)

TROUBLE: frozenset[Status] = frozenset({"missing", "unreadable", "no_mpp", "too_coarse", "damaged"})
"""The statuses that somebody should look into; the others are a slide's ordinary ends."""


_LONGEST = 800
"""Characters of a sentence that somebody reads, the paths in it included."""


class HiptError(Exception):
    """One sentence: where, what was found, what to do. Ends a command with exit code 2.

    Whatever a file held that the sentence quotes, it is one line, and cut in its middle if it is
    too long: the place stands at its beginning, and what to do at its end.
    """

    def __init__(self, sentence: str) -> None:
        text = " ".join(sentence.splitlines())
        if len(text) > _LONGEST:
            text = f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 2 :]}"
        super().__init__(text)

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
