"""Words that stand for a value that is not known, and words that look as if they did."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from hipt.config.config import MISSING
from hipt.store.csv_rows import trimmed

_ABSENT = re.compile(
    r"n ?a|nan|nat|nil|null|none|unk|unknown|unspecified|undefined|undetermined|missing|blank"
    r"|unbekannt|keine angaben?|k a|inconnu|non renseigné|desconocido|sconosciuto|undef"
    r"|empty|n ?d|tbd|pending|discrepancy|unavailable|no (data|value|information|label)"
    r"|(data|value|status) (unknown|missing)|not (yet )?(available|applicable|evaluated|known"
    r"|reported|recorded|performed|done|assessed|determined|specified|provided|tested|stated"
    r"|given|assigned|defined|allowed to collect)"
)
"""Such words without brackets and punctuation."""

_ERROR = re.compile(r"#[A-Z0/_]+[!?]")
"""What a spreadsheet shows where it could not compute: `#REF!`, `#DIV/0!`, `#NAME?`."""

_MARKS = re.compile(r"[^\w+]+")
"""Whatever is no letter, digit or plus: a plus is a finding, as in HER2 `+`."""


class Missing:
    """The words that stand for a value that is not known; capitals and spaces do not count."""

    def __init__(self, words: Iterable[str] = MISSING) -> None:
        self._words = frozenset(_plain(word) for word in words)

    def __contains__(self, cell: str) -> bool:
        plain = _plain(cell)
        return not plain or plain in self._words


def is_tcga_site(word: str, *ids: str) -> bool:
    """Whether a word is the tissue source site of a TCGA barcode: `NA` is one."""
    return any(name.startswith(f"TCGA-{word}-") for name in ids)


def looks_missing(label: str) -> bool:
    """Whether a class looks like a word for a value that is not known, listed or not."""
    text = label.strip()
    if len(text) > 2 and (text[0], text[-1]) in (("[", "]"), ("<", ">")):
        return True  # registries put their own remarks in brackets
    if _ERROR.fullmatch(text):
        return True
    words = _MARKS.sub(" ", text).replace("_", " ").split()
    return not words or _ABSENT.fullmatch(" ".join(words).casefold()) is not None


def same_but_for_writing(labels: Iterable[str]) -> list[list[str]]:
    """Labels that differ in capitals, spaces, accents' encoding or a number's form alone."""
    labels_by_text: dict[str | float, list[str]] = {}
    for label in labels:
        text = unicodedata.normalize("NFKC", _plain(unicodedata.normalize("NFKC", label)))
        labels_by_text.setdefault(_number(text), []).append(label)
    return [group for group in labels_by_text.values() if len(group) > 1]


def _number(text: str) -> str | float:
    """A number, whether 1 or 1.0; other text as it is."""
    try:
        value = text if "_" in text else float(text)
    except ValueError:
        return text
    return value if value == value else text


def _plain(text: str) -> str:
    """A word as it is compared."""
    return " ".join(trimmed(text).split()).casefold()


LISTED = Missing()
"""Those of the default setting."""
