"""Which words stand for a value that is not known, and which only look as if they did."""

from __future__ import annotations

import pytest

from hipt.cohort.missing import Missing, looks_missing

WORDS = (
    *("NA", "N/A", "n/a", "#N/A", "NaN", "nan", "None", "null", "unknown", "Unknown", "-", "--"),
    *(".", "[Not Available]", "[not applicable]", "[Not Evaluated]", "[Unknown]", "'--"),
    *("[Discrepancy]", "Not Reported", "", "  ", " NA ", "not  available", "NA\u200b", "<NA>"),
)
LABELS = ("LumA", "N", "no", "0", "+", "NAT", "Nano", "N/A1", "negative", "unknown primary", "-1")


@pytest.mark.parametrize("word", WORDS)
def test_words_of_registries_and_programs(word: str):
    assert word in Missing()
    assert looks_missing(word)


@pytest.mark.parametrize("label", LABELS)
def test_labels(label: str):
    assert label not in Missing()


DOUBTFUL = (
    *("n.d.", "N.A.", "[Completed]", "?", "_", "not assessed", "Missing", "no data", "unk", "TBD"),
    *("<missing>", "not yet known", "Not Allowed To Collect", "\u2013", "blank"),
)


@pytest.mark.parametrize("label", DOUBTFUL)
def test_words_that_are_not_listed_but_look_so(label: str):
    assert label not in Missing()
    assert looks_missing(label)
    assert label in Missing([label.upper()])


@pytest.mark.parametrize(
    "label", ["LumA", "+", "++", "0", "I", "negative", "not metastatic", "no", "Never", "NOS", "-1"]
)
def test_classes_that_look_like_classes(label: str):
    assert not looks_missing(label)
