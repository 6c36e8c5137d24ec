"""Several faults in one sentence."""

from __future__ import annotations

from hipt.cohort.faults import all_of
from hipt.errors import HiptError


def test_the_first_and_where_the_others_are():
    faults = [(str(row), HiptError(f"row {row}: wrong")) for row in range(2, 15)]
    assert str(all_of(faults[:1], "row")) == "row 2: wrong"
    assert str(all_of(faults[:2], "row")) == "row 2: wrong (1 more row is at fault: 3)"
    assert str(all_of(faults, "row")) == (
        "row 2: wrong (12 more rows are at fault: 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, ...)"
    )
