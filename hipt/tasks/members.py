"""Which case is tested in which fold of a task: a ledger that only grows, so that no case moves."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from hipt.errors import HiptError
from hipt.store.whole import whole

HEADER = ("case_id", "fold")


def read_members(path: Path, folds: int) -> dict[str, int]:
    """Fold of every case that ever had one; nothing where there is no ledger.

    Raises:
        HiptError: if the file is no such ledger, or has other folds.
    """
    if not path.exists():
        return {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header, *lines = csv.reader(file)
        found = {case: int(fold) for case, fold in lines}
        whole_ledger = tuple(header) == HEADER and len(found) == len(lines)
    except (ValueError, csv.Error):
        whole_ledger, found = False, {}
    if not whole_ledger or not all(0 <= fold < folds for fold in found.values()):
        raise HiptError(
            f"{path}: is no ledger of {folds} folds (columns {', '.join(HEADER)}); restore it, or "
            "delete it: cases are then dealt anew"
        )
    return found


def write_members(path: Path, fold_of: Mapping[str, int]) -> None:
    """Write the ledger, whole or not at all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(sorted(fold_of.items()))
    with whole(path) as part:
        part.write_bytes(text.getvalue().encode())
