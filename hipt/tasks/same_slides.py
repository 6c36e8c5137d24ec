"""Slides that a task holds under several names: their cases are one in every fold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hipt.cohort.same_content import alike, file_of, group_name, kept_together, other_labels
from hipt.cohort.sheet import SlideRow
from hipt.errors import HiptError, some_of
from hipt.pretraining.lineage import Seen
from hipt.tasks.folds.leaks import Item
from hipt.tasks.labels.of_task import Labelled


@dataclass(frozen=True)
class SameSlides:
    """What of a task's slides shows the same."""

    contents: Mapping[str, str]
    """Mark by slide; see `hipt.cohort.same_content`."""
    groups: Sequence[tuple[str, ...]]
    """Slides with the same content, two at least together."""
    together: Mapping[str, str]
    """By case, the first of the cases that no fold may part from it."""

    @classmethod
    def among(cls, slides: Sequence[Labelled], contents: Mapping[str, str]) -> SameSlides:
        """Those among a task's slides."""
        groups = alike({slide.slide_id: contents.get(slide.slide_id, "") for slide in slides})
        cases = {slide.slide_id: slide.case_id for slide in slides}
        return cls(contents, groups, kept_together(cases, groups))

    def keyed(self, slides: Sequence[Labelled]) -> list[Labelled]:
        """The slides as folds are dealt: cases that hold the same slide have one name."""
        return [replace(slide, case_id=self.together[slide.case_id]) for slide in slides]

    def remarks(self, slides: Sequence[Labelled], listed: bool) -> Iterator[str]:
        """What somebody should know of them.

        Args:
            slides: of the task.
            listed: folds are those of foreign files, which may part them.
        """
        if self.groups:
            several = len(self.together) - len(set(self.together.values()))
            what = "1 case is" if several == 1 else f"{several} cases are"
            result = f"{what} kept on the side of another one that holds the same slide"
            if listed:
                result = "folds from files may part them, and the audit lists where they do"
            first = some_of([group_name(group) for group in self.groups], 1, counted=False)
            yield (
                f"{sum(map(len, self.groups))} slides are {len(self.groups)} by their content "
                f"({first}); {result}"
            )
        yield from other_labels({slide.slide_id: _target(slide) for slide in slides}, self.groups)

    def known(self, fold_of: Mapping[str, int], ledger: Path) -> dict[str, int]:
        """The fold of each case of `keyed` that has one already.

        Raises:
            HiptError: if cases that hold the same slide are in two folds.
        """
        fold_of_group: dict[str, tuple[str, int]] = {}
        for case, first in sorted(self.together.items()):
            if case not in fold_of:
                continue
            other, fold = fold_of_group.setdefault(first, (case, fold_of[case]))
            if fold != fold_of[case]:
                raise HiptError(
                    f"{ledger}: the cases '{other}' (fold {fold}) and '{case}' (fold "
                    f"{fold_of[case]}) hold the same slide, see the slide table's column note; "
                    "exclude one of the slides, or delete this file to deal all folds anew"
                )
        return {first: fold for first, (_, fold) in fold_of_group.items()}

    def hint(self) -> str:
        """What a sentence on too few cases has to add."""
        if len(set(self.together.values())) == len(self.together):
            return ""
        return "; cases that hold the same slide count as one"

    def items(self, slides: Sequence[Labelled]) -> list[Item]:
        """The slides as the audit looks at them."""
        same = {slide: group_name(group) for group in self.groups for slide in group}
        return [
            Item(
                labelled.slide_id,
                labelled.case_id,
                labelled.site,
                same.get(labelled.slide_id, ""),
                file_of(self.contents.get(labelled.slide_id, "")),
            )
            for labelled in slides
        ]


def _target(slide: Labelled) -> str:
    """What is predicted of a slide, in words."""
    return slide.label or f"{slide.time} months {'with' if slide.event else 'without'} the event"


def corpus_items(
    seen: Seen, sheet: Sequence[SlideRow], contents: Mapping[str, str], case_from: str
) -> list[Item]:
    """The slides that pretraining has seen, as the audit looks at them.

    Their cases are those of the sheet, else of the list beside the weights, else, where ids are
    barcodes, in their ids.
    """
    cases = {row.slide_id: row.case_id for row in sheet}
    barcode_characters = 12 if case_from == "tcga" else 0
    return [
        Item(
            member.slide_id,
            cases.get(member.slide_id) or member.case_id or member.slide_id[:barcode_characters],
            content=file_of(contents.get(member.slide_id, "")) or member.content,
        )
        for member in seen.members
    ]
