"""Why a job of a plan runs: Snakemake's sentences, which quote whole settings, in a few words."""

from __future__ import annotations

_WORDS = {
    "Forced execution": "asked for again",
    "Incomplete output files": "cut short before",
    "Missing output files": "not made yet",
    "Updated input files": "its input is newer",
    "Set of input files has changed": "its inputs are others",
    "Params have changed": "settings, slides or version changed",
    "Code has changed": "its rule changed",
    "Software environment definition has changed": "its software changed",
    "Input files updated by another job": "follows from the jobs above",
}
"""The first that holds is said: a job's own reasons before those of others."""

_LONGEST = 60
"""Characters of a sentence that is not known."""


def reason(text: str) -> str:
    """The first reason of a job.

    Args:
        text: as Snakemake has it, e.g. `Missing output files: a.txt; Params have changed ...`.
    """
    for sentence, words in _WORDS.items():
        if sentence in text:
            return words
    head = text.partition(":")[0]
    return head if len(head) <= _LONGEST else f"{head[:_LONGEST]}..."
