"""The cases of a table's rows: their class, the sites that link them, and their place in a draw.

N rows, C cases, S strata (classes; for survival the caller's bins), G groups of cases.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from hipt.stats.arrays import Ints, Texts

Seed = int | tuple[int, ...]
"""Numbers that decide what is drawn; `(seed, fold)` draws something else in each fold."""


class Cases(NamedTuple):
    """Every case once."""

    names: Texts
    """(C,) rising."""
    stratum: Ints
    """(C,) 0 to S - 1."""
    strata: Texts
    """(S,) rising."""
    row: Ints
    """(N,) case of each row."""


def distinct_cases(cases: Texts, strata: Texts) -> Cases:
    """The cases, each with its one stratum.

    Args:
        cases: (N,) case of each row.
        strata: (N,) class of each row.

    Raises:
        ValueError: if a case has two strata.
    """
    names, first, row = np.unique(
        np.asarray(cases, np.str_), return_index=True, return_inverse=True
    )
    kinds, stratum = np.unique(np.asarray(strata, np.str_), return_inverse=True)
    if len(row) != len(stratum):
        raise ValueError(f"{len(row)} cases, but {len(stratum)} strata")
    other = np.flatnonzero(stratum != stratum[first][row])
    if len(other):
        case = row[other[0]]
        first_kind, two = kinds[stratum[[first[case], other[0]]]]
        raise ValueError(f"case '{names[case]}' has two strata, '{first_kind}' and '{two}'")
    return Cases(names, stratum[first], kinds, row)


def linked_by_site(cases: Cases, sites: Texts) -> tuple[Ints, Texts]:
    """Groups of cases that no split by site may tear apart.

    Sites that share a case link all their cases; a case without a site is linked to none.

    Args:
        cases: C of them.
        sites: (N,) site of each row, empty where it is not known.

    Returns:
        (C,) group of each case, and (G,) what names it: `site ` and its first site, or `case ` and
        its only case.
    """
    own = cases.names[cases.row].tolist()
    texts = [f"site {s}" if s else f"~case {c}" for s, c in zip(sites.tolist(), own, strict=True)]
    nodes, node = np.unique(texts, return_inverse=True)  # `~` sorts behind every site
    size = len(cases.names) + len(nodes)
    ends = (cases.row, len(cases.names) + node)
    links = coo_array((np.ones(len(node), np.int8), ends), shape=(size, size))
    label = connected_components(links, directed=False)[1]  # (C + nodes,) 0..G-1
    _, first = np.unique(label[len(cases.names) :], return_index=True)
    names = [text.removeprefix("~") for text in nodes[first].tolist()]
    return label[: len(cases.names)].astype(np.int64), np.array(names, np.str_)


def stratum_counts(cases: Cases, group: Ints, groups: int) -> Ints:
    """(G, S) cases of each stratum in each group.

    Args:
        cases: C of them.
        group: (C,) of each case, 0 to G - 1.
        groups: G.
    """
    counts = np.zeros((groups, len(cases.strata)), np.int64)
    np.add.at(counts, (group, cases.stratum), 1)
    return counts


def draw_keys(names: Texts, seed: Seed, *purpose: str) -> npt.NDArray[np.uint64]:
    """(C,) numbers to order names by: of a name, the seed and the purpose, and of nothing else."""
    numbers = seed if isinstance(seed, tuple) else (seed,)
    start = "\0".join([*(str(int(number)) for number in numbers), *purpose, ""]).encode()
    digests = [hashlib.sha256(start + name.encode()).digest() for name in names.tolist()]
    return np.array([int.from_bytes(digest[:8], "big") for digest in digests], np.uint64)
