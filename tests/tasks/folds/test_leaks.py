"""The audit: what lies on two sides is named, what does not is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from hipt.tasks.folds.leaks import Item, Leak, leaks
from hipt.tasks.labels.split_files import read_splits


def items(*texts: str) -> list[Item]:
    """`a1/north`: slide a1 of case a from the north."""
    parts = [text.partition("/") for text in texts]
    return [Item(slide, slide[0], site) for slide, _, site in parts]


def test_a_clean_fold_has_no_rows():
    fold = {
        "train": items("a1/n", "a2/n"),
        "val": items("b1/s"),
        "test": items("c1/w", "d1", "e1"),
    }
    assert leaks({0: fold}, corpus=items("a1", "b1")) == []


def test_cases_and_sites_on_two_sides_are_counted_islides():
    fold = {
        "train": items("a1/n", "a2/n", "b1/s", "z1"),
        "val": items("a3/n", "y1"),
        "test": items("b2/n", "c1/s"),
    }
    assert leaks({3: fold, 1: {"train": items("a1"), "test": items("a2")}}) == [
        Leak(1, "case", "a", ("train", "test"), 2),
        Leak(3, "case", "a", ("train", "val"), 3),
        Leak(3, "case", "b", ("train", "test"), 2),
        Leak(3, "site", "n", ("train", "val", "test"), 4),
        Leak(3, "site", "s", ("train", "test"), 2),
    ]


def test_sides_are_named_in_one_order_whatever_is_given_first():
    fold = {"test": items("a1"), "val": items("a2"), "train": items("a3")}
    assert leaks({0: fold})[0].sides == ("train", "val", "test")


def test_a_slide_on_two_sides_is_one_slide():
    assert leaks({0: {"train": items("a1"), "test": items("a1", "a1")}})[0].slides == 1


def test_pretraining_matters_for_what_is_tested():
    folds = {0: {"train": items("a1"), "val": items("b1"), "test": items("d1", "c1")}}
    assert leaks(folds, corpus=items("a1", "b1", "c1", "d1", "x")) == [
        Leak(0, "corpus", "c1", ("corpus", "test"), 1),
        Leak(0, "corpus", "d1", ("corpus", "test"), 1),
    ]


def test_another_slide_of_a_tested_case_in_the_corpus():
    folds = {0: {"train": items("a1"), "test": items("c1", "c2", "d1")}}
    assert leaks(folds, corpus=items("a9", "c1", "c3", "c4", "d7")) == [
        Leak(0, "corpus", "c1", ("corpus", "test"), 1),
        Leak(0, "corpus_case", "c", ("corpus", "test"), 2),
        Leak(0, "corpus_case", "d", ("corpus", "test"), 1),
    ]


def test_a_tested_slide_in_the_corpus_under_another_name():
    tested = [Item("a1", "a", content="7f"), Item("b1", "b", content="8e"), Item("c1", "c")]
    corpus = [
        Item("other", "z", content="7f"),
        Item("x", "y"),
        Item("same case", "a", content="7f"),
    ]
    assert leaks({0: {"test": tested}}, corpus) == [
        Leak(0, "corpus", "a1", ("corpus", "test"), 1),
    ]


def test_slides_with_the_same_content_under_several_names():
    copies = [Item(f"s{n}", f"c{n}", same="s1, s2") for n in (1, 2)]
    apart = {"train": [copies[0], *items("x1")], "test": [copies[1], *items("y1")]}
    assert leaks({0: apart}) == [Leak(0, "content", "s1, s2", ("train", "test"), 2)]
    assert leaks({0: {"train": copies, "test": items("x1", "y1")}}) == []


def test_what_is_not_known_does_not_leak():
    assert leaks({0: {"train": [Item("1", "", "")], "test": [Item("2", "", "")]}}) == []


def test_another_side_is_refused():
    with pytest.raises(ValueError, match="fold 2 has a side 'training'"):
        leaks({2: {"training": [], "test": []}})


@pytest.mark.parametrize(
    ("cohort", "least", "most", "listed"),
    [("brca", 4, 15, 1041), ("kidney", 2, 6, 931), ("lung", 4, 12, 1033)],
)
def test_the_published_folds_leak_as_counted(
    cohort: str, least: int, most: int, listed: int, shared_dir: Path
):
    """Counts of shared/tcga/README.md: patients in both train and test, per fold."""
    folder = shared_dir / "tcga" / "splits" / "10foldcv_subtype" / f"tcga_{cohort}"
    if not folder.is_dir():
        pytest.skip(f"no published splits at {folder}")
    folds = read_splits(folder).folds
    assert len({name for sides in folds.values() for ids in sides.values() for name in ids}) == (
        listed
    )
    result = leaks(
        {
            fold: {side: [Item(i, i[:12], i[5:7]) for i in ids] for side, ids in sides.items()}
            for fold, sides in folds.items()
        }
    )
    torn = [
        sum(r.kind == "case" and r.fold == n and {"train", "test"} <= set(r.sides) for r in result)
        for n in range(10)
    ]
    assert (min(torn), max(torn)) == (least, most)
    assert {row.fold for row in result if row.kind == "site"} == set(range(10))
