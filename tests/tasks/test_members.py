"""The ledger of a task's cases and their folds."""

from __future__ import annotations

from pathlib import Path

import pytest

from hipt.errors import HiptError
from hipt.tasks.members import read_members, write_members


def test_there_and_back(tmp_path: Path):
    path = tmp_path / "members.csv"
    assert read_members(path, 2) == {}
    write_members(path, {"b,c": 1, "0012": 0, "line\rend": 1})
    assert path.read_bytes() == b'case_id,fold\n0012,0\n"b,c",1\n"line\rend",1\n'
    assert read_members(path, 2) == {"0012": 0, "b,c": 1, "line\rend": 1}


@pytest.mark.parametrize(
    "lines", ["", "case,fold\n", "case_id,fold\na,2\n", "case_id,fold\na,0\na,1\n",
              "case_id,fold\na,0\nb,0\n",
              "case_id,fold\na,x\n", "case_id,fold\na\n", 'case_id,fold\n"a,0\n'],
)  # fmt: skip
def test_another_ledger(tmp_path: Path, lines: str):
    path = tmp_path / "members.csv"
    path.write_text(lines)
    with pytest.raises(HiptError) as error:
        read_members(path, 2)
    assert str(error.value) == (
        f"{path}: is no ledger of 2 folds (columns case_id, fold); restore it, or delete it: cases "
        "are then dealt anew"
    )
