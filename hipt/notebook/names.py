"""Names that results hold, asked for by people."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from hipt.errors import HiptError, some_of

_NAMED = 8
"""Most names that a sentence lists where none is near."""


def refuse_unknown(what: str, name: object, known: Collection[str]) -> None:
    """Refuse a name that is none of the known ones.

    Args:
        what: where it was looked for, e.g. `results have no slide`.
        name: what was asked for; a number is none, but may be near one.
        known: what there is.

    Raises:
        HiptError: with the nearest names, else with some of all.
    """
    if name in known:
        return
    names = list(known)
    near = difflib.get_close_matches(str(name), names, n=3, cutoff=0.5)
    if near:
        hint = f"did you mean {' or '.join(repr(other) for other in near)}?"
    else:
        hint = f"there is {some_of(names, _NAMED)}" if names else "there is none"
    raise HiptError(f"{what} {name!r}; {hint}")
