"""What is said of the sheet's cells that hold a word for a value that is not known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from hipt.cohort.sheet import SlideRow

_INSTEAD = {
    "case_id": "the slide is a case of its own",
    "site": "no site",
    "mpp": "read from the slide",
    "mask": "tissue is found",
    "exclude": "not excluded",
}
"""By column, what an empty cell means."""


def unknown_note(row: SlideRow) -> str:
    """What the slide table says of a row; empty where every cell has a value or none."""
    return "; ".join(f"{name} is {word!r}: {_INSTEAD[name]}" for name, word in row.unknown.items())


def unknown_cells(rows: Sequence[SlideRow]) -> Iterator[str]:
    """A sentence per column of the sheet that has such words."""
    for column, instead in _INSTEAD.items():
        words = Counter(row.unknown[column] for row in rows if column in row.unknown)
        if words:
            yield f"{column}: {counted(words)} of {len(rows):,} count as empty ({instead})"


def counted(words: Counter[str]) -> str:
    """Words with how often they stand there, the most frequent first."""
    return ", ".join(f"{count:,} '{word}'" for word, count in words.most_common())
