"""Which case is tested in which fold of a task: a ledger that only grows, so that no case moves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hipt.errors import HiptError
from hipt.store.csv_rows import read_written, write_csv

HEADER = ("case_id", "fold")


def read_members(path: Path, folds: int) -> dict[str, int]:
    """Fold of every case that ever had one; nothing where there is no ledger.

    Raises:
        HiptError: if the file is no such ledger, or has other folds.
    """
    if not path.exists():
        return {}
    try:
        lines = read_written(path, HEADER)
        fold_of = {case: int(fold) for case, fold in lines}
        if len(fold_of) < len(lines) or {*fold_of.values()} != {*range(folds)}:
            raise ValueError("a case stands there twice or in no fold, or a fold has none")
    except ValueError:
        raise HiptError(
            f"{path}: is no ledger of {folds} folds (columns {', '.join(HEADER)}); restore it, or "
            "delete it: cases are then dealt anew"
        ) from None
    return fold_of


def write_members(path: Path, fold_of: Mapping[str, int]) -> None:
    """Write the ledger, whole or not at all."""
    write_csv(path, HEADER, sorted(fold_of.items()))
