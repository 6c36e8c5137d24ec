"""Words that stand for a value that is not known, and words that look as if they did."""

from __future__ import annotations

import re
from collections.abc import Iterable

from hipt.config import MISSING

_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff"
"""What spreadsheets and web pages leave at the ends of a cell, beside spaces."""

_ABSENT = re.compile(
    r"n ?a|nan|nat|nil|null|none|unk|unknown|unspecified|undefined|undetermined|missing|blank"
    r"|empty|n ?d|tbd|pending|discrepancy|unavailable|no (data|value|information|label)"
    r"|(data|value|status) (unknown|missing)|not (yet )?(available|applicable|evaluated|known"
    r"|reported|recorded|performed|done|assessed|determined|specified|provided|tested|stated"
    r"|given|assigned|defined|allowed to collect)"
)
"""Such words without brackets and punctuation."""

_MARKS = re.compile(r"[^\w+]+")
"""Whatever is no letter, digit or plus: a plus is a finding, as in HER2 `+`."""


class Missing:
    """The words that stand for a value that is not known; capitals and spaces do not count."""

    def __init__(self, words: Iterable[str] = MISSING) -> None:
        self._words = frozenset(_plain(word) for word in words)

    def __contains__(self, cell: str) -> bool:
        plain = _plain(cell)
        return not plain or plain in self._words


def trimmed(cell: str) -> str:
    """A cell without what cannot be seen at its ends."""
    cell = cell.strip()
    return cell if cell.isascii() else cell.strip(_INVISIBLE).strip()


def is_tcga_site(word: str, *ids: str) -> bool:
    """Whether a word is the tissue source site of a TCGA barcode: `NA` is one."""
    return any(name.startswith(f"TCGA-{word}-") for name in ids)


def looks_missing(label: str) -> bool:
    """Whether a class looks like a word for a value that is not known, listed or not."""
    text = label.strip()
    if len(text) > 2 and (text[0], text[-1]) in (("[", "]"), ("<", ">")):
        return True  # registries put their own remarks in brackets
    words = _MARKS.sub(" ", text).replace("_", " ").split()
    return not words or _ABSENT.fullmatch(" ".join(words).casefold()) is not None


def _plain(text: str) -> str:
    """A word as it is compared."""
    return " ".join(trimmed(text).split()).casefold()


LISTED = Missing()
"""Those of the default setting."""
