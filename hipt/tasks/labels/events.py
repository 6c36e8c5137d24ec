"""Columns that say whether the event was seen, in the words of registries and programs."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Literal

from hipt.errors import some_of

Sense = Literal["event", "censorship"]
"""What a column's 1, true or yes means: that the event was seen, or that it was not."""

_FLAGS = {
    **dict.fromkeys(("false", "f", "no", "n"), False),
    **dict.fromkeys(("true", "t", "yes", "y"), True),
}
"""Words that mean what the column means."""

_SEEN = {
    **dict.fromkeys(("alive", "living", "censored", "no event", "event free"), False),
    **dict.fromkeys(("disease free", "diseasefree", "progression free"), False),
    **dict.fromkeys(("recurrence free", "relapse free", "not recurred", "not progressed"), False),
    **dict.fromkeys(("no recurrence", "no progression", "no relapse"), False),
    **dict.fromkeys(("alive or dead tumor free", "censor", "lost to follow up"), False),
    **dict.fromkeys(("dead", "deceased", "died", "death", "uncensored", "event"), True),
    **dict.fromkeys(("dead with tumor", "dead of disease", "died of disease"), True),
    **dict.fromkeys(("recurred", "progressed", "recurred progressed"), True),
    **dict.fromkeys(("recurrence", "progression", "relapse", "relapsed"), True),
}
"""Words that mean the same in every column: whether the event was seen."""

_CODED = re.compile(r"([01])\s*:\s*(\S.*)")
"""cBioPortal's `1:DECEASED`: a number and what it means."""


def event_readings(cells: Iterable[str], sense: Sense) -> dict[str, bool]:
    """Whether the event was seen, by cell; cells without one meaning are left out.

    Args:
        cells: what stands in the column, missing values left out.
        sense: of the column.
    """
    readings = {cell: _seen(cell, sense) for cell in cells}
    return {cell: seen for cell, seen in readings.items() if seen is not None}


def foreign_coding(cells: Collection[str], readings: Mapping[str, bool]) -> str | None:
    """Why a column's numbers cannot be read, even where single ones could be; None: they can."""
    numbers = {cell: value for cell in cells if (value := _number(cell)) is not None}
    if all(cell in readings for cell in numbers):
        return None
    values = sorted(set(numbers.values()))
    some = some_of([f"{value:g}" for value in values], 5, counted=False)
    if values == [1, 2]:
        return "holds 1 and 2, and programs differ in which of them is the event"
    if len(values) > 2:
        return f"holds {len(values):,} different numbers ({some}), and an event was seen or not"
    return f"holds {some}, where 0 and 1 are known"


def _seen(cell: str, sense: Sense) -> bool | None:
    """Whether a cell says that the event was seen; None where that is not known."""
    if match := _CODED.fullmatch(cell):
        by_number = _flagged(match[1] == "1", sense)
        by_word = _SEEN.get(_plain(match[2]), by_number)
        return by_number if by_word == by_number else None
    number = _number(cell)
    if number is not None:
        return _flagged(number == 1, sense) if number in (0, 1) else None
    word = _plain(cell)
    return _flagged(_FLAGS[word], sense) if word in _FLAGS else _SEEN.get(word)


def _flagged(flag: bool, sense: Sense) -> bool:
    return flag == (sense == "event")


def _number(cell: str) -> float | None:
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def _plain(word: str) -> str:
    """A word in small letters, with spaces for punctuation."""
    return " ".join(re.sub(r"[^a-z0-9]+", " ", word.casefold()).split())
