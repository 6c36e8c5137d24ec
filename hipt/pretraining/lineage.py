"""Which slides the weights have seen: their own corpus, and that of the weights they began with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from hipt.embedding.weights_metadata import read_metadata
from hipt.errors import HiptError
from hipt.pretraining.corpus_list import Member, read_corpus_list

CORPUS = ".corpus.csv"
"""Suffix of the list that lies beside weights."""


class Seen(NamedTuple):
    """What is known of the slides that weights were trained on."""

    members: tuple[Member, ...]
    unknown: tuple[str, ...]
    """Weights that have no list beside them: nobody can say what they have seen."""


def seen_by(weights: Sequence[str]) -> Seen:
    """The slides that some weights have seen, and those that theirs began with (`init`).

    Raises:
        HiptError: if a list is damaged.
    """
    members: dict[Member, None] = {}
    unknown: dict[str, None] = {}
    known: set[Path] = set()
    waiting = [Path(path) for path in weights]
    while waiting:
        path = waiting.pop(0)
        if path.resolve() in known:
            continue
        known.add(path.resolve())
        listed = path.with_suffix(CORPUS)
        if listed.exists():
            members |= dict.fromkeys(read_corpus_list(listed))
        else:
            unknown[str(path)] = None
        waiting += _first_weights(path)
    return Seen(tuple(members), tuple(unknown))


def _first_weights(path: Path) -> Iterator[Path]:
    """The weights that training began with, where the file names some.

    Their path is as in the config of that run: it starts there, or at the folder of the weights.
    """
    if path.suffix != ".safetensors" or not path.exists():
        return
    try:
        init = json.loads(read_metadata(path).get("recipe", "{}")).get("init")
    except (HiptError, ValueError, AttributeError):
        return  # no file of ours
    if not isinstance(init, str) or not init:
        return
    beside = path.parent / init
    yield beside if not Path(init).exists() and beside.exists() else Path(init)
