"""Whether the slides with a value are enough to learn from, and a sentence where they are not."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hipt.cohort.missing import looks_missing, same_but_for_writing
from hipt.errors import HiptError, some_of
from hipt.tasks.labels.facts import EMPTY, NO_ROW, Fact
from hipt.tasks.labels.label_tables import Entry
from hipt.tasks.labels.label_values import Value
from hipt.tasks.labels.source import SHEET, Source


@dataclass(frozen=True)
class Valued:
    """A slide with a value."""

    slide_id: str
    case_id: str
    site: str
    value: Value
    entry: Entry


def nothing_found(source: Source, wanted: Sequence[str], words: Sequence[str]) -> HiptError:
    """The sentence where no slide has a value."""
    columns = " and ".join(f"'{column}'" for column in source.task.columns)
    if not wanted:
        problem = "there is no slide with embeddings; see what became of the slides"
        return HiptError(f"{source.setting('features')}: {problem}")
    if source.file != SHEET and not source.entries:
        problem = "has no row below its header; add one per slide or case"
        return HiptError(f"{source.file}: {problem}")
    classes = f" of {', '.join(source.task.classes)}" if source.task.classes else ""
    problem = (
        f"none of {len(wanted)} slides, such as '{wanted[0]}', has a value{classes} in {columns}"
    )
    if source.file != SHEET and source.entries:
        problem += f"; its {source.key}s are such as '{next(iter(source.entries))}'"
    there = Counter(word for word in words if word not in (NO_ROW, EMPTY))
    if there:
        some = ", ".join(f"{count:,} '{word}'" for word, count in there.most_common(5))
        problem += f" (there: {some})"
    remedy = "see that ids and columns are right"
    if source.key == "case_id":
        remedy += ", and slides.case_from"
    return HiptError(f"{source.file}: {problem}; {remedy}")


def check_events(source: Source, labelled: Sequence[Valued], timeless: int) -> None:
    """Refuse times with which nothing can be learned.

    Args:
        source: of the values.
        labelled: the slides that have a time and whether the event was seen.
        timeless: slides whose event was seen, and that have no time.
    """
    column = source.task.columns[1]
    if not any(slide.value.event for slide in labelled):
        sense = "1 means censored" if source.task.censorship else "1 means that the event was seen"
        problem = f"all {len(labelled)} slides are censored; see that {sense}, or add events"
        if timeless:
            problem = (
                f"all {len(labelled)} slides with a time are censored, and {timeless} with an "
                "event have none; give them the time of the event in column "
                f"'{source.task.columns[0]}'"
            )
        raise HiptError.at(source.file, problem, column=column)
    _check_folds(source, f"column '{source.task.columns[0]}'", {item.case_id for item in labelled})
    for seen, what in ((True, "an event"), (False, "no event")):
        cases = {item.case_id for item in labelled if item.value.event == seen}
        if cases:
            _check_folds(source, f"{what} in column '{column}'", cases)


def classes_of(
    source: Source, labelled: Sequence[Valued], words: Collection[str]
) -> tuple[str, ...]:
    """The classes in order, after a look at how many cases each has."""
    column = source.task.columns[0]
    cases: dict[str, set[str]] = {}
    for slide in labelled:
        cases.setdefault(str(slide.value.label), set()).add(slide.case_id)
    if source.task.classes is None:
        _refuse_words(source, {label: len(of_label) for label, of_label in cases.items()}, words)
    classes = source.task.classes or tuple(sorted(cases))
    for label in classes:
        if label not in cases:
            raise _unknown(source, label)
    if len(classes) < 2:
        problem = (
            f"all {len(labelled)} slides are of class '{classes[0]}'; a task needs two at least"
        )
        raise HiptError.at(source.file, problem, column=column)
    for label in classes:
        _check_folds(source, f"class '{label}' of column '{column}'", cases[label])
    return classes


def _refuse_words(source: Source, cases: Mapping[str, int], words: Collection[str]) -> None:
    """Refuse classes that look like an unknown value or like another class, and `-` beside `+`."""
    column = source.task.columns[0]
    named = f"name all classes in {source.setting('classes')} if it is one"
    if doubtful := [label for label in cases if looks_missing(label)]:
        some = some_of([f"'{label}' ({cases[label]:,})" for label in doubtful], 10)
        problem = (
            f"classes (cases) that read like a value that is not known: {some}; add such a word to "
            f"slides.missing, or {named}"
        )
        raise HiptError.at(source.file, problem, column=column)
    if twice := same_but_for_writing(cases):
        named_twice = [
            " and ".join(f"{label!a} ({cases[label]:,})" for label in group) for group in twice
        ]
        problem = (
            "classes (cases) that differ in their writing alone: "
            f"{some_of(named_twice, 5, '; ')}; write each class in one way, or name all classes in "
            f"{source.setting('classes')}"
        )
        raise HiptError.at(source.file, problem, column=column)
    negative = {"-", "--"} & set(words)
    if negative and any(set(label) == {"+"} for label in cases):
        problem = f"'{min(negative)}' stands beside '+', and is one of slides.missing; {named}"
        raise HiptError.at(source.file, problem, column=column)


def _unknown(source: Source, label: str) -> HiptError:
    """The sentence for a class that no slide has, with the nearest that there are."""
    column = source.task.columns[0]
    there = {entry.cells[column] for entries in source.entries.values() for entry in entries}
    if label in there:
        reason = "slides without embeddings, or excluded ones, have it"
    else:
        near = difflib.get_close_matches(label, there, n=3, cutoff=0.5) or sorted(there - {""})[:10]
        reason = f"found: {', '.join(near)}"
    problem = f"no slide has class '{label}' in {source.file}, column '{column}' ({reason})"
    return HiptError(f"{source.setting('classes')}: {problem}; correct it or leave it out")


def _check_folds(source: Source, what: str, cases: Collection[str]) -> None:
    """Refuse fewer cases than folds, where folds are dealt."""
    task = source.task
    if task.split != "files" and len(cases) < task.folds:
        number = f"{len(cases)} case{'s' * (len(cases) != 1)}"
        raise HiptError(
            f"{source.setting('folds')}: {what} in {source.file} has {number}, fewer than the "
            f"{task.folds} folds; use fewer folds or add cases"
        )


def uncensored_note(labelled: Sequence[Valued], timeless: int) -> Iterator[Fact]:
    """A note where nobody is censored since those without the event have no time.

    Args:
        labelled: the slides that have a time and whether the event was seen.
        timeless: slides whose event was not seen, and that have no time.
    """
    if timeless and all(slide.value.event for slide in labelled):
        note = (
            f"all {len(labelled):,} slides with a time have the event, and {timeless:,} without it "
            "have no time: give them the time of their last follow-up"
        )
        yield Fact("note", note)


def other_cases_note(source: Source, labelled: Sequence[Valued]) -> Iterator[Fact]:
    """A note where a table of slides names another case than the one that is taken."""
    if source.file == SHEET or source.key != "slide_id":
        return
    pairs = [(slide, slide.entry.cells.get("case_id", "")) for slide in labelled]
    other = [(slide, case) for slide, case in pairs if case and case != slide.case_id]
    if not other:
        return
    slide, case = other[0]
    what = "slide has" if len(other) == 1 else "slides have"
    note = (
        f"{len(other):,} {what} another case in {source.file} than in the sheet, whose case is "
        f"taken: '{slide.slide_id}' has '{case}' there and '{slide.case_id}' in the sheet"
    )
    yield Fact("note", note)
