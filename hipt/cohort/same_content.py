"""Slides that are one slide under several names, by the content of their files.

A copy whose bytes differ (saved anew, its label taken out), and sections of one block, are not
known here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

from hipt.errors import some_of

MASK = "/"
"""Between the digests of a slide's file and of its mask."""

_NAMED = 3
"""Most other slides that a note names."""


def content_mark(slide: str, mask: str) -> str:
    """What tells a slide's content: digest of its file, and of the sheet's mask where it has one.

    Empty where the file's is not known.

    Rows of one file under different masks may be different pieces of tissue on one glass.
    """
    return f"{slide}{MASK}{mask}" if slide and mask else slide


def file_of(content: str) -> str:
    """The digest of the slide's file alone."""
    return content.partition(MASK)[0]


def alike(content: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Slides that show the same pixels, two at least together; each group and the groups rising.

    Args:
        content: mark by slide; empty where it is not known. A slide without a mask shows all that
            the same file under any mask shows.
    """
    groups = []
    for slides in _by_file(content).values():
        if any(MASK not in content[slide] for slide in slides):
            groups.append(slides)
            continue
        by_mark: dict[str, list[str]] = defaultdict(list)
        for slide in slides:
            by_mark[content[slide]].append(slide)
        groups += by_mark.values()
    return sorted(tuple(sorted(group)) for group in groups if len(group) > 1)


def notes(content: Mapping[str, str], cases: Mapping[str, str]) -> dict[str, str]:
    """What the slide table says of slides that share their content with others, by slide."""
    notes_of: dict[str, list[str]] = defaultdict(list)
    for group in alike(content):
        for slide in group:
            notes_of[slide].append(f"same content as {_others(slide, group, cases)}")
    for slides in _by_file(content).values():
        masks = defaultdict(list)
        for slide in sorted(slides):
            masks[content[slide]].append(slide)
        if len(masks) == len(slides) > 1 and "" not in {m.partition(MASK)[2] for m in masks}:
            for slide in slides:
                others = _others(slide, sorted(slides), cases)
                notes_of[slide].append(f"same file as {others}, under another mask")
    return {slide: "; ".join(texts) for slide, texts in notes_of.items()}


def kept_together(cases: Mapping[str, str], groups: Sequence[Sequence[str]]) -> dict[str, str]:
    """What no fold may tear apart, by case: the first of the cases that share a slide's content."""
    first = {case: case for case in cases.values()}

    def root(case: str) -> str:
        while first[case] != case:
            case = first[case]
        return case

    for group in groups:
        for slide in group[1:]:
            low, high = sorted((root(cases[group[0]]), root(cases[slide])))
            first[high] = low
    return {case: root(case) for case in first}


def shared_paths(rows: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    """A sentence on files that stand in several rows of a sheet, but for pieces of one glass.

    Args:
        rows: slide_id, path and mask of each, the mask empty where there is none.
    """
    masks: dict[str, dict[str, str]] = defaultdict(dict)
    for slide_id, path, mask in rows:
        masks[path][slide_id] = mask
    shared = []
    for of_slide in masks.values():
        apart = "" not in of_slide.values() and len(set(of_slide.values())) == len(of_slide)
        if len(of_slide) > 1 and not apart:
            shared.append(group_name(sorted(of_slide)))
    if shared:
        yield (
            f"files in several rows: {len(shared):,} ({some_of(shared, _NAMED, '; ')}); each row "
            "is worked on, and tasks keep their cases on one side"
        )


def groups_of(rows: Sequence[Mapping[str, Hashable]]) -> list[str]:
    """What holds each slide of the slide table together with others: a case, or several of them.

    Args:
        rows: with slide_id, case_id and content.
    """
    cases = {str(row["slide_id"]): str(row["case_id"]) for row in rows}
    content = {str(row["slide_id"]): str(row["content"] or "") for row in rows}
    together = kept_together(cases, alike(content))
    return [together[case] for case in cases.values()]


def other_labels(labels: Mapping[str, str], groups: Sequence[Sequence[str]]) -> Iterator[str]:
    """A sentence for each group of slides with the same content that are labelled differently."""
    for group in groups:
        values = sorted({labels[slide] for slide in group})
        if len(values) > 1:
            yield f"{group_name(group)} have the same content and the labels {', '.join(values)}"


def group_name(group: Sequence[str]) -> str:
    """A group of slides, in words: the first ones."""
    return some_of(group, _NAMED)


def _by_file(content: Mapping[str, str]) -> dict[str, list[str]]:
    """Slides by the digest of their file, where that is known."""
    slides_of: dict[str, list[str]] = defaultdict(list)
    for slide, mark in content.items():
        if mark:
            slides_of[file_of(mark)].append(slide)
    return slides_of


def _others(slide: str, group: Sequence[str], cases: Mapping[str, str]) -> str:
    """The other slides of a group, the first ones with their cases."""
    return some_of([_named(other, slide, cases) for other in group if other != slide], _NAMED)


def _named(other: str, slide: str, cases: Mapping[str, str]) -> str:
    """Another slide, with its case where that is not the slide's own, nor the other's id."""
    apart = cases[other] not in (cases[slide], other)
    return f"{other} (case {cases[other]})" if apart else other
