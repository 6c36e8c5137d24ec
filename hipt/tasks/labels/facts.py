"""What became of the labels of a task: counts of who is in it and who is not, as sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, get_args

Kind = Literal["class", "event", "missing", "other_class", "zero_time", "reading", "note"]
"""What a fact counts: slides of a class, or with an event seen or not (both with their cases);
slides without a value, by the word that stands there; of a class that is not asked for; with a time
of 0; slides by what their event's cell is read as. A note counts nothing."""

KINDS: tuple[Kind, ...] = get_args(Kind)

SEEN, UNSEEN = "event seen", "event not seen"
EMPTY, NO_ROW = "empty", "no row"

MOST_LISTED = 12
"""Words or classes that a sentence names."""

DAYS_PER_MONTH = 30.4375

MOST_MONTHS = 300.0
"""No cohort is followed so long at the median: such times are days."""


class Fact(NamedTuple):
    """One count."""

    kind: Kind
    value: str
    """The class, word or cell; of a note its text."""
    meaning: str = ""
    """What a cell is read as, or is replaced by."""
    slides: int = 0
    cases: int | None = None
    """None where slides have no case, or it does not matter."""


def counted(kind: Kind, pairs: Sequence[tuple[str, str]], order: Sequence[str] = ()) -> list[Fact]:
    """Facts from each slide's value and case, in a given order or the most frequent first."""
    slides = Counter(value for value, _ in pairs)
    cases = Counter(value for value, _ in set(pairs))
    values = order or [value for value, _ in slides.most_common()]
    return [Fact(kind, value, "", slides[value], cases[value]) for value in values]


def of_words(kind: Kind, words: Mapping[str, int], meaning: Mapping[str, str]) -> list[Fact]:
    """Facts from how many slides have each word, the most frequent first."""
    ordered = sorted(words.items(), key=lambda item: (-item[1], item[0]))
    return [Fact(kind, word, meaning.get(word, ""), n, None) for word, n in ordered]


def days_note(column: str, median: float) -> list[Fact]:
    """A note where times are days by all appearance."""
    if median <= MOST_MONTHS:
        return []
    note = (
        f"the median of {column} is {median:,.0f}, which looks like days; months are expected: "
        f"divide by {DAYS_PER_MONTH}"
    )
    return [Fact("note", note)]


def sentences(facts: Sequence[Fact], columns: Sequence[str]) -> Iterator[str]:
    """What the log, the report and `hipt check` say of a task's labels.

    Args:
        facts: of the task.
        columns: that it reads: the class, or time and event.
    """
    by_kind = {kind: [fact for fact in facts if fact.kind == kind] for kind in KINDS}
    used = by_kind["class"] + by_kind["event"]
    gone, others = by_kind["missing"], by_kind["other_class"]
    left_out = [*gone, *others, *(fact for fact in by_kind["zero_time"] if not fact.meaning)]
    total = _sum(used) + _sum(left_out)
    what = "a label" if len(columns) == 1 else "time and event"
    named = ", ".join(f"{fact.value} {fact.slides:,} ({_cases(fact.cases)})" for fact in used)
    yield f"{_have(used, total)} {what}: {named}"
    if gone:
        what = "label" if len(columns) == 1 else "time or event"
        yield f"{_have(gone, total)} no {what}, left out: {_named(gone)}"
    if others:
        yield f"{_have(others, total)} another class, left out: {_named(others)}"
    for fact in by_kind["zero_time"]:
        yield f"{_have([fact], total)} a time of 0, {_zero(fact.meaning)}"
    if read := by_kind["reading"]:
        listed = ", ".join(f"'{fact.value}' is {fact.meaning} ({fact.slides:,})" for fact in read)
        yield f"{columns[-1]}: {listed}"
    yield from (fact.value for fact in by_kind["note"])


def _sum(facts: Sequence[Fact]) -> int:
    return sum(fact.slides for fact in facts)


def _have(facts: Sequence[Fact], total: int) -> str:
    count = _sum(facts)
    return f"{count:,} of {total:,} slides {'has' if count == 1 else 'have'}"


def _cases(count: int | None) -> str:
    return f"{count:,} case" if count == 1 else f"{count:,} cases"


def _zero(meaning: str) -> str:
    return f"taken as {meaning} months" if meaning else "left out (zero_months can keep them)"


def _named(facts: Sequence[Fact]) -> str:
    """Words with their counts; what is no word stands without quotation marks."""
    listed = [
        f"{f.slides:,} {f.value if f.value in (EMPTY, NO_ROW) else repr(f.value)}"
        for f in facts[:MOST_LISTED]
    ]
    more = sum(fact.slides for fact in facts[MOST_LISTED:])
    return ", ".join(listed) + (f" and {more:,} others" if more else "")
