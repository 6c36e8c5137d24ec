"""Which slides a model has seen: the list beside it, and what its training may go on from."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hipt.errors import HiptError
from hipt.store.csv_rows import csv_text, read_written, write_csv
from hipt.store.provenance import fingerprint

State = Mapping[str, str | int]
"""Where a data source stands; fit for JSON."""

OLD_HEADER = ("slide_id", "fingerprint", "regions", "patches")
"""What decides the weights; lists of earlier versions have no more."""

HEADER = (*OLD_HEADER, "case_id", "content")


@dataclass(frozen=True)
class Member:
    """One line of the corpus list."""

    slide_id: str
    fingerprint: str
    """Of the file that says what belongs: the manifest, or the slide's patch embeddings."""
    regions: int
    patches: int
    """Those that are drawn."""
    case_id: str = ""
    """Empty in lists of earlier versions."""
    content: str = ""
    """Digest of the slide's file: what tells it under another name."""


def corpus_digest(members: Sequence[Member]) -> str:
    """sha256 of what decides the weights: the list without cases and contents."""
    lines = ((m.slide_id, m.fingerprint, m.regions, m.patches) for m in members)
    return hashlib.sha256(csv_text(OLD_HEADER, lines).encode()).hexdigest()


def write_corpus_list(path: Path, members: Sequence[Member]) -> None:
    """Write which slides a model has seen (`.corpus.csv`), whole or not at all."""
    write_csv(path, HEADER, map(dataclasses.astuple, members))


def read_corpus_list(path: Path) -> tuple[Member, ...]:
    """Which slides a model has seen.

    Raises:
        HiptError: if the file is absent or no such list.
    """
    try:
        lines = read_written(path, HEADER, OLD_HEADER)
        return tuple(Member(a, b, int(c), int(d), *rest) for a, b, c, d, *rest in lines)
    except FileNotFoundError:
        raise HiptError(
            f"{path}: not there; it is written beside the model it belongs to"
        ) from None
    except ValueError:
        problem = f"is not a corpus list (columns {', '.join(HEADER)}); restore it"
        raise HiptError(f"{path}: {problem}") from None


def resumed_at(state: State | None, order: str) -> tuple[int, int]:
    """The position and the skipped patches that a state holds; zeros without one.

    Raises:
        HiptError: if the state belongs to another order.
    """
    if state is None:
        return 0, 0
    if state.get("order") != order:
        raise HiptError(
            "the checkpoint was made with another corpus, seed, pool_blocks or number of GPUs and "
            "cannot be continued with these; restore them, or delete the checkpoint to start anew"
        )
    return int(state["position"]), int(state.get("skipped", 0))


def order_name(members: Sequence[Member], **facts: int) -> str:
    """A digest of what decides the order of items; a state that carries another cannot go on."""
    return fingerprint(corpus=corpus_digest(members), **facts)
